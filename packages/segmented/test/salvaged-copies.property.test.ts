import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { type RecoveryReport, replayQuarantine, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runAsync } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { segmentNames, snapshot, writeFile } from './support/files.js';

const LOG = '/log';
const BACKUP = '/backup';

/** `amount` is from 0 to 1: how many records, or where in the log, or in the bytes of its files. */
const step = fc.record({
  what: fc.constantFrom(
    ...(['append', 'append', 'append', 'cutEnd', 'cutEnd', 'damage', 'damage', 'backup', 'restore', 'reopen'] as const),
  ),
  amount: fc.nat(1000).map((part) => part / 1000),
  flag: fc.boolean(),
  /** Whether the damage is in the first records of the log. */
  atBeginning: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A log of one segment that was cut, and was salvaged then, which has given up what came behind the cut; and a backup of it. */
const BEGINNING: readonly Step[] = [
  { what: 'append', amount: 0.9, flag: true, atBeginning: false },
  { what: 'cutEnd', amount: 0.6, flag: true, atBeginning: false },
  { what: 'append', amount: 0.2, flag: true, atBeginning: false },
  { what: 'damage', amount: 0.5, flag: false, atBeginning: true },
  { what: 'append', amount: 0.1, flag: true, atBeginning: false },
  { what: 'backup', amount: 0, flag: true, atBeginning: false },
  { what: 'restore', amount: 0, flag: true, atBeginning: false },
];

/** A salvage asks for an LSN: the life ends. */
const REFUSED = Symbol('refused');

/** A log that is cut, damaged and salvaged, and replaced by its backup. Each record has a payload of its own. */
class Life {
  readonly #io = createMemoryStorageIo();
  #wal: SegmentedWal | undefined;
  /** Payloads that a cut has removed. */
  #cut = new Set<string>();
  #backup: { readonly records: readonly string[]; readonly cut: ReadonlySet<string> } | undefined;
  #appended = 0;

  async carryOut({ what, amount, flag, atBeginning }: Step): Promise<void> {
    const wal = await this.#opened();
    if (what === 'append') {
      for (let left = 1 + Math.floor(amount * 12); left > 0; left--) {
        wal.append(`r${this.#appended++}`.padEnd(flag ? 300 : 60));
      }
      await wal.sync();
    } else if (what === 'cutEnd') {
      const lsn = wal.firstLsn - 1 + Math.floor(amount * (wal.nextLsn - wal.firstLsn));
      for (const [at, text] of recordsIn(wal)) if (at > lsn) this.#cut.add(text);
      await wal.truncateAfter(lsn);
    } else if (what === 'reopen') await this.#close();
    else if (what === 'backup') await this.#backUp(wal, flag);
    else if (what === 'restore') await this.#restore();
    else await this.#damage(wal, amount, flag, atBeginning);
  }

  async #close(): Promise<void> {
    await this.#wal?.close();
    this.#wal = undefined;
  }

  async #opened(recoveryMode: 'strict' | 'salvage' | 'skip-corrupt' = 'strict'): Promise<SegmentedWal> {
    const sizes = { segmentBytes: 4096, blockBytes: 512, markAfterMs: 0 };
    this.#wal ??= await SegmentedWal.open({ directory: LOG, io: this.#io, ...sizes, recoveryMode });
    return this.#wal;
  }

  async #backUp(wal: SegmentedWal, hardLinks: boolean): Promise<void> {
    try {
      await wal.backup(BACKUP, { hardLinks });
      this.#backup = { records: textsIn(wal), cut: new Set(this.#cut) };
    } catch (error) {
      // It has what the log has lost.
      if (!WalError.is(error, 'WAL_FOREIGN_DIRECTORY')) throw error;
    }
  }

  /** Puts the backup in the place of the log, without what only that has beside it. */
  async #restore(): Promise<void> {
    const backup = this.#backup;
    if (backup === undefined) return;
    await this.#close();
    await this.#empty(LOG);
    for (const [name, bytes] of snapshot(this.#io, BACKUP)) writeFile(this.#io, join(LOG, name), bytes);
    await this.#empty(BACKUP);
    this.#backup = undefined;
    this.#cut = new Set(backup.cut);
    expect(textsIn(await this.#opened())).toEqual(backup.records);
  }

  /** Changes a bit of a closed log, which is salvaged then: nothing comes back, nothing is new, and all that is lost is named. */
  async #damage(wal: SegmentedWal, amount: number, around: boolean, atBeginning: boolean): Promise<void> {
    const before = recordsIn(wal);
    await this.#close();
    const files = snapshot(this.#io, LOG);
    const names = segmentNames(files);
    const place = atBeginning ? 0 : amount * 0.999 * names.length;
    const name = names[Math.floor(place)] as string;
    const bytes = (files.get(name) as Uint8Array).slice();
    const at = atBeginning
      ? Math.min(bytes.length - 1, 512 + Math.floor(amount * 1500))
      : Math.floor((place % 1) * bytes.length);
    bytes[at] = (bytes[at] as number) ^ 4;
    // In a file of its own: a backup may share the present one.
    await runAsync(this.#io, ioSteps.remove(this.#io, join(LOG, name)));
    writeFile(this.#io, join(LOG, name), bytes);
    const salvaged = await this.#opened(around ? 'skip-corrupt' : 'salvage').catch((error: unknown) => {
      throw WalError.is(error, 'WAL_CORRUPT') && error.message.includes('salvageLsn') ? REFUSED : error;
    });
    const { recovery } = salvaged;
    const after = recordsIn(salvaged);
    for (const [lsn, text] of after) expect(before.get(lsn)).toBe(text);
    const lost = [...before.keys()].filter((lsn) => !after.has(lsn));
    expect(lost.filter((lsn) => !isNamed(lsn, recovery))).toEqual([]);
    if (recovery.salvage !== undefined) {
      const given = Array.from(replayQuarantine(recovery.salvage.quarantine, { io: this.#io }), textOf);
      expect([...after.values(), ...given].filter((text) => this.#cut.has(text))).toEqual([]);
    }
    await this.#close();
    expect(recordsIn(await this.#opened())).toEqual(after);
  }

  async #empty(directory: string): Promise<void> {
    const io = this.#io;
    for (const name of io.list(directory)) {
      const path = join(directory, name);
      if (io.stat(path).kind === 'directory') await this.#empty(path);
      else await runAsync(io, ioSteps.remove(io, path));
    }
  }

  async end(): Promise<void> {
    await this.#close();
  }
}

const textOf = ({ payload }: { readonly payload: Uint8Array }): string => Buffer.from(payload).toString().trimEnd();

const recordsIn = (wal: SegmentedWal): ReadonlyMap<number, string> =>
  new Map(Array.from(wal.replay({ onHole: 'skip' }), (record) => [record.lsn, textOf(record)]));

const textsIn = (wal: SegmentedWal): readonly string[] => [...recordsIn(wal).values()];

/** Whether the report of a salvage names a lost record. */
const isNamed = (lsn: number, { holes, salvage }: RecoveryReport): boolean =>
  holes.some(({ firstLsn, lastLsn }) => firstLsn <= lsn && lsn <= lastLsn) ||
  (salvage?.lost ?? []).some(({ fromLsn, toLsn }) => fromLsn <= lsn && lsn <= toLsn);

test('whatever a log and its backup go through, what was cut off stays away, and a salvage names all that is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 25, size: 'max' }),
      fc.boolean(),
      async (steps, begins) => {
        const life = new Life();
        try {
          for (const each of [...(begins ? BEGINNING : []), ...steps]) await life.carryOut(each);
        } catch (error) {
          if (error !== REFUSED) throw error;
        } finally {
          await life.end();
        }
      },
    ),
    { numRuns: 60 },
  );
});

import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runAsync } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readAll, recordsIn } from './support/backups.js';
import { snapshot, writeFile } from './support/files.js';

const LOGS = 2;

/** `amount` is from 0 to 1: of the records of the log, or how far a backup comes. */
const step = fc.record({
  what: fc.constantFrom(
    ...(['append', 'append', 'append', 'append', 'backup', 'abort', 'both', 'both', 'reopen', 'copy'] as const),
    ...(['restore', 'cutEnd', 'cutEnd', 'cutBeginning', 'reset', 'forget'] as const),
  ),
  log: fc.nat(LOGS - 1),
  other: fc.nat(LOGS - 1),
  to: fc.constantFrom(0, 0, 0, 1),
  amount: fc.nat(100).map((percent) => percent / 100),
  flag: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Two copies of a log that was closed: both go on in the same segment. */
const BEGINNING: readonly Step[] = (['append', 'copy'] as const).map((what) => ({
  what,
  log: what === 'copy' ? 1 : 0,
  other: 0,
  to: 0,
  amount: 0.2,
  flag: what === 'copy',
}));

/** Logs that are copies of each other, of which each backs up into the same directories. */
class Copies {
  readonly #io = createMemoryStorageIo();
  readonly #logs: (SegmentedWal | undefined)[] = [];
  /** How often a copy was put in the place of each log. */
  readonly #lives: number[] = [];
  /** What each backup has, and which log in which life has made it. */
  readonly #backups: ({ readonly records: readonly string[]; readonly by: string } | undefined)[] = [];
  #appended = 0;

  async carryOut({ what, log, other, to, amount, flag }: Step): Promise<void> {
    const directory = `/backup-${to}`;
    if (what === 'forget') {
      await this.#empty(directory);
      this.#backups[to] = undefined;
      return;
    }
    if (what === 'copy' || what === 'restore') {
      if (log === other) return;
      await this.#replace(log, what === 'restore' ? directory : await this.#left(other, flag));
      return;
    }
    if (what === 'both') {
      if (flag) await this.carryOut({ what: 'forget', log, other, to, amount, flag });
      await this.#backUp(log, to, amount < 0.5, amount < 0.2 ? Number.POSITIVE_INFINITY : Math.floor(amount * 5));
      await this.#backUp(1 - log, to, amount < 0.5, Number.POSITIVE_INFINITY);
      return;
    }
    const wal = await this.#opened(log);
    const lsn = wal.firstLsn - 1 + Math.round(amount * (wal.nextLsn - wal.firstLsn));
    if (what === 'append') {
      for (let left = 1 + Math.floor(amount * 12); left > 0; left--) {
        wal.append(`${log}-${this.#appended++}`.padEnd(flag ? 300 : 60));
      }
      await wal.sync();
    } else if (what === 'reopen') {
      await this.#left(log, true);
    } else if (what === 'cutEnd') await wal.truncateAfter(Math.min(lsn, wal.lastLsn));
    else if (what === 'cutBeginning') await wal.truncateBefore(lsn + 1);
    else if (what === 'reset') await wal.resetTo(wal.nextLsn + to);
    else await this.#backUp(log, to, flag, what === 'abort' ? Math.floor(amount * 5) : Number.POSITIVE_INFINITY);
  }

  async close(): Promise<void> {
    for (const wal of this.#logs) await wal?.close();
  }

  /** A backup is what the log is, or changes nothing. Into its own last one a log is always backed up. */
  async #backUp(log: number, to: number, hardLinks: boolean, steps: number): Promise<void> {
    const wal = await this.#opened(log);
    const directory = `/backup-${to}`;
    const stop = new AbortController();
    let left = steps;
    const onProgress = (): void => {
      if (left-- === 0) stop.abort();
    };
    const by = `${log} ${this.#life(log)}`;
    const before = this.#backups[to];
    const records = await recordsIn(wal);
    try {
      await wal.backup(directory, { hardLinks, signal: stop.signal, onProgress });
      this.#backups[to] = { records, by };
    } catch (error) {
      const codes = before?.by === by ? ['WAL_ABORTED'] : ['WAL_ABORTED', 'WAL_FOREIGN_DIRECTORY'];
      if (!WalError.is(error) || !codes.includes(error.code)) throw error;
    }
    const there = this.#backups[to];
    if (there !== undefined) expect(await readAll(this.#io, directory)).toEqual(there.records);
  }

  async #opened(log: number): Promise<SegmentedWal> {
    this.#logs[log] ??= await SegmentedWal.open({
      directory: `/log-${log}`,
      io: this.#io,
      segmentBytes: 2048,
      blockBytes: 512,
      markAfterMs: 0,
    });
    return this.#logs[log] as SegmentedWal;
  }

  /** The directory of a log: closed, or as a process leaves it that is killed. */
  async #left(log: number, closes: boolean): Promise<string> {
    const wal = await this.#opened(log);
    if (closes) {
      await wal.close();
      this.#logs[log] = undefined;
    }
    return `/log-${log}`;
  }

  /** Puts a copy of a directory in the place of a log. */
  async #replace(log: number, from: string): Promise<void> {
    const directory = await this.#left(log, true);
    if (!this.#isThere(from)) return;
    const files = snapshot(this.#io, from);
    if (![...files.keys()].some((name) => name.startsWith('wal-'))) return;
    await this.#empty(directory);
    this.#lives[log] = this.#life(log) + 1;
    for (const [name, bytes] of files) writeFile(this.#io, join(directory, name), bytes);
    await this.#opened(log);
  }

  async #empty(directory: string): Promise<void> {
    const io = this.#io;
    if (!this.#isThere(directory)) return;
    for (const name of io.list(directory)) await runAsync(io, ioSteps.remove(io, join(directory, name)));
  }

  #isThere(directory: string): boolean {
    return this.#io.list('/').includes(directory.slice(1));
  }

  #life(log: number): number {
    return this.#lives[log] ?? 0;
  }
}

test('whatever copies of a log go through, a backup that resolves is the log that made it, and others stay as they were', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30, size: 'max' }), async (steps) => {
      const copies = new Copies();
      for (const each of [...BEGINNING, ...steps]) await copies.carryOut(each);
      await copies.close();
    }),
    { numRuns: 150 },
  );
});

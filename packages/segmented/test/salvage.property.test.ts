import { WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readFile, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn, texts } from './support/logs.js';

const CONFIG = { segmentBytes: 2048 };

/** The first LSN that was cut off and given out again. */
const CUT_LSN = 20;

/** A log that was truncated at both ends, with a checkpoint and a hold, and killed. */
function history() {
  const io = restore(make({ groups: Array.from({ length: 24 }, () => [250]), config: CONFIG }).files);
  const wal = openIn(io, CONFIG);
  const before = texts(wal.replay());
  wal.truncateBeforeSync(9);
  wal.truncateAfterSync(CUT_LSN - 1);
  while (wal.nextLsn <= 30) {
    wal.append(`later ${wal.nextLsn}`.padEnd(250));
    wal.syncSync();
  }
  wal.checkpointSync(25);
  wal.holdSync('reader', 12);
  return { firstLsn: wal.firstLsn, before, payloads: texts(wal.replay()), files: snapshot(io, DIRECTORY) };
}

const HISTORY = history();
const NAMES = [...HISTORY.files.keys()];

/** The segment that hides what was cut off. */
const HIDING = NAMES.find((name) => name.endsWith(`${CUT_LSN}.seg`)) as string;

const harm = fc.oneof(
  fc.record({
    kind: fc.constant('flip' as const),
    name: fc.constantFrom(...NAMES),
    where: fc.double({ noNaN: true, min: 0, max: 1 }),
  }),
  fc.record({
    kind: fc.constant('cut' as const),
    name: fc.constantFrom(...NAMES),
    where: fc.double({ noNaN: true, min: 0, max: 1 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), name: fc.constantFrom(...NAMES), where: fc.constant(0) }),
  fc.record({
    kind: fc.constant('zero' as const),
    name: fc.constantFrom(...NAMES),
    where: fc.double({ noNaN: true, min: 0, max: 1 }),
  }),
);

type Harm = typeof harm extends fc.Arbitrary<infer T> ? T : never;

function harmed(files: Snapshot, { kind, name, where }: Harm): Snapshot {
  const bytes = files.get(name);
  if (bytes === undefined) return files;
  const changed = new Map(files);
  const at = Math.min(bytes.length - 1, Math.floor(where * bytes.length));
  if (kind === 'remove') changed.delete(name);
  else if (kind === 'cut') changed.set(name, bytes.slice(0, at));
  else {
    const copy = bytes.slice();
    if (kind === 'flip') copy[at] = (copy[at] as number) ^ 0xff;
    else copy.fill(0, at, at + 600);
    changed.set(name, copy);
  }
  return changed;
}

/** Every file below the directory but the lock, by its bytes: moving one changes nothing here. */
function contents(io: ReturnType<typeof restore>, directory = DIRECTORY): string[] {
  return io
    .list(directory)
    .filter((name) => !name.startsWith('LOCK'))
    .flatMap((name) => {
      const path = `${directory}/${name}`;
      if (io.stat(path).kind === 'directory') return contents(io, path);
      return [Buffer.from(readFile(io, path)).toString('latin1')];
    });
}

test('whatever was done to a log, salvage keeps records that were in it, or says why not; and no segment is lost', () => {
  fc.assert(
    fc.property(
      fc.array(harm, { minLength: 1, maxLength: 3 }),
      fc.option(fc.integer({ min: 1, max: 35 })),
      (harms, lsn) => {
        const files = harms.reduce(harmed, HISTORY.files);
        const io = restore(files);
        const salvageLsn = lsn === null ? {} : { salvageLsn: lsn };
        let wal: SegmentedWal;
        try {
          wal = openIn(io, { ...CONFIG, recoveryMode: 'salvage', ...salvageLsn });
        } catch (error) {
          expect(WalError.is(error)).toBe(true);
          expect(['WAL_CORRUPT', 'WAL_NOT_FOUND', 'WAL_UNSUPPORTED_VERSION', 'WAL_BAD_KEY']).toContain(
            (error as WalError).code,
          );
          expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
          return;
        }
        const { firstLsn, nextLsn } = wal;
        const kept = texts(wal.replay());
        // Without the segment that hides it, nothing tells any more that a tail was cut off: then it is there again.
        const isCutForgotten = files.get(HIDING) !== HISTORY.files.get(HIDING);
        const isBack = isCutForgotten && kept[CUT_LSN - firstLsn] === HISTORY.before[CUT_LSN - 1];
        for (const [index, payload] of kept.entries()) {
          const each = firstLsn + index;
          const expected =
            isBack && each >= CUT_LSN ? HISTORY.before[each - 1] : HISTORY.payloads[each - HISTORY.firstLsn];
          // Below the first one kept, a leftover of the truncation may be there when the checkpoint is not.
          if (expected !== undefined && !(lsn !== null && each >= CUT_LSN)) expect(payload).toBe(expected);
        }
        const { salvage } = wal.recovery;
        if (salvage !== undefined) {
          const still = contents(io);
          for (const name of segmentNames(files)) {
            if (salvage.quarantined.includes(name)) {
              expect(still).toContain(Buffer.from(files.get(name) as Uint8Array).toString('latin1'));
            }
          }
          expect(wal.checkpointLsn).toBeLessThan(nextLsn);
        }
        expect(wal.append('on')).toBe(nextLsn);
        wal.closeSync();
        const again = openIn(io, CONFIG);
        expect([again.firstLsn, again.lastLsn]).toEqual([firstLsn, nextLsn]);
        expect(again.recovery.reason).toBe('clean');
        again.closeSync();
      },
    ),
    {
      numRuns: 1000,
      examples: [
        [
          [
            // Nothing is kept of the first segment, and what says that none was before it is damaged.
            { kind: 'cut', name: NAMES.find((name) => name.startsWith('wal-0000000002')) as string, where: 0.07 },
            { kind: 'flip', name: 'checkpoint', where: 0 },
          ],
          null,
        ],
        // The segment that hides what was cut off is gone, with all behind it.
        [
          NAMES.filter((name) => name.endsWith('.seg') && name >= HIDING).map((name) => ({
            kind: 'remove' as const,
            name,
            where: 0 as const,
          })),
          null,
        ],
      ],
    },
  );
});

import { WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import type { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { restore, type Snapshot, segmentNames } from './support/files.js';
import {
  filesInQuarantine,
  framesIn,
  type HoleLog,
  isChanged,
  lsnsOf,
  makeHoleLog,
  skipCorrupt,
} from './support/hole-logs.js';
import { DIRECTORY, openIn } from './support/logs.js';

const step = fc.record({
  lengths: fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.integer({ min: 8, max: 900 }), { minLength: 1, maxLength: 1 }) },
    { weight: 2, arbitrary: fc.array(fc.integer({ min: 8, max: 200 }), { minLength: 2, maxLength: 5 }) },
  ),
  sync: fc.boolean(),
});

const damage = fc.record({
  kind: fc.constantFrom('flip', 'flip', 'flip', 'garbage', 'zeros', 'cut', 'header'),
  file: fc.nat(),
  // Not `fc.double`, most of whose values are next to 0.
  at: fc.nat(9999).map((part) => part / 10_000),
  length: fc.integer({ min: 1, max: 1500 }),
  seed: fc.nat({ max: 255 }),
});

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damagedBy(files: Snapshot, damages: readonly Damage[]): Snapshot {
  const changed = new Map(files);
  const names = segmentNames(files);
  for (const { kind, file, at, length, seed } of damages) {
    const name = names[file % names.length] as string;
    const bytes = (changed.get(name) as Uint8Array).slice();
    const from = kind === 'header' ? Math.floor(at * 128) : 512 + Math.floor(at * Math.max(0, bytes.length - 512));
    const end = Math.min(bytes.length, from + (kind === 'flip' || kind === 'header' ? 1 : length));
    for (let index = from; index < end; index++) {
      const value = bytes[index] as number;
      bytes[index] = kind === 'zeros' ? 0 : kind === 'garbage' ? (index * 37 + seed) & 0xff : value ^ (seed | 1);
    }
    changed.set(name, kind === 'cut' ? bytes.slice(0, Math.max(from, 512)) : bytes);
  }
  return changed;
}

interface Read {
  readonly lsn: number;
  readonly payload: string;
}

const readAll = (records: Iterable<{ readonly lsn: number; readonly payload: Uint8Array }>): Read[] =>
  [...records].map(({ lsn, payload }) => ({ lsn, payload: Buffer.from(payload).toString() }));

/** Reads a log by resuming behind each hole. */
function readResuming(wal: SegmentedWal): Read[] {
  const found: Read[] = [];
  for (let from = wal.firstLsn; ; ) {
    try {
      for (const { lsn, payload } of wal.replayFrom(from))
        found.push({ lsn, payload: Buffer.from(payload).toString() });
      return found;
    } catch (error) {
      if (!WalError.is(error, 'WAL_HOLE')) throw error;
      expect(error.firstLsn).toBeLessThanOrEqual(error.lastLsn as number);
      from = (error.lastLsn as number) + 1;
    }
  }
}

function openAround(io: StorageIo): SegmentedWal | undefined {
  try {
    return skipCorrupt(io);
  } catch (error) {
    // The files do not show how the log goes on.
    if (WalError.is(error, 'WAL_CORRUPT') && error.message.includes('salvageLsn')) return undefined;
    throw error;
  }
}

/** LSNs that have to be there: of undamaged frames, in batches of which no frame is damaged. */
function expectedLsns({ files, appended }: HoleLog, changed: Snapshot, isOneByte: boolean): ReadonlySet<number> {
  const frames = framesIn(files);
  const batchOf = new Map(appended.map(({ lsn, batch }) => [lsn, batch]));
  const isLost = (index: number, from: number, to: number): boolean => {
    const { name, start } = frames[index] as (typeof frames)[number];
    const before = files.get(name) as Uint8Array;
    return isChanged(before, changed.get(name), start + from, start + to);
  };
  const lostBatches = new Set<number>();
  const damaged = new Set<number>();
  for (const [index, { name, lsn, start, end, isRecord }] of frames.entries()) {
    if (!isRecord) continue;
    const isFileLost = isChanged(files.get(name) as Uint8Array, changed.get(name), 0, 128);
    if (!isFileLost && !isLost(index, 0, end - start)) continue;
    lostBatches.add(batchOf.get(lsn) as number);
    damaged.add(lsn);
  }
  const expected = new Set<number>();
  for (const { lsn, batch } of appended) {
    if (lostBatches.has(batch)) continue;
    // Behind a record with more than one damaged byte it is not known whether a batch begins.
    if (damaged.has(batch - 1) && !isOneByte) continue;
    expected.add(lsn);
  }
  return expected;
}

test('every record is there whose frame and batch are undamaged, and each missing LSN is in one hole', () => {
  let salvaged = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.boolean(),
      fc.oneof(fc.array(damage, { minLength: 1, maxLength: 6 }), fc.array(damage, { minLength: 1, maxLength: 1 })),
      (steps, close, damages) => {
        const log = makeHoleLog(steps, close);
        const changed = damagedBy(log.files, damages);
        const io = restore(changed);
        const wal = openAround(io);
        if (wal === undefined) return;
        const { holes, salvage, records, firstLsn, lastLsn } = wal.recovery;
        if (salvage !== undefined) salvaged++;
        const read = readAll(wal.replay({ onHole: 'skip' }));

        // What is there is what was appended, and nothing else.
        const byLsn = new Map(log.appended.map((each) => [each.lsn, each]));
        for (const { lsn, payload } of read) expect(payload).toBe(byLsn.get(lsn)?.payload);
        expect(records).toBe(read.length);

        // Each LSN is a record or in exactly one hole.
        const all = [...read.map(({ lsn }) => lsn), ...lsnsOf(holes)].sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: lastLsn - firstLsn + 1 }, (_, index) => firstLsn + index));

        // Batches are whole.
        const there = new Set(read.map(({ lsn }) => lsn));
        for (const { lsn, batch } of log.appended) expect(there.has(lsn)).toBe(there.has(batch));

        // Everything intact is there, up to where nothing proves that there was more.
        const expected = expectedLsns(log, changed, damages.length === 1 && damages[0]?.kind === 'flip');
        for (const lsn of expected) if (lsn >= firstLsn && lsn <= lastLsn) expect(there.has(lsn)).toBe(true);
        for (const { name, start, end, lsn, lag } of framesIn(log.files)) {
          const isProof = !isChanged(log.files.get(name) as Uint8Array, changed.get(name), start, end);
          const isReadable = !isChanged(log.files.get(name) as Uint8Array, changed.get(name), 0, 128);
          if (isProof && isReadable) expect(lsn - lag).toBeLessThanOrEqual(lastLsn);
        }
        if (firstLsn > 1) expect(salvage?.lost[0]?.fromLsn).toBeLessThan(firstLsn);

        expect(readResuming(wal)).toEqual(read);
        expect(readAll(replayDirectory(DIRECTORY, { io, onHole: 'skip' }))).toEqual(read);
        for (const { firstLsn: first, lastLsn: last } of holes) {
          for (const lsn of [first, last]) {
            expect(() => wal.readSync(lsn)).toThrow(expect.objectContaining({ code: 'WAL_HOLE' }));
          }
        }
        const next = wal.append('onward');
        expect(next).toBe(lastLsn + 1);
        wal.closeSync();

        // Nothing is lost of the damaged files.
        for (const [name, bytes] of filesInQuarantine(io)) {
          expect(Buffer.compare(bytes, changed.get(name) as Uint8Array)).toBe(0);
        }

        // A log with holes is sound.
        const again = openIn(io, { segmentBytes: 4096 });
        expect(again.recovery).toMatchObject({ reason: 'clean', holes, records: records + 1, firstLsn });
        expect(readAll(again.replay({ onHole: 'skip' }))).toEqual([...read, { lsn: next, payload: 'onward' }]);
        again.closeSync();
      },
    ),
    { numRuns: Number(process.env['HOLES_RUNS'] ?? 300) },
  );
  expect(salvaged).toBeGreaterThan(0);
});

import { WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import type { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changed, flip, restore, type Snapshot, segmentNames, snapshot } from './support/files.js';
import {
  damageAt,
  filesInQuarantine,
  forgedHeaders,
  framesIn,
  type HoleLog,
  isChanged,
  lsnsOf,
  makeBatches,
  makeHoleLog,
  salvagedOf,
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
        const present = damagedBy(log.files, damages);
        const io = restore(present);
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
        const expected = expectedLsns(log, present, damages.length === 1 && damages[0]?.kind === 'flip');
        for (const lsn of expected) if (lsn >= firstLsn && lsn <= lastLsn) expect(there.has(lsn)).toBe(true);
        for (const { name, start, end, lsn, lag } of framesIn(log.files)) {
          const isProof = !isChanged(log.files.get(name) as Uint8Array, present.get(name), start, end);
          const isReadable = !isChanged(log.files.get(name) as Uint8Array, present.get(name), 0, 128);
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
          expect(Buffer.compare(bytes, present.get(name) as Uint8Array)).toBe(0);
        }

        // A log with holes is sound.
        const again = openIn(io, { segmentBytes: 4096 });
        expect(again.recovery).toMatchObject({ reason: 'clean', holes, records: records + 1, firstLsn });
        expect(readAll(again.replay({ onHole: 'skip' }))).toEqual([...read, { lsn: next, payload: 'onward' }]);
        again.closeSync();

        // A byte of a hole costs nothing more.
        const left = snapshot(io, DIRECTORY);
        const inHoles = framesIn(left).filter(({ isHole }) => isHole);
        const { at, seed } = damages[0] as Damage;
        const hit = inHoles[Math.floor(at * inHoles.length)];
        if (hit === undefined) return;
        const offset = hit.start + (seed % (hit.end - hit.start));
        const once = skipCorrupt(restore(changed(left, hit.name, flip(offset, seed | 1))));
        expect(readAll(once.replay({ onHole: 'skip' }))).toEqual([...read, { lsn: next, payload: 'onward' }]);
        once.closeSync();
      },
    ),
    { numRuns: Number(process.env['HOLES_RUNS'] ?? 300) },
  );
  expect(salvaged).toBeGreaterThan(0);
});

test('whatever a long record holds, no part of its batch is there when its flags and more of it are damaged', () => {
  const byte = fc.tuple(
    fc.nat(9999).map((part) => part / 10_000),
    fc.integer({ min: 1, max: 255 }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 66_000, max: 1_000_000 }),
      fc.boolean(),
      fc.boolean(),
      fc.array(byte, { minLength: 1, maxLength: 3 }),
      (anyLength, isForged, isAlone, bytes) => {
        // Many long frames that are made up end the search.
        const length = isForged ? 32_768 + (anyLength % 32_768) : anyLength;
        const long = isForged ? forgedHeaders(length, isAlone ? 3 : 4) : 'l'.repeat(length);
        const files = makeBatches([['1'], ['2'], [...(isAlone ? [] : ['3']), long, '5', '6'], ['7']]);
        const lsn = isAlone ? 3 : 4;
        const inPayload = bytes.map(([part, mask]) => [32 + Math.floor(part * (length - 1)), mask] as const);
        const damaged = damageAt(isAlone ? files : damageAt(files, 3, [32, 1]), lsn, [26, 1], ...inPayload);
        expect(salvagedOf(damaged).there).toEqual([1, 2, lsn + 3, lsn + 4]);
      },
    ),
    { numRuns: Number(process.env['HOLES_RUNS'] ?? 60) },
  );
});

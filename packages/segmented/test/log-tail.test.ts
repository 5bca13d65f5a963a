import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions, type WalRecord } from '@walstack/mmap-reader';
import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';
import { readFile, writeFile } from './support/files.js';
import { DIRECTORY, recordsOf } from './support/logs.js';

/** The last byte is no zero: what is cut off is seen to be. */
const text = (lsn: number, length = 20): string =>
  `${'x'.repeat(Math.max(0, length - 8))}-${String(lsn).padStart(7, '0')}`;

const open: SegmentedWal[] = [];

/** A log of small segments, whose timers are fired by hand. */
function logIn(io: StorageIo, environment = new TestEnvironment(), directory = DIRECTORY): SegmentedWal {
  const wal = SegmentedWal.openSync({ directory, io, blockBytes: 512, segmentBytes: 2048, ...environment.options });
  open.push(wal);
  return wal;
}

function append(wal: SegmentedWal, count: number, length?: number): void {
  for (let index = 0; index < count; index++) wal.append(text(wal.nextLsn, length));
}

/** Everything that there is to read now. */
function drain(tail: LogTail): WalRecord[] {
  const records: WalRecord[] = [];
  while (tail.advanceSync()) for (let record = tail.next(); record; record = tail.next()) records.push(record);
  return records;
}

const lsnsOf = (records: readonly WalRecord[]): number[] => records.map(({ lsn }) => lsn);

const lsns = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

/** The newest segment's path. */
const newestIn = (io: StorageIo, directory = DIRECTORY): string =>
  join(
    directory,
    io
      .list(directory)
      .filter((name) => name.startsWith('wal-'))
      .at(-1) as string,
  );

/** Calls `advance` until it throws. */
function failureOf(tail: LogTail): WalError {
  try {
    for (let turn = 0; turn < 100; turn++) drain(tail);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

afterEach(() => {
  for (const wal of open.splice(0)) wal.closeSync({ discard: true });
});

describe('a tail', () => {
  it('gives out what was handed over, then nothing, and later on what has come since', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    using tail = new LogTail(io, DIRECTORY);
    expect(tail.nextLsn).toBeUndefined();
    expect(tail.advanceSync()).toBe(false);
    expect(tail.nextLsn).toBe(1);
    append(wal, 3);
    expect(drain(tail)).toEqual([]);
    wal.flushSync();
    const records = drain(tail);
    expect(records.map(({ payload }) => Buffer.from(payload).toString())).toEqual([text(1), text(2), text(3)]);
    append(wal, 1);
    wal.flushSync();
    expect(lsnsOf(drain(tail))).toEqual([4]);
    expect(tail.nextLsn).toBe(5);
  });

  it('goes on from segment to segment, also those that were made meanwhile', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 100);
    wal.syncSync();
    using tail = new LogTail(io, DIRECTORY);
    expect(lsnsOf(drain(tail))).toEqual(lsns(1, 100));
    for (let round = 0; round < 20; round++) {
      append(wal, 17);
      wal.syncSync();
      expect(lsnsOf(drain(tail))).toEqual(lsns(101 + 17 * round, 117 + 17 * round));
    }
    expect(wal.listSegments().length).toBeGreaterThan(10);
  });

  it('begins at the given LSN: in the middle, at the end, or behind it', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 100);
    wal.syncSync();
    for (const from of [1, 2, 50, 99, 100, 101, 130]) {
      using tail = new LogTail(io, DIRECTORY, { from });
      const before = drain(tail);
      expect(lsnsOf(before)).toEqual(lsns(from, 100));
    }
    using ahead = new LogTail(io, DIRECTORY, { from: 130 });
    expect(drain(ahead)).toEqual([]);
    append(wal, 60);
    wal.syncSync();
    expect(lsnsOf(drain(ahead))).toEqual(lsns(130, 160));
  });

  it('with durableOnly gives out only what is proven to survive a crash: by a mark, or by a later group', () => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    const wal = logIn(io, environment);
    using tail = new LogTail(io, DIRECTORY, { durableOnly: true });
    append(wal, 2);
    wal.flushSync();
    expect(drain(tail)).toEqual([]);
    wal.syncSync();
    // Durable, but nothing in the file says so yet.
    expect(drain(tail)).toEqual([]);
    append(wal, 1);
    wal.flushSync();
    expect(lsnsOf(drain(tail))).toEqual([1, 2]);
    expect(tail.provenLsn).toBe(2);
    wal.syncSync();
    for (let turn = 0; turn < 3; turn++) environment.fire();
    wal.flushSync();
    expect(lsnsOf(drain(tail))).toEqual([3]);
    expect(tail.provenLsn).toBe(3);
  });

  it('returns no records beyond the limit that the writer states', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    using tail = new LogTail(io, DIRECTORY, { upTo: () => wal.durableLsn });
    append(wal, 90);
    wal.syncSync();
    append(wal, 4);
    wal.flushSync();
    expect(lsnsOf(drain(tail))).toEqual(lsns(1, 90));
    wal.syncSync();
    expect(lsnsOf(drain(tail))).toEqual(lsns(91, 94));
    let limit = 0;
    using slow = new LogTail(io, DIRECTORY, { upTo: () => limit });
    const seen: number[] = [];
    for (; limit <= 94; limit += 7) seen.push(...lsnsOf(drain(slow)));
    expect(seen).toEqual(lsns(1, 91));
  });

  it('gives out a batch whole', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 1);
    const batch = new Batch();
    for (let index = 0; index < 5; index++) batch.add(text(index, 100));
    wal.appendBatch(batch);
    wal.syncSync();
    const path = newestIn(io);
    const whole = readFile(io, path);
    const batchRecords = recordsOf(whole).filter(({ lsn, mark }) => lsn > 1 && !mark);
    // Cut anywhere in the batch: as if its group were still being written.
    for (const { start } of batchRecords) {
      writeFile(io, path, whole.slice(0, start + 10));
      using tail = new LogTail(io, DIRECTORY);
      expect(lsnsOf(drain(tail))).toEqual([1]);
      writeFile(io, path, whole);
      expect(lsnsOf(drain(tail))).toEqual(lsns(2, 6));
    }
  });

  it('says that what comes next was truncated, with the first LSN that is there', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 10);
    wal.syncSync();
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    append(wal, 200);
    wal.syncSync();
    wal.truncateBeforeSync(150);
    // The segment that it has open it may read to its end.
    expect(failureOf(tail)).toMatchObject({ code: 'WAL_TRUNCATED', lsn: tail.nextLsn, firstLsn: wal.firstLsn });
    const below = new LogTail(io, DIRECTORY, { from: 3 });
    expect(failureOf(below)).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 3, firstLsn: wal.firstLsn });
    // What was read to its end may go.
    using next = new LogTail(io, DIRECTORY);
    expect(lsnsOf(drain(next))).toEqual(lsns(wal.firstLsn, 210));
    wal.truncateBeforeSync(wal.nextLsn);
    append(wal, 2);
    wal.syncSync();
    expect(lsnsOf(drain(next))).toEqual([211, 212]);
  });

  it('says that what it gave out was taken back, when a crash did that', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 3);
    wal.syncSync();
    append(wal, 4);
    wal.flushSync();
    using tail = new LogTail(io, DIRECTORY);
    using durable = new LogTail(io, DIRECTORY, { durableOnly: true });
    expect(lsnsOf(drain(tail))).toEqual(lsns(1, 7));
    expect(lsnsOf(drain(durable))).toEqual(lsns(1, 3));
    wal.closeSync({ discard: true });
    // As if the last group had never reached the disk.
    const path = newestIn(io);
    const bytes = readFile(io, path);
    const lost = recordsOf(bytes).find(({ lsn }) => lsn === 4) as { start: number };
    writeFile(io, path, bytes.slice(0, lost.start));
    const again = logIn(io, new TestEnvironment(2));
    expect(again.nextLsn).toBe(4);
    append(again, 6);
    again.syncSync();
    expect(failureOf(tail)).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 4 });
    append(again, 1);
    again.flushSync();
    expect(lsnsOf(drain(durable))).toEqual(lsns(4, 9));
  });

  it('calls nothing corrupt that is not there yet, and what was acknowledged and is damaged after a while', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    for (let round = 0; round < 4; round++) {
      append(wal, 2);
      wal.syncSync();
    }
    const path = newestIn(io);
    const whole = readFile(io, path);
    const second = recordsOf(whole).find(({ lsn }) => lsn === 2) as { start: number };
    const damaged = whole.slice();
    damaged[second.start + 40] = (damaged[second.start + 40] as number) ^ 1;
    writeFile(io, path, damaged);
    using tail = new LogTail(io, DIRECTORY);
    for (let turn = 0; turn < 5; turn++) drain(tail);
    writeFile(io, path, whole);
    expect(lsnsOf(drain(tail)).at(-1)).toBe(8);
    writeFile(io, path, damaged);
    using other = new LogTail(io, DIRECTORY);
    expect(failureOf(other)).toMatchObject({ code: 'WAL_CORRUPT', lsn: 2, offset: second.start, reason: 'hole' });
    // Nothing proves that it was ever there.
    writeFile(io, path, whole.slice(0, second.start + 9));
    using torn = new LogTail(io, DIRECTORY);
    for (let turn = 0; turn < 100; turn++) expect(lsnsOf(drain(torn))).toEqual(turn === 0 ? [1] : []);
  });

  it('says what is damaged in a segment that has a successor', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    append(wal, 100);
    wal.syncSync();
    const { path } = wal.listSegments()[1] as { path: string };
    const bytes = readFile(io, path);
    const { start, lsn } = recordsOf(bytes)[3] as { start: number; lsn: number };
    bytes[start + 33] = (bytes[start + 33] as number) ^ 1;
    writeFile(io, path, bytes);
    using tail = new LogTail(io, DIRECTORY);
    expect(failureOf(tail)).toMatchObject({
      code: 'WAL_CORRUPT',
      path,
      lsn,
      offset: start,
      reason: 'hole-before-successor',
    });
  });

  it('refuses a directory without a log, wrong options, and calls after its end', () => {
    const io = createMemoryStorageIo();
    io.makeDirectory('/empty');
    expect(failureOf(new LogTail(io, '/empty'))).toMatchObject({ code: 'WAL_NOT_FOUND' });
    expect(failureOf(new LogTail(io, '/nothing'))).toMatchObject({ code: 'WAL_NOT_FOUND' });
    const tail = new LogTail(io, '/empty');
    tail.close();
    tail.close();
    expect(failureOf(tail)).toMatchObject({ code: 'WAL_CLOSED' });
    expect(tail.next()).toBeUndefined();
    for (const options of [{ from: 0 }, { from: 1.5 }, { from: -1 }]) {
      expect(() => new LogTail(io, '/log', options)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    }
    for (const options of [{ from: '7' }, { upTo: 7 }, { durableOnly: 1 }, { copy: 'no' }, { form: 1 }]) {
      const make = () => new LogTail(io, '/log', options as unknown as LogTailOptions);
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    }
  });

  it('sees a prefix of what was appended, whatever the writer does, and in the end all of it', () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('append' as const),
          count: fc.integer({ min: 1, max: 12 }),
          length: fc.integer({ min: 8, max: 700 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('batch' as const),
          count: fc.integer({ min: 1, max: 6 }),
          length: fc.integer({ min: 8, max: 400 }),
        }),
      },
      fc.record({
        do: fc.constantFrom(
          'flush' as const,
          'sync' as const,
          'quiet' as const,
          'truncate' as const,
          'reopen' as const,
        ),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        fc.boolean(),
        (steps, durableOnly, copy) => {
          const io = createMemoryStorageIo();
          const environment = new TestEnvironment();
          let wal = logIn(io, environment);
          using tail = new LogTail(io, DIRECTORY, { durableOnly, copy });
          let next = 1;
          const look = (): void => {
            const known = durableOnly ? wal.durableLsn : wal.lastLsn;
            while (tail.advanceSync()) {
              for (let record = tail.next(); record; record = tail.next()) {
                expect(record.lsn).toBe(next);
                expect(Buffer.from(record.payload).toString().slice(-8)).toBe(text(next).slice(-8));
                expect(record.lsn).toBeLessThanOrEqual(known);
                next++;
              }
            }
          };
          for (const each of steps) {
            if (each.do === 'append') append(wal, each.count, each.length);
            else if (each.do === 'batch') {
              const batch = new Batch();
              for (let index = 0; index < each.count; index++) batch.add(text(wal.nextLsn + index, each.length));
              wal.appendBatch(batch);
            } else if (each.do === 'flush') wal.flushSync();
            else if (each.do === 'sync') wal.syncSync();
            else if (each.do === 'quiet') environment.fire();
            else if (each.do === 'truncate') wal.truncateBeforeSync(next);
            else {
              wal.closeSync();
              wal = logIn(io, environment);
            }
            look();
          }
          wal.closeSync();
          look();
          expect(next).toBe(wal.nextLsn);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe.each(BACKENDS)('a tail on %s', (_name, create) => {
  it('reads beside the writer, across rolls', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({
      directory,
      io,
      blockBytes: 4096,
      segmentBytes: 64 * 1024,
      recycleSegments: 2,
    });
    const tail = new LogTail(io, directory, { upTo: () => wal.durableLsn });
    const seen: number[] = [];
    for (let round = 0; round < 60; round++) {
      append(wal, 50, 100);
      const synced = wal.sync();
      while (await tail.advance()) {
        for (let record = tail.next(); record; record = tail.next()) {
          expect(Buffer.from(record.payload).toString()).toBe(text(record.lsn, 100));
          seen.push(record.lsn);
        }
      }
      await synced;
      if (round % 10 === 9) await wal.truncateBefore((tail.nextLsn as number) - 1);
    }
    while (await tail.advance()) for (let record = tail.next(); record; record = tail.next()) seen.push(record.lsn);
    expect(seen).toEqual(lsns(1, 3000));
    tail.close();
    await wal.close();
    await io.dispose();
  });
});

it('a tail of another backend follows a writer that writes around the page cache', async () => {
  const writers = BACKENDS.filter(([name]) => name === 'io-uring' || name === 'thread-pool');
  for (const [, create] of writers) {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({ directory, io, segmentBytes: 256 * 1024 });
    const other = createSyncFsStorageIo();
    using tail = new LogTail(other, directory, { durableOnly: true });
    let last = 0;
    for (let round = 0; round < 100; round++) {
      append(wal, 20, 100);
      await wal.sync();
      for (const { lsn, payload } of drain(tail)) {
        expect(lsn).toBe(last + 1);
        expect(Buffer.from(payload).toString()).toBe(text(lsn, 100));
        last = lsn;
      }
    }
    expect(last).toBeGreaterThanOrEqual(1980);
    await wal.close();
    expect(lsnsOf(drain(tail)).at(-1)).toBe(2000);
    tail.close();
    await io.dispose();
    await other.dispose();
  }
});

import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY, openIn } from './support/logs.js';

const MEBIBYTE = 1024 * 1024;

/** A log that notes how much memory it asks its backend for. */
function opened(segmentBytes: number) {
  const io = createMemoryStorageIo();
  const asked: number[] = [];
  const { allocateBuffer } = io;
  Object.defineProperty(io, 'allocateBuffer', {
    value: (bytes: number) => {
      asked.push(bytes);
      return allocateBuffer.call(io, bytes);
    },
  });
  const wal = openIn(io, { segmentBytes, preallocate: 'none' });
  asked.length = 0;
  const append = (bytes: number): void => {
    wal.append(new Uint8Array(bytes));
    wal.syncSync();
  };
  return { wal, append, asked };
}

test.each([
  ['a segment that is shorter than a chunk', 512 * 1024, [512 * 1024 - 512]],
  ['a long segment', 64 * MEBIBYTE, [MEBIBYTE]],
])('many small groups in %s share one piece of memory', (_name, segmentBytes, expected) => {
  const { append, asked } = opened(segmentBytes);
  for (let each = 0; each < 50; each++) append(100);
  expect(asked).toEqual(expected);
});

test('what comes behind large records takes the memory that was kept, not that of the large ones', () => {
  const { append, asked } = opened(64 * MEBIBYTE);
  append(100);
  for (let each = 0; each < 3; each++) {
    append(3 * MEBIBYTE);
    append(100);
  }
  expect(asked.filter((bytes) => bytes > MEBIBYTE)).toHaveLength(3);
  expect(asked.filter((bytes) => bytes <= MEBIBYTE)).toEqual([MEBIBYTE]);
});

test('memory of a large record is given back when that is written, whatever room is left in it', () => {
  const { append, asked } = opened(64 * MEBIBYTE);
  append(3 * MEBIBYTE - 300);
  append(10);
  expect(asked).toEqual([expect.any(Number), MEBIBYTE]);
});

test('what is pending stays as it is when what comes behind it needs more memory', () => {
  const { wal, append } = opened(64 * MEBIBYTE);
  append(100);
  for (let each = 1; each <= 30; each++) wal.append(new Uint8Array(100_000).fill(each));
  wal.syncSync();
  const found = [...wal.replay()].slice(1).map(({ payload }) => [payload[0], payload.at(-1)]);
  expect(found).toEqual(Array.from({ length: 30 }, (_, index) => [index + 1, index + 1]));
});

test('memory for the end of a segment is not taken for a whole piece', () => {
  const { wal, append } = opened(1.5 * MEBIBYTE);
  for (let each = 0; each < 40; each++) {
    append(100_000);
    if (each % 5 === 0) append(700_000);
  }
  expect([...wal.replay()].map(({ payload }) => payload.length).filter((length) => length === 700_000)).toHaveLength(8);
});

test('of the memory for much that is pending at a time, two pieces are kept', () => {
  const { wal, asked } = opened(64 * MEBIBYTE);
  const round = (): number => {
    asked.length = 0;
    for (let each = 0; each < 100; each++) wal.append(new Uint8Array(100_000));
    wal.syncSync();
    return asked.length;
  };
  const first = round();
  expect(first).toBeGreaterThan(8);
  // The piece that is being filled, and two that were kept.
  expect(round()).toBeGreaterThanOrEqual(first - 3);
  expect(round()).toBeLessThan(first);
});

test('what is pending stays as it is when what stood before it in the same memory has been written', async () => {
  const io = new SimulatedDisk().createStorageIo({ completesInline: false, overlappedWrites: true });
  const options = { ...new TestEnvironment().options, blockBytes: 512, segmentBytes: 64 * MEBIBYTE };
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, preallocate: 'none', ...options });
  const append = (first: number): void => {
    for (let each = first; each < first + 15; each++) wal.append(new Uint8Array(100_000).fill(each));
  };
  wal.append(new Uint8Array(100_000).fill(1));
  const synced = wal.sync();
  append(2);
  await synced;
  // What came behind it is in the rest of its memory, and in more.
  expect(wal.durableLsn).toBe(1);
  append(17);
  await wal.sync();
  const found = [...wal.replay()].map(({ payload }) => [payload[0], payload.at(-1)]);
  expect(found).toEqual(Array.from({ length: 31 }, (_, index) => [index + 1, index + 1]));
  await wal.close();
});

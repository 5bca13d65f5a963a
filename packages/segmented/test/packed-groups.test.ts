import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { beforeEach, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { readFile } from './support/files.js';
import { DIRECTORY, texts } from './support/logs.js';

const BLOCK_BYTES = 512;

let disk: SimulatedDisk;
/** Each write of records: its first block, and the block behind it. */
let writes: [number, number][];

/** A backend with several durable writes in flight, around the page cache. */
function ring(): StorageIo {
  const io = disk.createStorageIo({
    completesInline: false,
    overlappedWrites: true,
    durableWrites: true,
    directAlignment: BLOCK_BYTES,
  });
  const submitWrite = io.submitWrite.bind(io);
  const recorded: StorageIo['submitWrite'] = (file, data, offset, options) => {
    if (offset >= BLOCK_BYTES) writes.push([offset / BLOCK_BYTES, (offset + data.length) / BLOCK_BYTES]);
    return submitWrite(file, data, offset, options);
  };
  return Object.defineProperty(io, 'submitWrite', { value: recorded });
}

function open(config: Partial<SegmentedWalConfig> = {}): Promise<SegmentedWal> {
  return SegmentedWal.open({
    directory: DIRECTORY,
    io: ring(),
    blockBytes: BLOCK_BYTES,
    preallocate: 'none',
    markAfterMs: 0,
    ...new TestEnvironment().options,
    ...config,
  });
}

const payload = (index: number): string => `${index}/`.padEnd(60, 'x');

beforeEach(() => {
  disk = new SimulatedDisk();
  writes = [];
});

/** What is left after a power cut, by a fresh log. */
async function readAgain(): Promise<string[]> {
  const left = disk.crash('none');
  const io = left.createStorageIo();
  const wal = SegmentedWal.openSync({
    directory: DIRECTORY,
    io,
    blockBytes: BLOCK_BYTES,
    ...new TestEnvironment(2).options,
  });
  const read = texts(wal.replay());
  wal.closeSync();
  return read;
}

test('a group begins in the block that holds the end of the last one, when that is not in flight any more', async () => {
  const wal = await open();
  for (let index = 0; index < 10; index++) {
    wal.append(payload(index));
    await wal.sync();
  }
  // A frame has 92 bytes: the sixth one begins in the block of the fifth, and ends in the next one.
  expect(writes).toEqual([...Array(5).fill([1, 2]), [1, 3], ...Array(4).fill([2, 3])]);
  expect(wal.stats().pendingBytes).toBe(0);
  expect(await readAgain()).toEqual(Array.from({ length: 10 }, (_, index) => payload(index)));
  await wal.close().catch(() => {});
});

test('a group that begins while the last one is in flight begins in the next block', async () => {
  const wal = await open();
  const syncs: Promise<void>[] = [];
  for (let index = 0; index < 4; index++) {
    wal.append(payload(index));
    wal.append(payload(index));
    syncs.push(
      new Promise((resolve, reject) =>
        wal.startSync((failure) => (failure === undefined ? resolve() : reject(failure))),
      ),
    );
  }
  await Promise.all(syncs);
  expect(writes).toEqual([
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 5],
  ]);
  wal.append(payload(4));
  await wal.sync();
  expect(writes.at(-1)).toEqual([4, 5]);
  expect(wal.stats().pendingBytes).toBe(0);
  expect(await readAgain()).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4].map(payload));
  await wal.close().catch(() => {});
});

test('zeros follow the last frame of a write, whatever the memory held before', async () => {
  const io = ring();
  const allocateBuffer = io.allocateBuffer.bind(io);
  Object.defineProperty(io, 'allocateBuffer', { value: (bytes: number) => allocateBuffer(bytes).fill(0xab) });
  const wal = await open({ io });
  wal.append(payload(0));
  await wal.sync();
  const [segment] = wal.listSegments();
  const bytes = readFile(disk.createStorageIo(), segment?.path as string);
  const behind = bytes.subarray(segment?.sizeBytes);
  expect(behind.length).toBeGreaterThan(BLOCK_BYTES / 2);
  expect(behind.every((byte) => byte === 0)).toBe(true);
  await wal.close();
});

test('with padGroups no block is written again', async () => {
  const wal = await open({ padGroups: true });
  for (let index = 0; index < 3; index++) {
    wal.append(payload(index));
    await wal.sync();
  }
  expect(writes).toEqual([
    [1, 2],
    [2, 3],
    [3, 4],
  ]);
  expect(await readAgain()).toEqual([0, 1, 2].map(payload));
  await wal.close().catch(() => {});
});

test('a segment does not become longer than segmentBytes by groups that begin in the next block', async () => {
  const wal = await open({ segmentBytes: 8 * BLOCK_BYTES, maxInFlight: 16 });
  const syncs: Promise<void>[] = [];
  for (let index = 0; index < 30; index++) {
    wal.append(payload(index));
    syncs.push(
      new Promise((resolve, reject) =>
        wal.startSync((failure) => (failure === undefined ? resolve() : reject(failure))),
      ),
    );
  }
  await Promise.all(syncs);
  expect(wal.listSegments().every(({ sizeBytes }) => sizeBytes <= 8 * BLOCK_BYTES)).toBe(true);
  expect(await readAgain()).toEqual(Array.from({ length: 30 }, (_, index) => payload(index)));
  await wal.close().catch(() => {});
});

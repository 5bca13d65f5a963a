import { LogTail } from '@walstack/mmap-reader';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

interface Write {
  /** Whether it writes zeros only. */
  readonly prepares: boolean;
  readonly bytes: number;
  /** Whether the file became longer by it. */
  readonly grows: boolean;
}

/** A backend with several durable writes in flight, and its writes. */
function watchedRing(disk: SimulatedDisk): { io: StorageIo; writes: Write[] } {
  const options = { completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 };
  const io = disk.createStorageIo(options);
  const submitWrite = io.submitWrite.bind(io);
  const writes: Write[] = [];
  const watched: StorageIo['submitWrite'] = (file, data, offset, flags) => {
    writes.push({
      prepares: data.every((byte) => byte === 0),
      bytes: data.length,
      grows: offset + data.length > io.size(file),
    });
    return submitWrite(file, data, offset, flags);
  };
  return { io: Object.defineProperty(io, 'submitWrite', { value: watched }), writes };
}

async function open(config: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const { io, writes } = watchedRing(disk);
  const environment = new TestEnvironment().options;
  // Without a reserve, which is written with zeros as well.
  const own = { markAfterMs: 0, segmentBytes: 8 * MEBIBYTE, reserveBytes: 0 };
  const settings = { directory: DIRECTORY, io, ...own, ...environment, ...config };
  return { disk, io, writes, wal: await SegmentedWal.open(settings) };
}

async function appendAll(wal: SegmentedWal, count: number, bytes: number): Promise<void> {
  for (let each = 0; each < count; each++) {
    wal.append(new Uint8Array(bytes).fill(each));
    await wal.sync();
  }
}

test('a file that is written to does not grow, and each next one is prepared whole, four times as long', async () => {
  const { writes, wal } = await open();
  await appendAll(wal, 1400, 4000);
  const sizes = wal.listSegments().map(({ sizeBytes }) => sizeBytes);
  expect(sizes.slice(0, 3).map((bytes) => Math.round(bytes / (128 * KIBIBYTE)))).toEqual([2, 8, 32]);
  // The header of the first segment.
  expect(writes.filter(({ prepares, grows }) => grows && !prepares)).toHaveLength(1);
  const prepared = writes.filter(({ prepares }) => prepares);
  expect(Math.max(...prepared.map(({ bytes }) => bytes))).toBeLessThanOrEqual(256 * KIBIBYTE);
  expect(wal.stats().preparation).toMatchObject({ segmentBytes: 8 * MEBIBYTE });
  await wal.close();
});

test('a segment that would have to grow is left in the middle of a group where the next one is ready', async () => {
  const { wal } = await open();
  const payload = new Uint8Array(4000);
  wal.append(payload);
  // Nothing is prepared for the beginning of a segment by a flush.
  await wal.flush();
  for (let each = 0; each < 60 && wal.stats().preparation.state !== 'ready'; each++) {
    await appendAll(wal, 1, payload.length);
    await turns(20);
  }
  expect(wal.position).toBeLessThan(256 * KIBIBYTE);
  for (let each = 0; each < 100; each++) wal.append(payload);
  await wal.sync();
  const [first, ...others] = wal.listSegments();
  expect(first?.sizeBytes).toBeLessThanOrEqual(256 * KIBIBYTE);
  expect(others).toHaveLength(1);
  await wal.close();
});

test('what is prepared follows what is used: little by little, and no more than is due', async () => {
  const { wal } = await open();
  const seen: number[] = [];
  for (let each = 0; each < 60; each++) {
    await appendAll(wal, 1, 4000);
    await turns(20);
    if (wal.stats().rolls > 0) break;
    seen.push(wal.stats().preparation.preparedBytes);
  }
  expect(seen[0]).toBe(0);
  expect(seen.at(-1)).toBe(MEBIBYTE);
  expect(seen).toEqual([...seen].sort((one, other) => one - other));
  expect(new Set(seen).size).toBeGreaterThanOrEqual(12);
  await wal.close();
});

test('groups that are large are written to files that grow, and nothing is prepared for them', async () => {
  const { writes, wal } = await open({ segmentBytes: 2 * MEBIBYTE });
  await appendAll(wal, 20, 400 * KIBIBYTE);
  expect(wal.stats()).toMatchObject({ preparation: { state: 'off', preparedBytes: 0, segmentBytes: 0 } });
  expect(wal.stats().rolls).toBeGreaterThan(2);
  expect(writes.filter(({ prepares }) => prepares)).toEqual([]);
  await wal.close();
});

test('without room nothing is prepared, and the log goes on in the file that it has', async () => {
  const { disk, wal } = await open();
  await appendAll(wal, 2, 4000);
  disk.capacityBytes = disk.usedBytes + 40 * KIBIBYTE;
  await appendAll(wal, 55, 4000);
  await turns(50);
  expect(wal.stats()).toMatchObject({ rolls: 0, preparation: { state: 'no-space', preparedBytes: 0 } });
  expect(wal.durableLsn).toBe(57);
  expect(wal.failure).toBeUndefined();
  await wal.close();
});

test('a next segment that is not ready yet is not waited for: the file grows until it is', async () => {
  const { disk, wal } = await open();
  await appendAll(wal, 2, 4000);
  disk.failWhen(({ kind, path }) => (kind === 'create' && path.endsWith('next.seg') ? 'ENOSPC' : undefined));
  await appendAll(wal, 100, 4000);
  expect(wal.listSegments()).toHaveLength(1);
  expect(wal.listSegments()[0]?.sizeBytes).toBeGreaterThan(400_000);
  await wal.close();
});

test('a clean close of a log without records prepares nothing', async () => {
  const { writes, wal } = await open();
  await wal.close();
  expect(Math.max(0, ...writes.map(({ bytes }) => bytes))).toBeLessThanOrEqual(4096);
});

test('a reader at the end of a prepared segment does not read all of it at each look', async () => {
  const { disk, wal } = await open();
  await appendAll(wal, 80, 4000);
  expect(wal.stats().rolls).toBe(1);
  const io = disk.createStorageIo();
  const tail = new LogTail(io, DIRECTORY, { from: 80 });
  const look = (): { lsns: number[]; bytesRead: number } => {
    const before = io.stats().bytesRead;
    const lsns: number[] = [];
    while (tail.advanceSync()) for (let record = tail.next(); record; record = tail.next()) lsns.push(record.lsn);
    return { lsns, bytesRead: io.stats().bytesRead - before };
  };
  expect(look().lsns).toEqual([80]);
  // A segment of 1 MiB is prepared.
  expect(look().bytesRead).toBeLessThan(400 * KIBIBYTE);
  await appendAll(wal, 1, 4000);
  const found = look();
  expect(found.lsns).toEqual([81]);
  expect(found.bytesRead).toBeLessThan(900 * KIBIBYTE);
  tail.close();
  await wal.close();
});

import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import {
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  type StorageIo,
} from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';
import { createSideBySideStorageIo } from './support/side-by-side.js';

/** How a promise ends; one that never does meets the time limit of the test. */
const outcome = <T>(promise: Promise<T>) =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

describe('closeSync on a backend that cannot wait', () => {
  test('is refused with nothing done', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const wal = await SegmentedWal.open({ directory, io: 'thread-pool' });
    wal.append('x');
    expect(() => wal.closeSync()).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    await expect(SegmentedWal.open({ directory })).rejects.toMatchObject({ code: 'WAL_LOCKED' });
    await wal.sync();
    await wal.close();
  });

  test('does not give the lock away while a sync is under way', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const wal = await SegmentedWal.open({ directory, io: 'thread-pool' });
    for (let i = 0; i < 100; i++) wal.append(new Uint8Array(100_000));
    const syncing = wal.sync();
    expect(() => wal[Symbol.dispose]()).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    const second = await SegmentedWal.open({ directory, io: 'sync-fs' }).catch((error: unknown) => error);
    await outcome(syncing);
    expect(second).toMatchObject({ code: 'WAL_LOCKED' });
  });
});

test('a replay that is under way when the log closes ends, one way or the other', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io: 'thread-pool' });
  for (let i = 0; i < 100; i++) wal.append(new Uint8Array(100_000));
  await wal.sync();
  const reading = outcome(wal.replay().forEach(() => {}));
  await wal.close();
  expect(await reading).toMatchObject({ error: { code: 'WAL_CLOSED' } });
});

test('a replay that begins after its first records were truncated says so', async () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { segmentBytes: 1024 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  wal.syncSync();
  const replay = wal.replayFrom(2);
  wal.truncateBeforeSync(10);
  expect(() => [...replay].map(({ lsn }) => lsn)).toThrow(expect.objectContaining({ code: 'WAL_TRUNCATED' }));
});

test('a page that is asked for while a truncation is under way is there as a whole or refused', async () => {
  const io = createThreadPoolStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io, segmentBytes: 1024, blockBytes: 512 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  await wal.sync();
  const truncation = wal.truncateBefore(10);
  const page = await outcome(wal.replayFromLimit(2, 3).then(({ records }) => records.map(({ lsn }) => lsn)));
  await truncation;
  await expect(wal.replayFromLimit(2, 3)).rejects.toMatchObject({ code: 'WAL_TRUNCATED' });
  await wal.close();
  expect([{ value: [2, 3, 4] }, { error: expect.objectContaining({ code: 'WAL_TRUNCATED' }) }]).toContainEqual(page);
});

test('replay: up to what had been appended when the iteration began', async () => {
  const io = createThreadPoolStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io });
  wal.append('before');
  const syncing = wal.sync();
  const reading = wal.replay().forEach(() => {});
  wal.append('later');
  expect(await reading).toBe(1);
  await syncing;
  await wal.close();
});

test('LSNs end before they cannot be counted any more', () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { firstLsn: Number.MAX_SAFE_INTEGER - 1 });
  let appended = 0;
  try {
    for (; appended < 5; appended++) wal.append(`${appended}`);
  } catch {
    // refused: good
  }
  wal.syncSync();
  const acknowledged = wal.durableLsn;
  expect(new Set([...wal.replay()].map(({ lsn }) => lsn)).size).toBe(appended);
  wal.closeSync();
  const again = openIn(io);
  expect(again.lastLsn).toBe(acknowledged);
  expect(texts(again.replay())).toHaveLength(appended);
});

test('many calls that wait behind one are all answered', async () => {
  const io = createThreadPoolStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io });
  wal.append('x');
  const first = wal.sync();
  const all = Promise.all(Array.from({ length: 20_000 }, () => wal.flush()));
  expect(await outcome(first)).toMatchObject({ value: undefined });
  expect(await outcome(all)).toMatchObject({ value: expect.any(Array) });
  expect(await outcome(wal.sync())).toEqual({ value: undefined });
});

describe('full disk', () => {
  const killed = (): SimulatedDisk => {
    const disk = new SimulatedDisk();
    const wal = open(disk, 1);
    for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
    wal.syncSync();
    return disk.crash();
  };
  const open = (disk: SimulatedDisk, seed: number, io = disk.createStorageIo()): SegmentedWal =>
    SegmentedWal.openSync({
      directory: '/log',
      io,
      blockBytes: 512,
      segmentBytes: 2048,
      ...new TestEnvironment(seed).options,
    });

  test('emptying a log without room is refused and no failure (put off)', () => {
    const disk = killed();
    disk.capacityBytes = 0;
    const wal = open(disk, 2);
    expect(() => wal.truncateBeforeSync(wal.nextLsn)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    wal.truncateBeforeSync(wal.nextLsn);
    expect(wal.append('x')).toBe(21);
  });

  test('emptying a log without room is refused and no failure (active)', () => {
    const disk = killed();
    const wal = open(disk, 2);
    wal.append('x');
    wal.syncSync();
    disk.capacityBytes = 0;
    expect(() => wal.truncateBeforeSync(wal.nextLsn)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
  });

  test('no room for the name of the segment when opening: it is put off', () => {
    const disk = killed();
    disk.failWhen(({ kind }) => (kind === 'rename' ? 'ENOSPC' : undefined));
    const wal = open(disk, 2);
    expect(disk.lastFailed?.kind).toBe('rename');
    disk.failWhen(undefined);
    // There is room now.
    wal.syncSync();
    expect(wal.append('x')).toBe(21);
    wal.syncSync();
    wal.closeSync();
  });
});

test('an open that fails behind its new segment leaves no file open', () => {
  const leaks: string[] = [];
  for (let at = 1; ; at++) {
    const disk = new SimulatedDisk();
    const wal = SegmentedWal.openSync({
      directory: '/log',
      io: disk.createStorageIo(),
      blockBytes: 512,
      ...new TestEnvironment(1).options,
    });
    wal.append('x');
    wal.syncSync();
    disk.kill();
    const io = disk.createStorageIo();
    const open = new Set<unknown>();
    const { open: originalOpen, close: originalClose } = io;
    io.open = (path, options) => {
      const file = originalOpen.call(io, path, options);
      open.add(file);
      return file;
    };
    io.close = (file) => {
      open.delete(file);
      originalClose.call(io, file);
    };
    const failing = disk.operations + at;
    disk.failWhen(({ number }) => (number === failing ? 'EIO' : undefined));
    try {
      SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, ...new TestEnvironment(2).options });
      break;
    } catch {
      if (open.size > 0)
        leaks.push(`${disk.lastFailed?.kind} at ${at}: ${[...open].map((file) => (file as { path: string }).path)}`);
    }
  }
  expect(leaks).toEqual([]);
});

test('a relative directory stays what it was when the process goes elsewhere', () => {
  const cwd = process.cwd();
  const root = temporaryDirectory();
  mkdirSync(join(root, 'a'));
  mkdirSync(join(root, 'b', 'log'), { recursive: true });
  try {
    process.chdir(join(root, 'a'));
    const wal = SegmentedWal.openSync({ directory: 'log', segmentBytes: 8192 });
    process.chdir(join(root, 'b'));
    for (let i = 0; i < 20; i++) wal.append(new Uint8Array(1000));
    wal.syncSync();
    expect(readdirSync(join(root, 'b', 'log'))).toEqual([]);
    wal.closeSync();
  } finally {
    process.chdir(cwd);
  }
});

test('memory is bounded by what is pending, with small segments too', () => {
  const io: StorageIo = createMemoryStorageIo();
  let allocated = 0;
  const original = io.allocateBuffer.bind(io);
  io.allocateBuffer = (bytes) => {
    allocated += bytes;
    return original(bytes);
  };
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, segmentBytes: 16_384, maxPendingBytes: 4 << 20 });
  try {
    for (;;) wal.append(new Uint8Array(4000));
  } catch (error) {
    expect(error).toMatchObject({ code: 'WAL_BACKPRESSURE' });
  }
  expect(allocated).toBeLessThan(5 * (4 << 20));
  wal.closeSync();
});

test('closeSync while close is under way closes', () => {
  const io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = SegmentedWal.openSync({ directory, io });
  wal.append('x');
  void wal.close();
  wal.closeSync();
  SegmentedWal.openSync({ directory, io }).closeSync();
});

test('an append that fails for want of memory does not disturb positions', () => {
  const io: StorageIo = createMemoryStorageIo();
  const environment = new TestEnvironment();
  const wal = SegmentedWal.openSync({
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    segmentBytes: 1024,
    ...environment.options,
  });
  wal.append(new Uint8Array(490 - 32));
  wal.syncSync();
  const original = io.allocateBuffer;
  io.allocateBuffer = () => {
    throw new RangeError('Array buffer allocation failed');
  };
  expect(() => wal.append(new Uint8Array(2 << 20))).toThrow(RangeError);
  io.allocateBuffer = original;
  environment.fire();
  environment.fire();
  wal.append(new Uint8Array(600));
  wal.syncSync();
  const [first, second] = wal.listSegments();
  expect(second?.firstPosition).toBe(Math.ceil((first?.sizeBytes as number) / 512) * 512 - 512);
});

test('a clock that throws in append does not spoil the log', async () => {
  const io = createMemoryStorageIo();
  let broken = false;
  const wal = openIn(io, {
    now: () => {
      if (broken) throw new Error('clock');
      return 1;
    },
  });
  wal.append('a');
  // The clock is asked once a turn.
  await Promise.resolve();
  broken = true;
  expect(() => wal.append('b')).toThrow('clock');
  broken = false;
  wal.append('c');
  wal.syncSync();
  expect(wal.failure).toBeUndefined();
  expect(texts(wal.replay())).toEqual(['a', 'c']);
  wal.closeSync();
  expect(openIn(io).recovery).toMatchObject({ cleanlyClosed: true, records: 2 });
});

test('after a failed write or sync nothing is accepted, and no later sync is tried', () => {
  for (const operation of ['write', 'datasync']) {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    const wal = SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, ...new TestEnvironment(1).options });
    wal.append('one');
    wal.syncSync();
    wal.append('two');
    disk.failWhen(({ kind }) => (kind === operation ? 'EIO' : undefined));
    const failed = expect.objectContaining({ code: 'WAL_IO_FAILED' });
    expect(() => wal.syncSync()).toThrow(failed);
    expect(disk.lastFailed?.kind).toBe(operation);
    disk.failWhen(undefined);
    const { operations } = disk;
    expect(() => wal.append('three')).toThrow(failed);
    expect(() => wal.syncSync()).toThrow(failed);
    expect(() => wal.flushSync()).toThrow(failed);
    expect(() => wal.truncateBeforeSync(2)).toThrow(failed);
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(disk.operations).toBe(operations);
  }
});

test('a truncation that was begun and failed is finished by the next one', () => {
  const disk = new SimulatedDisk();
  const wal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    segmentBytes: 1024,
    ...new TestEnvironment(1).options,
  });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  wal.syncSync();
  disk.failWhen(({ kind }) => (kind === 'remove' ? 'EIO' : undefined));
  const begun = wal.truncateBeforeSync(15);
  expect(begun.segmentsDeleted).toBe(0);
  expect(begun.segmentsLeft).toBeGreaterThan(0);
  disk.failWhen(undefined);
  expect(wal.failure).toBeUndefined();
  expect(wal.truncateBeforeSync(15)).toMatchObject({ segmentsDeleted: begun.segmentsLeft, segmentsLeft: 0 });
  const files = wal.io.list('/log').filter((name) => name.startsWith('wal-'));
  expect(files).toHaveLength(wal.listSegments().length);
});

test('leaving a replay after closing the log inside of it is not an error', async () => {
  const wal = await SegmentedWal.open({ directory: join(temporaryDirectory(), 'log'), io: 'thread-pool' });
  wal.append('x');
  for await (const _record of wal.replay()) {
    await wal.close();
    break;
  }
});

test('a log that is emptied while more is appended than one segment holds makes its next segment once', async () => {
  const io = createSideBySideStorageIo();
  const directory = directoryFor(io);
  const config = { directory, io, segmentBytes: 4096, blockBytes: 512, maxInFlight: 1 };
  const wal = await SegmentedWal.open(config);
  const payloads: string[] = [];
  const append = (): void => {
    payloads.push(`record ${payloads.length} `.padEnd(900, '.'));
    wal.append(payloads.at(-1) as string);
  };
  append();
  const synced = wal.sync();
  const truncated = wal.truncateBefore(wal.nextLsn);
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  for (let record = 0; record < 12; record++) append();
  await Promise.all([synced, truncated]);
  append();
  await wal.sync();
  await wal.close();
  const again = await SegmentedWal.open(config);
  const found: string[] = [];
  for await (const { payload } of again.replay()) found.push(Buffer.from(payload).toString());
  expect(found).toEqual(payloads.slice(payloads.length - found.length));
  expect(again.lastLsn).toBe(payloads.length);
  expect(found.length).toBeGreaterThanOrEqual(13);
  await again.close();
  await io.dispose();
});

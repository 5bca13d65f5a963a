import { join } from 'node:path';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';
import { restore, snapshot } from './support/files.js';
import { DIRECTORY, openIn } from './support/logs.js';

const MINUTE = 60_000;

/** A log on real files with one record in each segment, and a minute between any two. */
function minutely(config: Partial<SegmentedWalConfig> = {}) {
  const io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const environment = new TestEnvironment();
  const options = {
    directory,
    io,
    blockBytes: 512,
    segmentBytes: 1024,
    markAfterMs: 0,
    ...environment.options,
    ...config,
  };
  const wal = SegmentedWal.openSync(options);
  const appendTo = (lsn: number): void => {
    while (wal.nextLsn <= lsn) {
      wal.append(new Uint8Array(400));
      wal.syncSync();
      environment.time += MINUTE;
    }
  };
  /** Lets what was begun in the background come to its end. */
  const settle = (): Promise<unknown> => wal.hold('settled', wal.nextLsn).then(() => wal.releaseHold('settled'));
  return { io, directory, environment, options, wal, appendTo, settle };
}

const firstLsns = (wal: SegmentedWal): number[] => wal.listSegments().map(({ firstLsn }) => firstLsn);

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a log of 200 segments with 3 holds', () => {
  test('keeps exactly what its size, its age, the checkpoint and each hold in turn ask for', () => {
    const { wal, appendTo, options } = minutely();
    appendTo(200);
    expect(firstLsns(wal)).toEqual(range(1, 200));
    const bytes = wal.totalSizeBytes() / 200;
    wal.holdSync('slow', 20);
    wal.holdSync('middle', 60);
    wal.holdSync('fast', 150);
    wal.closeSync();

    // 120 segments may stay, and what is younger than 100 minutes: either is a reason to go.
    const again = SegmentedWal.openSync({ ...options, retainBytes: 120 * bytes, retainAgeMs: 100 * MINUTE });
    expect(again.holds).toEqual({ slow: 20, middle: 60, fast: 150 });
    expect(firstLsns(again)).toEqual(range(1, 200));
    again.checkpointSync(10);
    expect(firstLsns(again)).toEqual(range(11, 200));
    again.checkpointSync(200);
    expect(firstLsns(again)).toEqual(range(20, 200));
    again.holdSync('slow', 40);
    expect(firstLsns(again)).toEqual(range(40, 200));
    expect(again.releaseHoldSync('slow')).toBe(true);
    expect(firstLsns(again)).toEqual(range(60, 200));
    again.releaseHoldSync('middle');
    // By size 80 segments are too many; by age those that were followed by another more than 100 minutes ago.
    const byAge = range(1, 199).filter((lsn) => options.now() - (1_700_000_000_000 + lsn * MINUTE) <= 100 * MINUTE);
    expect(firstLsns(again)).toEqual([...byAge, 200]);
    expect(again.totalSizeBytes()).toBeLessThanOrEqual(120 * bytes);
    again.releaseHoldSync('fast');
    expect(firstLsns(again)).toEqual([...byAge, 200]);
    again.truncateBeforeSync(201);
    expect(again.firstLsn).toBe(201);
    again.closeSync();
  });

  test('keeps what holds need from truncateBefore too, over crashes', () => {
    const { wal, appendTo, io, directory } = minutely();
    appendTo(200);
    wal.holdSync('a', 120);
    wal.holdSync('b', 90);
    wal.holdSync('__proto__', 100);
    wal.truncateBeforeSync(201);
    expect(firstLsns(wal)).toEqual(range(90, 200));
    // Nothing of this process comes to its end.
    const crashed = restore(snapshot(io, directory), DIRECTORY);
    const again = openIn(crashed, { segmentBytes: 1024 });
    expect(Object.entries(again.holds).sort()).toEqual([
      ['__proto__', 100],
      ['a', 120],
      ['b', 90],
    ]);
    expect(again.firstLsn).toBe(90);
    again.truncateBeforeSync(again.nextLsn);
    expect(again.firstLsn).toBe(90);
    again.releaseHoldSync('b');
    again.truncateBeforeSync(again.nextLsn);
    expect(again.firstLsn).toBe(100);
    again.releaseHoldSync('__proto__');
    again.truncateBeforeSync(again.nextLsn);
    expect(again.firstLsn).toBe(120);
    expect(() => again.holdSync('late', 90)).toThrow(expect.objectContaining({ code: 'WAL_TRUNCATED', firstLsn: 120 }));
    again.closeSync();
    wal.closeSync();
  });
});

describe('retention', () => {
  test('by size drops at rolls what is behind the checkpoint, and nothing above it', async () => {
    const { wal, appendTo, settle } = minutely({ retainBytes: 5 * 1024 });
    appendTo(20);
    await settle();
    expect(wal.firstLsn).toBe(1);
    wal.checkpointSync(12);
    expect(wal.firstLsn).toBe(13);
    appendTo(30);
    await settle();
    expect(wal.firstLsn).toBe(13);
    wal.checkpointSync(30);
    expect(wal.totalSizeBytes()).toBeLessThanOrEqual(5 * 1024);
    const kept = wal.listSegments().length;
    wal.checkpointSync(30);
    appendTo(40);
    await settle();
    expect(wal.firstLsn).toBe(31);
    wal.checkpointSync(40);
    expect(wal.listSegments().length).toBe(kept);
    await wal.close();
  });

  test('without a checkpoint it drops what is too much or too old, as a queue does', async () => {
    const { wal, appendTo, settle, environment } = minutely({
      retainBytes: 10 * 1024,
      retainAgeMs: 4 * MINUTE,
      retainUntilCheckpoint: false,
    });
    wal.holdSync('reader', 1);
    appendTo(12);
    await settle();
    expect(wal.firstLsn).toBe(1);
    wal.releaseHoldSync('reader');
    appendTo(20);
    await settle();
    expect(wal.firstLsn).toBeGreaterThanOrEqual(15);
    environment.time += 1000 * MINUTE;
    appendTo(22);
    await settle();
    // How old a segment is at most, the next one says: the 21st was made just now, so the 20th may be as young.
    expect(firstLsns(wal)).toEqual([20, 21, 22]);
    appendTo(27);
    await settle();
    expect(wal.firstLsn).toBe(23);
    await wal.close();
  });

  test('of 0 bytes drops what is behind the checkpoint at once, but never the newest segment', () => {
    const { wal, appendTo } = minutely({ retainBytes: 0 });
    appendTo(10);
    wal.checkpointSync(10);
    expect(firstLsns(wal)).toEqual([10]);
    wal.closeSync();
  });

  test('drops nothing unless it is asked to', () => {
    const { wal, appendTo, environment } = minutely();
    appendTo(10);
    environment.time += 1000 * MINUTE;
    wal.checkpointSync(10);
    appendTo(11);
    expect(wal.firstLsn).toBe(1);
    wal.closeSync();
  });
});

describe.each(BACKENDS)('checkpoint and holds on %s', (_name, create) => {
  test('are durable, and come back', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({ directory, io });
    expect([wal.checkpointLsn, wal.holds]).toEqual([0, {}]);
    await wal.checkpoint(wal.lastLsn);
    for (let lsn = 1; lsn <= 10; lsn++) wal.append('x');
    // It makes durable what it covers.
    await wal.checkpoint(7);
    expect([wal.checkpointLsn, wal.durableLsn]).toEqual([7, 10]);
    await wal.checkpoint(3);
    expect(wal.checkpointLsn).toBe(7);
    await Promise.all([wal.hold('a', 2), wal.hold('b', 11), wal.hold('a', 5)]);
    expect(await Promise.all([wal.releaseHold('b'), wal.releaseHold('b')])).toEqual([true, false]);
    await wal.close();
    const again = await SegmentedWal.open({ directory, io });
    expect([again.checkpointLsn, again.holds]).toEqual([7, { a: 5 }]);
    expect(Object.isFrozen(again.holds)).toBe(true);
    await again.close();
    await io.dispose();
  });
});

test('a commit does not wait for a truncateBefore', async () => {
  const io = createThreadPoolStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io, segmentBytes: 1024, blockBytes: 512, recycleSegments: 0 });
  for (let lsn = 1; lsn <= 300; lsn++) wal.append(new Uint8Array(400));
  await wal.sync();
  const order: string[] = [];
  const truncated = wal.truncateBefore(300).then(() => order.push('truncated'));
  wal.append('meanwhile');
  await wal.sync().then(() => order.push('durable'));
  await truncated;
  // 299 files go one after another; a group is one write and one sync.
  expect(order).toEqual(['durable', 'truncated']);
  await wal.close();
});

test('more holds than the checkpoint has room for are refused', () => {
  const wal = openIn(createMemoryStorageIo());
  const name = (index: number): string => `${index}`.padEnd(128, '\u0001');
  for (let index = 0; index < 1024; index++) wal.holdSync(name(index), 1);
  expect(() => wal.holdSync('one more', 1)).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE', limit: 1024 }));
  wal.holdSync(name(7), 1);
  wal.closeSync();
  const again = openIn(wal.io);
  expect(Object.keys(again.holds)).toHaveLength(1024);
  again.releaseHoldSync(name(3));
  again.holdSync('one more', 1);
  again.closeSync();
});

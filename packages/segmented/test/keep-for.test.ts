import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TestEnvironment } from './support/environments.js';

async function opened(options: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  const config = {
    directory: '/log',
    io,
    blockBytes: 512,
    segmentBytes: 1024,
    ...new TestEnvironment().options,
    ...options,
  };
  const wal = await SegmentedWal.open(config);
  for (let lsn = 1; lsn <= 50; lsn++) wal.append(new Uint8Array(100));
  await wal.sync();
  return { disk, wal };
}

describe('a reader that comes while a truncation is under way', () => {
  const moments: readonly (readonly [string, (operation: DiskOperation) => boolean])[] = [
    ['the roll begins', ({ kind }) => kind === 'create'],
    ['the new segment gets its name', ({ kind, path }) => kind === 'rename' && path.endsWith('next.seg')],
    ['the new beginning is noted', ({ kind, path }) => kind === 'write' && path.endsWith('checkpoint.new')],
    ['it has been noted', ({ kind, path }) => kind === 'rename' && path.endsWith('checkpoint.new')],
  ];

  test.each(moments)('keeps what it needs: %s', async (_moment, isNow) => {
    const { disk, wal } = await opened();
    let end: (() => void) | undefined;
    disk.failWhen((operation) => {
      if (end === undefined && isNow(operation)) end = wal.keepFor(() => 20);
      return undefined;
    });
    await wal.truncateBefore(wal.nextLsn);
    expect([end !== undefined, wal.firstLsn <= 20]).toEqual([true, true]);
    await expect(wal.read(20)).resolves.toMatchObject({ lsn: 20 });
    // A hold of a record that was kept in this way is as good as any other.
    await wal.hold('held', 20);
    end?.();
    await wal.truncateBefore(wal.nextLsn);
    const again = await SegmentedWal.open({
      directory: '/log',
      io: disk.crash().createStorageIo(),
      blockBytes: 512,
      ...new TestEnvironment(2).options,
    });
    expect(again.firstLsn <= 20).toBe(true);
    await expect(again.read(20)).resolves.toMatchObject({ lsn: 20 });
    await again.releaseHold('held');
    await again.truncateBefore(again.nextLsn);
    expect(again.firstLsn).toBe(51);
    await again.close();
  });
});

describe('a reader that gives no LSN', () => {
  const thrown: unknown[] = [];
  let others: NodeJS.UncaughtExceptionListener[];

  beforeEach(() => {
    thrown.length = 0;
    others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error));
  });

  afterEach(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });

  const odd: readonly (readonly [string, () => unknown])[] = [
    ['nothing', () => undefined],
    ['no number', () => Number.NaN],
    ['text', () => '7'],
    ['a bigint', () => 7n],
    [
      'an error',
      () => {
        throw new Error('mine');
      },
    ],
  ];

  test.each(odd)('but %s keeps everything, and fails no call', async (_name, needed) => {
    const { wal } = await opened({ retainBytes: 0, retainUntilCheckpoint: false });
    const { firstLsn } = wal;
    const end = wal.keepFor(needed as () => number);
    for (let lsn = 51; lsn <= 100; lsn++) wal.append(new Uint8Array(100));
    await wal.sync();
    await wal.checkpoint(90);
    await wal.hold('held', 80);
    await wal.truncateBefore(wal.nextLsn);
    expect([wal.firstLsn, wal.checkpointLsn, wal.holds, wal.failure]).toEqual([firstLsn, 90, { held: 80 }, undefined]);
    await vi.waitFor(() => expect(thrown.length).toBeGreaterThan(0));
    end();
    await wal.truncateBefore(wal.nextLsn);
    expect(wal.firstLsn).toBeGreaterThan(firstLsn);
    await wal.close();
  });

  test('what is no function is refused', async () => {
    const { wal } = await opened();
    expect(() => wal.keepFor(undefined as unknown as () => number)).toThrow(TypeError);
    expect(() => wal.keepFor(() => 1, 'cut' as unknown as () => void)).toThrow(TypeError);
    await wal.close();
  });
});

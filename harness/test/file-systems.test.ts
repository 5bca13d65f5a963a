import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import { channels, SegmentedWal } from '@walstack/segmented';
import {
  createIoUringStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  PortableWalWriter,
  readFrames,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LoopDisk, type LoopDiskType, loopDiskUnavailable } from '../src/disks/loop-disk.js';
import { ForgetFs, type ForgetFsOptions, forgetFsUnavailable } from '../src/fuse/forgetfs.js';

const noFuse = await forgetFsUnavailable();

const backends: [name: string, make: () => StorageIo][] = [
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
  ...(ringSupport().available
    ? ([
        ['io-uring', createIoUringStorageIo],
        ['io-uring, buffered', () => createIoUringStorageIo({ directIo: false })],
        ['io-uring, kernel polling', () => createIoUringStorageIo({ kernelPolling: true, kernelPollingIdleMs: 1 })],
      ] as [string, () => StorageIo][])
    : []),
];

const opened: StorageIo[] = [];

/** Ends every backend with all that its logs still do in the background. */
async function disposeAll(): Promise<void> {
  // What lay on a disk that is gone can no longer be closed without an error.
  for (const io of opened.splice(0)) await io.dispose().catch(() => {});
}

afterEach(disposeAll);

/** Loses the power and turns the machine on again. The logs of before end first: a preparation writes to the mount's path. */
async function powerLost(fs: ForgetFs, options?: ForgetFsOptions): Promise<void> {
  fs.cut();
  await disposeAll();
  await fs.remount(options);
}

function used(io: StorageIo): StorageIo {
  opened.push(io);
  return io;
}

const record = (lsn: number): Uint8Array => new Uint8Array(300).fill(lsn % 251);

const OPTIONS = { segmentBytes: 16 * 1024, blockBytes: 512, recycleSegments: 2, padGroups: false } as const;

/**
 * Opens a log, appends so many records, one group after the other and then many side by side, lets it roll, truncate and
 * recycle, and says what was acknowledged last.
 */
async function appendedTo(
  io: StorageIo,
  directory: string,
  count: number,
): Promise<{ log: SegmentedWal; acked: number }> {
  const log = await SegmentedWal.open({ directory, io, ...OPTIONS });
  let acked = log.lastLsn;
  const begun = acked;
  while (acked < begun + count / 2) {
    const lsn = log.append(record(acked + 1));
    await log.sync();
    acked = lsn;
    if (acked % 25 === 0) await log.checkpoint(acked - 10);
    if (acked % 40 === 0) await log.truncateBefore(acked - 20);
  }
  const groups: Promise<void>[] = [];
  while (log.lastLsn < begun + count) {
    const lsn = log.append(record(log.lastLsn + 1));
    groups.push(
      log.sync().then(() => {
        acked = Math.max(acked, lsn);
      }),
    );
  }
  await Promise.all(groups);
  return { log, acked };
}

async function holds(directory: string, acked: number): Promise<void> {
  const io = createSyncFsStorageIo();
  const log = await SegmentedWal.open({ directory, io, ...OPTIONS });
  expect(log.lastLsn).toBeGreaterThanOrEqual(acked);
  let next = log.firstLsn;
  for await (const { lsn, payload } of log.replay()) {
    expect(lsn).toBe(next++);
    expect(Buffer.compare(payload, record(lsn))).toBe(0);
  }
  expect(next).toBeGreaterThan(acked);
  await log.close();
  await io.dispose();
}

describe.skipIf(noFuse !== undefined)(`FUSE (${noFuse ?? 'it can be mounted'})`, () => {
  const mounts: [name: string, options: ForgetFsOptions][] = [
    ['asynchronous direct I/O', {}],
    ['asynchronous direct I/O for whatever is opened', { directIo: true }],
    ['direct I/O one after another', { asyncDirect: false }],
    ['a cache that is written back', { writeback: true }],
    ['without reserving', { fallocate: false }],
  ];
  let fs: ForgetFs | undefined;

  afterEach(async () => {
    await fs?.unmount();
    fs = undefined;
  });

  describe.each(mounts)('%s', (_mount, options) => {
    test.each(backends)('%s: what was acknowledged was synced, and survives', async (_name, make) => {
      fs = await ForgetFs.mount(options);
      const io = used(make());
      const directory = join(fs.path, 'log');
      const { acked } = await appendedTo(io, directory, 200);
      const { total, files } = fs.report();
      // Each that was waited for alone had a sync of its own reach the file system.
      expect(total.fsync + total.fdatasync).toBeGreaterThanOrEqual(100);
      expect(io.stats().durableBySync > 0).toBe(io.capabilities.durableWrites);
      expect(Object.keys(files).some((name) => name.endsWith('.seg'))).toBe(true);
      await powerLost(fs, options);
      await holds(directory, acked);
      // And it goes on: recovery has made durable what it went on with.
      const again = await appendedTo(used(make()), directory, 60);
      await powerLost(fs, options);
      await holds(directory, again.acked);
    });
  });

  test.each(backends)('%s: power that goes before a close, after a roll, a cut and a reset', async (_name, make) => {
    fs = await ForgetFs.mount();
    const directory = join(fs.path, 'log');
    const { log, acked } = await appendedTo(used(make()), directory, 80);
    await log.truncateAfter(acked - 5);
    log.append(record(acked - 4));
    await log.sync();
    await powerLost(fs);
    await holds(directory, acked - 4);
  });

  test.each(backends)('%s: a sync that fails is no acknowledgement, of any group', async (_name, make) => {
    fs = await ForgetFs.mount();
    const directory = join(fs.path, 'log');
    const { log, acked: before } = await appendedTo(used(make()), directory, 20);
    fs.fail('EIO', { operation: 'sync', nth: 3, pattern: '*.seg' });
    let acked = before;
    const groups: Promise<void>[] = [];
    for (let each = 0; each < 100; each++) {
      let lsn: number;
      try {
        lsn = log.append(record(log.lastLsn + 1));
      } catch {
        break;
      }
      groups.push(
        log.sync().then(() => {
          acked = Math.max(acked, lsn);
        }),
      );
      if (each % 10 === 9) await Promise.allSettled(groups);
    }
    const outcomes = await Promise.allSettled(groups);
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
    await log.close().catch(() => {});
    await powerLost(fs);
    await holds(directory, acked);
  });

  test.each(backends)('%s: PortableWalWriter with direct I/O', async (_name, make) => {
    fs = await ForgetFs.mount();
    const path = join(fs.path, 'file');
    const options = { io: used(make()), direct: true, framed: true } as const;
    const writer = await PortableWalWriter.open(path, options);
    fs.reset();
    for (let each = 0; each < 50; each++) {
      await writer.appendWithChecksumBatched(record(each));
      await writer.flushBatch();
    }
    const { fsync, fdatasync } = fs.report().total;
    expect(fsync + fdatasync).toBeGreaterThanOrEqual(50);
    await powerLost(fs);
    const again = await PortableWalWriter.open(path, { framed: true, io: used(createSyncFsStorageIo()) });
    expect(again.recovery).toMatchObject({ frames: 50 });
    await again.close();
    let frames = 0;
    for await (const { data } of await readFrames(path)) expect(Buffer.compare(data, record(frames++))).toBe(0);
    expect(frames).toBe(50);
  });

  test.each(backends)('%s: one log for each core, with checkpoints', async (_name, make) => {
    fs = await ForgetFs.mount();
    const directory = join(fs.path, 'cores');
    const io = used(make());
    const manager = await PerCoreWalManager.open({ directory, cores: 2, io, segmentBytes: 16 * 1024 });
    for (let epoch = 1; epoch <= 10; epoch++) {
      for (const core of [0, 1]) manager.writer(core).appendPut(`${epoch} of ${core}`, record(epoch));
      await manager.endEpoch();
    }
    await manager.checkpoint(async () => {});
    for (const core of [0, 1]) manager.writer(core).appendPut(`last of ${core}`, record(99));
    await manager.endEpoch();
    await powerLost(fs);
    const recovery = await PerCoreRecovery.open({ directory, io: used(createSyncFsStorageIo()) });
    expect(recovery.checkpoint?.id).toBe(1);
    const keys: string[] = [];
    for await (const entry of recovery.entries()) {
      if (entry.operation === 'put') keys.push(Buffer.from(entry.key).toString());
    }
    expect(keys.sort()).toEqual(['last of 0', 'last of 1']);
    await recovery.close();
  });

  test('the log says that it lies on FUSE', async () => {
    fs = await ForgetFs.mount();
    const heard: unknown[] = [];
    const listener = (message: unknown): void => void heard.push(message);
    subscribe(channels.caution.name, listener);
    const directory = join(fs.path, 'log');
    const log = await SegmentedWal.open({ directory, io: used(createSyncFsStorageIo()) });
    await log.close();
    unsubscribe(channels.caution.name, listener);
    expect(heard).toEqual([
      { directory, fileSystem: 'fuse.forgetfs', message: expect.stringContaining('up to the program behind it') },
    ]);
  });
});

const types: [type: LoopDiskType, honoured: boolean][] = [
  ['ext4', true],
  ['xfs', true],
  ['btrfs', false],
];

describe.each(types)('%s', (type, honoured) => {
  const unavailable = loopDiskUnavailable(type);

  describe.skipIf(unavailable !== undefined)(unavailable ?? 'on a disk of its own', () => {
    let disk: LoopDisk;

    beforeAll(() => {
      disk = LoopDisk.make(type);
    });

    afterAll(() => disk.remove());

    const places: [name: string, place: () => string][] = [
      ['itself', () => disk.path],
      ['an overlay on it', () => disk.overlay()],
    ];

    describe.each(places)('%s', (_place, place) => {
      test.each(backends)('%s: what was acknowledged was flushed to the disk', async (_name, make) => {
        const io = used(make());
        const root = place();
        const directory = join(root, `log of ${_name}`);
        const log = await SegmentedWal.open({ directory, io, segmentBytes: 1 << 20 });
        log.append(record(1));
        await log.sync();
        const before = disk.flushes;
        const syncs = io.stats().durableBySync;
        for (let lsn = 2; lsn <= 31; lsn++) {
          log.append(record(lsn));
          await log.sync();
        }
        expect(disk.flushes - before).toBeGreaterThanOrEqual(30);
        expect(io.stats().durableBySync - syncs).toBe(io.capabilities.durableWrites && !honoured ? 30 : 0);
        await log.close();
      });
    });
  });
});

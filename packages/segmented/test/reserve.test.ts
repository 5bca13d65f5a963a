import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { empty, fill, NO_SPACE, RING } from './support/full-disks.js';

/** The file that is kept for a full disk. */

const RESERVE = '/log/.reserve';
const BYTES = 16 * 1024;

/** A backend that blocks, and one with groups side by side. */
const KINDS: readonly (readonly [string, SimulatedIoOptions])[] = [
  ['a backend that blocks', {}],
  ['a ring', RING],
];

function configFor(disk: SimulatedDisk, kind: SimulatedIoOptions, seed = 1): SegmentedWalConfig {
  const { options } = new TestEnvironment(seed);
  const io = disk.createStorageIo(kind);
  return {
    directory: '/log',
    io,
    blockBytes: 512,
    segmentBytes: 2048,
    reserveBytes: BYTES,
    markAfterMs: 0,
    ...options,
  };
}

const sizeOf = (disk: SimulatedDisk): number | undefined => {
  const io = disk.createStorageIo();
  return io.list('/log').includes('.reserve') ? io.stat(RESERVE).size : undefined;
};

/** A log with 20 durable records in several segments, and a reserve. */
async function withReserve(kind: SimulatedIoOptions, config: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const wal = await SegmentedWal.open({ ...configFor(disk, kind), preallocate: 'none', ...config });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(300));
  await wal.sync();
  await turns(50);
  return { disk, wal };
}

describe.each(KINDS)('on %s', (_name, kind) => {
  test('it is made behind the first group, and stays for the next opening, which does not write it again', async () => {
    const { disk, wal } = await withReserve(kind);
    expect([sizeOf(disk), wal.stats().reserve]).toEqual([BYTES, { state: 'ready', bytes: BYTES, releases: 0 }]);
    await wal.close();
    expect(sizeOf(disk)).toBe(BYTES);
    let written = 0;
    const again = await SegmentedWal.open(configFor(disk, kind, 2));
    disk.failWhen((operation) => {
      if (operation.path === RESERVE && /write|sync/.test(operation.kind)) written++;
      return undefined;
    });
    expect(again.stats().reserve).toEqual({ state: 'ready', bytes: BYTES, releases: 0 });
    again.append('x');
    await again.sync();
    await turns(50);
    await again.close();
    expect([written, sizeOf(disk)]).toEqual([0, BYTES]);
  });

  test('it has its blocks: it is written, and synced once', async () => {
    const disk = new SimulatedDisk();
    const wal = await SegmentedWal.open({ ...configFor(disk, kind), preallocate: 'none', reserveBytes: 600_000 });
    const done: string[] = [];
    disk.failWhen((operation) => {
      if (operation.path === RESERVE) done.push(operation.kind);
      return undefined;
    });
    wal.append('x');
    await wal.sync();
    await turns(100);
    expect(done).toEqual(['open', 'create', 'write', 'write', 'write', 'datasync']);
    expect(sizeOf(disk)).toBe(600_000);
    await wal.close();
  });

  test('a roll in flight finds room for the name of its segment by it', async () => {
    const { disk, wal } = await withReserve(kind);
    const io = disk.createStorageIo();
    disk.failWhen(({ kind: operation }) =>
      operation === 'rename' && io.list('/log').includes('.reserve') ? 'ENOSPC' : undefined,
    );
    for (let lsn = 21; lsn <= 30; lsn++) wal.append(new Uint8Array(300));
    await wal.sync();
    // Until it is gone: this file system is as full as it was.
    expect([wal.durableLsn, wal.stats().reserve.releases >= 3, wal.failure]).toEqual([30, true, undefined]);
    disk.failWhen(undefined);
    await wal.close();
  });

  test('a log to which nothing is appended has none', async () => {
    const disk = new SimulatedDisk();
    const wal = await SegmentedWal.open(configFor(disk, kind));
    expect(wal.stats().reserve).toEqual({ state: 'pending', bytes: 0, releases: 0 });
    await wal.sync();
    await wal.close();
    expect(sizeOf(disk)).toBeUndefined();
  });

  test('another size is given to the one that is there, and 0 removes it', async () => {
    const { disk, wal } = await withReserve(kind);
    await wal.close();
    for (const [reserveBytes, bytes] of [
      [4096, 4096],
      [20_000, 20_000],
      [0, undefined],
    ] as const) {
      const again = await SegmentedWal.open({ ...configFor(disk, kind, 2), reserveBytes });
      again.append('x');
      await again.sync();
      await turns(50);
      expect(again.stats().reserve.bytes).toBe(bytes ?? 0);
      await again.close();
      expect(sizeOf(disk)).toBe(bytes);
    }
  });

  test.each<[string, (wal: SegmentedWal) => unknown, (wal: SegmentedWal) => void]>([
    ['checkpoint', (wal) => wal.checkpoint(10), (wal) => wal.checkpointSync(10)],
    ['hold', (wal) => wal.hold('reader', 10), (wal) => wal.holdSync('reader', 10)],
    ['truncateBefore', (wal) => wal.truncateBefore(10), (wal) => wal.truncateBeforeSync(10)],
    ['truncateBefore of all', (wal) => wal.truncateBefore(21), (wal) => wal.truncateBeforeSync(21)],
    ['truncateAfter', (wal) => wal.truncateAfter(10), (wal) => wal.truncateAfterSync(10)],
    ['resetTo', (wal) => wal.resetTo(50), (wal) => wal.resetToSync(50)],
  ])('%s has room on a full disk by it, and without it has none', async (name, call, callSync) => {
    const blocking = kind.completesInline !== false;
    for (const reserveBytes of [BYTES, 0]) {
      for (const sync of blocking ? [false, true] : [false]) {
        const { disk, wal } = await withReserve(kind, { reserveBytes });
        fill(disk);
        const called = (async () => (sync ? callSync(wal) : await call(wal)))();
        if (reserveBytes === 0) {
          await expect(called, name).rejects.toEqual(NO_SPACE);
          expect([wal.nextLsn, wal.failure]).toEqual([21, undefined]);
        } else {
          await called;
          expect(wal.stats().reserve.releases, name).toBeGreaterThan(0);
        }
        const after = [wal.firstLsn, wal.nextLsn, wal.checkpointLsn, wal.holds];
        const again = await SegmentedWal.open(configFor(disk.crash(), kind, 3));
        expect([again.firstLsn, again.nextLsn, again.checkpointLsn, again.holds], name).toEqual(after);
      }
    }
  });

  test('it is made again when a truncation has made room', async () => {
    const { disk, wal } = await withReserve(kind);
    fill(disk);
    await wal.truncateBefore(15);
    expect(wal.stats().reserve).toEqual({ state: 'ready', bytes: BYTES, releases: 1 });
    expect(sizeOf(disk)).toBe(BYTES);
    await wal.close();
  });

  test('a call leaves some of it for the next one, also where others take what it gives up', async () => {
    const { disk, wal } = await withReserve(kind);
    fill(disk);
    const left: (number | undefined)[] = [];
    for (const lsn of [5, 6]) {
      let isTaken = false;
      disk.failWhen(({ kind: operation, path }) => {
        isTaken ||= operation === 'sync-directory' && path === '/log';
        if (isTaken) fill(disk);
        return undefined;
      });
      await wal.checkpoint(lsn);
      disk.failWhen(undefined);
      left.push(sizeOf(disk));
    }
    expect([left, wal.stats().reserve]).toEqual([[8192, 4096], { state: 'no-space', bytes: 4096, releases: 2 }]);
    await wal.truncateBefore(15);
    expect([wal.failure, wal.stats().reserve.bytes > 4096]).toEqual([undefined, true]);
    await wal.close();
  });

  test('where there is no room to make all of it again, the next roll tries once more', async () => {
    const { disk, wal } = await withReserve(kind);
    fill(disk);
    await wal.checkpoint(10);
    expect(wal.stats().reserve).toEqual({ state: 'no-space', bytes: 12_288, releases: 1 });
    expect(sizeOf(disk)).toBe(12_288);
    empty(disk);
    for (let each = 0; each < 8; each++) {
      wal.append(new Uint8Array(300));
      await wal.sync();
    }
    await turns(50);
    expect(wal.stats().reserve).toEqual({ state: 'ready', bytes: BYTES, releases: 1 });
    await wal.close();
  });

  test.each([
    ['truncate', BYTES],
    ['remove', 4096],
  ] as const)('one that cannot be shortened is kept, and the log goes on: %s', async (failing, reserveBytes) => {
    const { disk, wal } = await withReserve(kind, { reserveBytes });
    fill(disk);
    disk.failWhen(({ kind: operation, path }) => (operation === failing && path === RESERVE ? 'EIO' : undefined));
    await expect(wal.checkpoint(10)).rejects.toEqual(NO_SPACE);
    expect([wal.failure, wal.stats().reserve]).toEqual([
      undefined,
      { state: 'ready', bytes: reserveBytes, releases: 0 },
    ]);
    disk.failWhen(undefined);
    await wal.checkpoint(10);
    expect([wal.checkpointLsn, wal.stats().reserve.releases]).toEqual([10, 1]);
    await wal.close();
  });

  test('one that was made with another size, before the disk was full, gives room to the first call', async () => {
    const { disk, wal } = await withReserve(kind, { reserveBytes: 2 * 1024 * 1024 });
    await wal.close();
    fill(disk);
    const again = await SegmentedWal.open({ ...configFor(disk, kind, 2), preallocate: 'none' });
    await again.checkpoint(10);
    expect([again.checkpointLsn, again.stats().reserve]).toEqual([10, { state: 'ready', bytes: BYTES, releases: 1 }]);
    await again.close();
    expect(sizeOf(disk)).toBe(BYTES);
  });

  test('one that another program has removed is no failure', async () => {
    const { disk, wal } = await withReserve(kind);
    const io = disk.createStorageIo();
    const { runAsync, ioSteps } = await import('@walstack/storage-io');
    await runAsync(io, ioSteps.remove(io, RESERVE));
    fill(disk);
    await expect(wal.checkpoint(10)).rejects.toEqual(NO_SPACE);
    // Behind the call it was tried again.
    expect([wal.failure, wal.stats().reserve.state]).toEqual([undefined, 'no-space']);
    empty(disk);
    await wal.close();
  });

  test.each(['create', 'write', 'datasync'] as const)('a failure to make it fails no log: %s', async (failing) => {
    for (const code of ['EIO', 'ENOSPC'] as const) {
      const disk = new SimulatedDisk();
      const wal = await SegmentedWal.open({ ...configFor(disk, kind), preallocate: 'none' });
      disk.failWhen((operation) => (operation.kind === failing && operation.path === RESERVE ? code : undefined));
      wal.append('one');
      await wal.sync();
      await turns(50);
      expect(wal.stats().reserve).toEqual({
        state: code === 'EIO' ? 'unavailable' : 'no-space',
        bytes: 0,
        releases: 0,
      });
      expect([sizeOf(disk), wal.failure]).toEqual([undefined, undefined]);
      wal.append('two');
      await wal.sync();
      await wal.close();
      disk.failWhen(undefined);
      const again = await SegmentedWal.open(configFor(disk.crash(), kind, 2));
      expect(again.recovery).toMatchObject({ records: 2, cleanlyClosed: true });
      await again.close();
    }
  });

  test('a reader makes none, and reads beside it', async () => {
    const { disk, wal } = await withReserve(kind, { reserveBytes: 0 });
    const reader = await SegmentedWal.open({ ...configFor(disk, kind, 2), recoveryMode: 'readonly' });
    expect([reader.recovery.records, reader.stats().reserve.bytes, sizeOf(disk)]).toEqual([20, 0, undefined]);
    await reader.close();
    await wal.close();
  });

  test('a closed log finds room for its mark by it', async () => {
    for (const reserveBytes of [BYTES, 0]) {
      const { disk, wal } = await withReserve(kind, { reserveBytes, padGroups: true });
      fill(disk);
      await wal.close();
      empty(disk);
      const again = await SegmentedWal.open(configFor(disk, kind, 2));
      expect([reserveBytes, again.recovery.cleanlyClosed]).toEqual([reserveBytes, reserveBytes > 0]);
      await again.close();
    }
  });
});

test('a directory with nothing else in it is no log, and may become one', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  io.makeDirectory('/log', 0o700);
  io.close(io.open(RESERVE, { create: true }));
  const wal = await SegmentedWal.open(configFor(disk, {}));
  expect(wal.recovery.created).toBe(true);
  wal.append('x');
  await wal.sync();
  await turns(50);
  expect(sizeOf(disk)).toBe(BYTES);
  await wal.close();
});

test('a log whose tail has no room to be written again opens after its reserve was removed', async () => {
  const { disk: before } = await withReserve({});
  const disk = before.crash();
  const io = disk.createStorageIo();
  // As on file systems that write anew what is written in place.
  disk.failWhen(({ kind, path }) =>
    kind === 'write' && path.includes('wal-') && io.list('/log').includes('.reserve') ? 'ENOSPC' : undefined,
  );
  const wal = await SegmentedWal.open({ ...configFor(disk, {}, 2), io });
  expect([wal.recovery.records, wal.stats().reserve]).toEqual([20, { state: 'pending', bytes: 0, releases: 0 }]);
  disk.failWhen(undefined);
  await wal.close();
});

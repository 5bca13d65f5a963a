import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { IoFile, StorageIo } from '@walstack/storage-io';
import { type FaultKind, SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { TestEnvironment } from './support/environments.js';

const BLOCKING = {};
const RING = { completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 };
const BACKENDS: readonly (readonly [string, SimulatedIoOptions])[] = [
  ['blocking', BLOCKING],
  ['ring', RING],
];

const config = (io: StorageIo, seed = 1): SegmentedWalConfig => ({
  directory: '/log',
  io,
  blockBytes: 512,
  segmentBytes: 2048,
  ...new TestEnvironment(seed).options,
});

/** Counts the files that are open on a backend; those closed may be closed with an error, which close them all the same. */
function watchFiles(io: StorageIo, fails: () => boolean = () => false): Set<IoFile> {
  const files = new Set<IoFile>();
  const open = io.open.bind(io);
  const close = io.close.bind(io);
  io.open = (path, options) => {
    const file = open(path, options);
    files.add(file);
    return file;
  };
  io.close = (file) => {
    close(file);
    files.delete(file);
    if (fails()) throw new WalError('WAL_IO_FAILED', `close of ${file.path} failed with EIO`, { systemCode: 'EIO' });
  };
  return files;
}

const pathsOf = (files: Set<IoFile>): string[] => [...files].map(({ path }) => path);

function appendSome(wal: SegmentedWal, count = 20): void {
  for (let each = 0; each < count; each++) wal.append(new Uint8Array(200));
}

describe.each(BACKENDS)('a file that is closed with an error, on a %s backend', (_name, options) => {
  const calls: readonly (readonly [string, (wal: SegmentedWal) => Promise<unknown>, number])[] = [
    ['a roll', (wal) => wal.sync(), 41],
    ['truncateBefore', (wal) => wal.truncateBefore(wal.nextLsn), 41],
    ['resetTo', (wal) => wal.resetTo(500), 500],
    ['truncateAfter', (wal) => wal.truncateAfter(wal.lastLsn - 1), 40],
    ['close', (wal) => wal.close(), 41],
  ];

  test.each(calls)('keeps %s from nothing', async (name, call, nextLsn) => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo(options);
    let failing = false;
    const files = watchFiles(io, () => failing);
    const wal = await SegmentedWal.open(config(io));
    appendSome(wal);
    await wal.sync();
    appendSome(wal);
    if (name !== 'a roll') await wal.sync();
    failing = true;
    await call(wal);
    expect([wal.failure, wal.nextLsn]).toEqual([undefined, nextLsn]);
    failing = false;
    if (name !== 'close') {
      wal.append('behind it');
      await wal.sync();
    }
    await wal.close();
    expect(pathsOf(files)).toEqual([]);
    const again = await SegmentedWal.open(config(io, 2));
    expect(again.nextLsn).toBe(name === 'close' ? nextLsn : nextLsn + 1);
    await again.close();
  });
});

describe.each(BACKENDS)('every file is closed with the log, on a %s backend', (_name, options) => {
  const calls: readonly (readonly [string, (wal: SegmentedWal) => Promise<unknown>])[] = [
    ['truncateAfter', (wal) => wal.truncateAfter(5)],
    ['resetTo', (wal) => wal.resetTo(500)],
    ['truncateBefore', (wal) => wal.truncateBefore(wal.nextLsn)],
    ['sync', (wal) => wal.sync()],
  ];

  test.each(calls)('whichever operation of %s fails', async (_call, call) => {
    for (let at = 1, hit = true; hit; at++) {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo(options);
      const files = watchFiles(io);
      const wal = await SegmentedWal.open(config(io));
      appendSome(wal);
      await wal.sync();
      appendSome(wal, 10);
      const failing = disk.operations + at;
      disk.failWhen(({ number }) => (number === failing ? 'EIO' : undefined));
      await call(wal).catch(() => {});
      hit = disk.lastFailed?.number === failing;
      disk.failWhen(undefined);
      await wal.close().catch(() => {});
      expect([at, ...pathsOf(files)]).toEqual([at]);
    }
  });

  test('whichever operation fails that makes the segment for which there was no room', async () => {
    for (let at = 1, hit = true; hit; at++) {
      const disk = new SimulatedDisk();
      const first = await SegmentedWal.open(config(disk.createStorageIo()));
      appendSome(first);
      await first.sync();
      disk.kill();
      disk.capacityBytes = disk.usedBytes;
      const io = disk.createStorageIo(options);
      const files = watchFiles(io);
      const wal = await SegmentedWal.open(config(io, 2));
      expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      const failing = disk.operations + at;
      disk.failWhen(({ number }) => (number === failing ? 'EIO' : undefined));
      await wal.flush().catch(() => {});
      hit = disk.lastFailed?.number === failing;
      disk.failWhen(undefined);
      await wal.close().catch(() => {});
      expect([at, ...pathsOf(files)]).toEqual([at]);
    }
  });
});

test('a log that drops what is pending waits for the groups in flight, also when one of them fails', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ ...RING, latencyTicks: 500 });
  const files = watchFiles(io);
  const wal = await SegmentedWal.open({ ...config(io), segmentBytes: 65_536, preallocate: 'none', maxInFlight: 8 });
  let writes = 0;
  disk.failWhen(({ kind }) => (kind === 'durable-write' && ++writes === 2 ? 'EIO' : undefined));
  const syncs: Promise<unknown>[] = [];
  for (let group = 0; group < 6; group++) {
    wal.append(new Uint8Array(1000));
    syncs.push(wal.sync().catch(() => {}));
  }
  const closed = wal.close({ discard: true });
  await expect(closed).rejects.toMatchObject({ code: 'WAL_IO_FAILED' });
  expect([io.stats().inFlight, ...pathsOf(files)]).toEqual([0]);
  await Promise.all(syncs);
});

test.each([
  ['blocks', BLOCKING],
  ['takes its time', { completesInline: false }],
  ['is a ring', RING],
])(
  'a log that drops what is pending writes what was handed over with the reserve, on a backend that %s',
  async (_name, kind) => {
    const disk = new SimulatedDisk();
    const wal = await SegmentedWal.open({
      ...config(disk.createStorageIo(kind)),
      preallocate: 'none',
      reserveBytes: 8192,
    });
    wal.append('a');
    await wal.sync();
    const beside = disk.createStorageIo();
    const isFull = (): boolean => beside.list('/log').includes('.reserve');
    disk.failWhen(({ kind: operation, path }) =>
      /write/.test(operation) && path.endsWith('.seg') && isFull() ? 'ENOSPC' : undefined,
    );
    wal.append('handed over');
    const handedOver = rejection(wal.sync());
    wal.append('pending');
    await wal.close({ discard: true });
    expect(await handedOver).toMatchObject({ code: 'WAL_NO_SPACE' });
    const again = await SegmentedWal.open(config(disk.crash().createStorageIo(), 2));
    expect([again.recovery.cleanlyClosed, again.lastLsn]).toEqual([true, 2]);
    await again.close();
  },
);

describe.each(BACKENDS)('whatever fails, on a %s backend', (_name, options) => {
  /** How many operations the life of a log takes of which the one of a number fails. */
  async function lifeWith(seed: number, failing: number, fault: FaultKind): Promise<number> {
    const disk = new SimulatedDisk({ seed });
    const io = disk.createStorageIo(options);
    const files = watchFiles(io);
    let operations = 0;
    disk.failWhen(() => (++operations === failing ? fault : undefined));
    const wal = await SegmentedWal.open({ ...config(io), preallocate: 'write' }).catch(() => undefined);
    for (const each of [1, 2]) {
      try {
        wal?.append(new Uint8Array(each));
        await wal?.sync();
        await wal?.truncateBefore(wal.nextLsn);
      } catch {
        // The log may have failed, or have found no room.
      }
    }
    await wal?.close().catch(() => {});
    expect(pathsOf(files), `seed ${seed}, operation ${failing} fails with ${fault}`).toEqual([]);
    return operations;
  }

  test.each(['EIO', 'ENOSPC'] as const)('with %s, a log that is closed leaves no file open', async (fault) => {
    for (const seed of [1, 2]) {
      const all = await lifeWith(seed, 0, fault);
      for (let failing = 1; failing <= all; failing++) await lifeWith(seed, failing, fault);
    }
  });
});

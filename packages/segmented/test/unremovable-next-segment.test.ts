import { SegmentedWal } from '@walstack/segmented';
import { type FaultKind, SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { texts } from './support/logs.js';

/** A `next.seg` that is discarded on a full disk, with a file system that needs space for removing it as well. */

const SETTINGS = { directory: '/log', blockBytes: 512, segmentBytes: 4096 } as const;

/** The disk has room for names only: the next `next.seg` can be neither written nor removed. */
function fill(disk: SimulatedDisk): void {
  let made = false;
  disk.failWhen(({ kind, path }): FaultKind | undefined => {
    // A segment's file goes by that path as well while it is open.
    if (!path.endsWith('/next.seg')) return undefined;
    if (kind === 'create') made = true;
    if (!made || (kind !== 'write' && kind !== 'remove')) return undefined;
    if (kind === 'remove') made = false;
    return 'ENOSPC';
  });
}

const empty = (disk: SimulatedDisk): void => disk.failWhen(undefined);

const found = (disk: SimulatedDisk): string[] =>
  texts(SegmentedWal.openSync({ ...SETTINGS, io: disk.crash().createStorageIo() }).replay());

test('is made again where a log was opened without room for its next segment', () => {
  let disk = new SimulatedDisk();
  const before = SegmentedWal.openSync({ ...SETTINGS, io: disk.createStorageIo() });
  before.append('x');
  before.syncSync();
  disk = disk.crash();
  fill(disk);
  const wal = SegmentedWal.openSync({ ...SETTINGS, io: disk.createStorageIo() });
  expect(() => wal.append('y')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
  empty(disk);
  wal.syncSync();
  expect(wal.append('y')).toBe(2);
  wal.syncSync();
  expect(found(disk)).toEqual(['x', 'y']);
});

test.each(['truncateAfterSync', 'resetToSync'] as const)('is made again by %s', (cut) => {
  const disk = new SimulatedDisk();
  const wal = SegmentedWal.openSync({ ...SETTINGS, io: disk.createStorageIo() });
  for (const text of ['a', 'b', 'c']) wal.append(text);
  wal.syncSync();
  fill(disk);
  expect(() => wal[cut](2)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
  expect(wal.failure).toBeUndefined();
  empty(disk);
  wal[cut](2);
  wal.append('d');
  wal.syncSync();
  expect(found(disk)).toEqual(cut === 'resetToSync' ? ['d'] : ['a', 'b', 'd']);
});

test('that could not be made is not what a sync submitted later failed by', async () => {
  let disk = new SimulatedDisk();
  SegmentedWal.openSync({ ...SETTINGS, io: disk.createStorageIo() });
  disk = disk.crash();
  fill(disk);
  const wal = SegmentedWal.openSync({ ...SETTINGS, io: disk.createStorageIo({ completesInline: false }) });
  disk.failWhen(({ kind, path }) => (kind === 'create' && path.endsWith('/next.seg') ? 'EIO' : undefined));
  expect(wal.checkCompletions(wal.submitSync())).toBe(true);
  await expect(wal.sync()).rejects.toThrow('EIO');
  empty(disk);
  await wal.sync();
  expect(wal.append('x')).toBe(1);
  const lsn = wal.submitSync();
  while (!wal.checkCompletions(lsn)) await new Promise(setImmediate);
  await wal.close();
  expect(() => wal.checkCompletions(lsn)).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
});

test('is created again by a roll after it was preallocated', async () => {
  const disk = new SimulatedDisk();
  const wal = await SegmentedWal.open({ ...SETTINGS, io: disk.createStorageIo(), preallocate: 'write' });
  fill(disk);
  wal.append(new Uint8Array(2500));
  await wal.sync();
  await new Promise(setImmediate);
  empty(disk);
  for (let record = 0; record < 4; record++) wal.append(new Uint8Array(1000));
  await wal.sync();
  expect(wal.listSegments().length).toBeGreaterThan(1);
  await wal.close();
  expect(found(disk)).toHaveLength(5);
});

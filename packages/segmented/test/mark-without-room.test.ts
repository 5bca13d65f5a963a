import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { empty, fill, RING } from './support/full-disks.js';

/** A mark that finds no room fails no log: of what was committed nothing is in doubt. */

/** Backends, and what options make the next mark need a block of its own. */
const KINDS: readonly (readonly [string, SimulatedIoOptions, Partial<SegmentedWalConfig>])[] = [
  ['a backend that blocks', {}, { padGroups: true }],
  ['a backend that takes its time', { completesInline: false }, { padGroups: true }],
  ['a ring', RING, { padGroups: true, preallocate: 'none' }],
  ['a ring that prepares blocks', RING, { padGroups: true }],
];

describe.each(KINDS)('on %s', (_name, kind, options) => {
  /** A log with one durable record, on a disk that is full now. */
  async function onFullDisk() {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = { directory: '/log', blockBytes: 512, segmentBytes: 8192, ...environment.options, ...options };
    const wal = await SegmentedWal.open({ ...config, io: disk.createStorageIo(kind) });
    wal.append('a');
    // There is room for the record, but not for preallocating blocks behind it.
    fill(disk, 512);
    await wal.sync();
    await turns(50);
    fill(disk);
    return { disk, environment, wal };
  }

  const reopened = (disk: SimulatedDisk) => SegmentedWal.openSync({ directory: '/log', io: disk.createStorageIo() });
  const lsns = (wal: SegmentedWal): number[] => [...wal.replay()].map(({ lsn }) => lsn);

  test('an idle log goes on when there is room again', async () => {
    const { disk, environment, wal } = await onFullDisk();
    environment.fire();
    await turns(50);
    expect(wal.failure).toBeUndefined();
    expect(wal.stats().marks).toBe(0);
    expect(wal.pendingBytes).toBe(0);
    empty(disk);
    expect(wal.append('b')).toBe(2);
    await wal.sync();
    environment.fire();
    await turns(50);
    expect(wal.stats().marks).toBe(1);
    const found = reopened(disk.crash());
    expect(lsns(found)).toEqual([1, 2]);
  });

  test('a log is closed, and opened again', async () => {
    const { disk, wal } = await onFullDisk();
    await wal.close();
    disk.kill();
    const again = reopened(disk);
    expect(again.recovery.cleanlyClosed).toBe(false);
    expect(lsns(again)).toEqual([1]);
    expect(lsns(reopened(disk.crash()))).toEqual([1]);
  });

  test('a commit that comes while room is looked for is another matter', async () => {
    const { disk, environment, wal } = await onFullDisk();
    environment.fire();
    wal.append('b');
    empty(disk);
    await wal.sync();
    expect(wal.durableLsn).toBe(2);
    expect(lsns(reopened(disk.crash()))).toEqual([1, 2]);
  });
});

test('a mark that has room in its block is written on a full disk', async () => {
  const disk = new SimulatedDisk();
  const environment = new TestEnvironment();
  const wal = SegmentedWal.openSync({
    directory: '/log',
    blockBytes: 512,
    io: disk.createStorageIo(),
    ...environment.options,
  });
  wal.append('a');
  wal.syncSync();
  fill(disk);
  environment.fire();
  await turns(50);
  expect(wal.stats().marks).toBe(1);
  wal.closeSync();
  expect(SegmentedWal.openSync({ directory: '/log', io: disk.createStorageIo() }).recovery.cleanlyClosed).toBe(true);
});

describe('where blocks cannot be reserved', () => {
  /** A log with one durable record, whose next mark needs a block of its own. */
  function opened() {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = { directory: '/log', blockBytes: 512, padGroups: true, ...environment.options };
    const wal = SegmentedWal.openSync({ ...config, io: disk.createStorageIo() });
    wal.append('a');
    wal.syncSync();
    return { disk, environment, wal };
  }

  test('a mark is written all the same', async () => {
    const { disk, environment, wal } = opened();
    disk.failWhen(({ kind }) => (kind === 'allocate' ? 'EIO' : undefined));
    environment.fire();
    await turns(50);
    expect(wal.stats().marks).toBe(1);
    expect(wal.failure).toBeUndefined();
    wal.closeSync();
  });

  test('because the disk is broken, the log fails', async () => {
    const { disk, environment, wal } = opened();
    disk.failWhen(({ kind }) => (kind === 'allocate' ? 'broken' : undefined));
    environment.fire();
    await turns(50);
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
  });
});

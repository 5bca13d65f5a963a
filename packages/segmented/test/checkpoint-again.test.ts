import { join } from 'node:path';
import { FileName } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const CHECKPOINT = join(DIRECTORY, FileName.checkpoint);

function openOn(io: StorageIo): SegmentedWal {
  const config = { segmentBytes: 2048, blockBytes: 512, markAfterMs: 0, recycleSegments: 0 };
  return SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...config });
}

const truncate = (wal: SegmentedWal): unknown => wal.truncateBeforeSync(30);

/**
 * A log whose checkpoint was replaced, and then the sync of the directory failed.
 *
 * @param close - closed cleanly before, and opened again
 */
function failed(call = truncate, close = false): SimulatedDisk {
  const disk = new SimulatedDisk();
  let wal = openOn(disk.createStorageIo());
  for (let lsn = 1; lsn <= 40; lsn++) {
    wal.append(new Uint8Array(200));
    wal.syncSync();
  }
  if (call !== truncate) wal.holdSync('other', 3);
  if (close) {
    wal.closeSync();
    wal = openOn(disk.createStorageIo());
  }
  let renamed = false;
  disk.failWhen(({ kind, path }) => {
    if (kind === 'rename' && path.endsWith(FileName.checkpointDraft)) renamed = true;
    return renamed && kind === 'sync-directory' ? 'failing-sync' : undefined;
  });
  expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
  expect(renamed).toBe(true);
  disk.kill();
  disk.failWhen(undefined);
  return disk;
}

/** What is done to names, in short. */
function watched(disk: SimulatedDisk): string[] {
  const done: string[] = [];
  disk.failWhen(({ kind, path }: DiskOperation) => {
    if (kind === 'rename' && path.endsWith(FileName.checkpointDraft)) done.push('checkpoint');
    else if (kind === 'sync-directory') done.push('sync');
    else if (kind === 'remove' && /wal-/.test(path)) done.push('remove');
    return undefined;
  });
  return done;
}

describe('a checkpoint that was read from a log that failed', () => {
  test('is written again and synced before a file is removed because of it', () => {
    const disk = failed();
    const done = watched(disk);
    const wal = openOn(disk.createStorageIo());
    expect(wal.firstLsn).toBeGreaterThan(1);
    const removed = done.indexOf('remove');
    expect(removed).toBeGreaterThan(0);
    expect(done.slice(0, removed)).toContain('checkpoint');
    expect(done.slice(done.indexOf('checkpoint'), removed)).toContain('sync');
    wal.closeSync();
  });

  test('is written again before a file is removed also when the log was closed cleanly before the failed opening', () => {
    const disk = failed(undefined, true);
    const done = watched(disk);
    const wal = openOn(disk.createStorageIo());
    expect(wal.recovery.cleanlyClosed).toBe(true);
    expect(wal.firstLsn).toBeGreaterThan(1);
    expect(done.indexOf('checkpoint')).toBeGreaterThanOrEqual(0);
    expect(done.indexOf('remove')).toBeGreaterThan(done.indexOf('checkpoint'));
    wal.closeSync();
  });

  describe.each([
    ['hold', (wal: SegmentedWal): unknown => wal.holdSync('reader', 5)],
    ['checkpoint', (wal: SegmentedWal): unknown => wal.checkpointSync(5)],
    ['releaseHold', (wal: SegmentedWal): unknown => wal.releaseHoldSync('other')],
  ])('makes %s durable that changes nothing of it', (_call, call) => {
    test('when the log was closed cleanly before the failed opening', () => {
      const disk = failed(call, true);
      const wal = openOn(disk.createStorageIo());
      const done = watched(disk);
      call(wal);
      expect(done).toEqual(['checkpoint', 'sync']);
      call(wal);
      expect(done).toHaveLength(2);
      wal.closeSync();
    });

    test('or rejects it on a full disk', () => {
      const disk = failed(call);
      disk.capacityBytes = 0;
      const wal = openOn(disk.createStorageIo());
      const done = watched(disk);
      expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      call(wal);
      // The second sync is for the name of the segment for the next record.
      expect(done).toEqual(['checkpoint', 'sync', 'sync']);
      wal.closeSync();
    });
  });

  test('is not written again when the log was closed cleanly', () => {
    const disk = failed();
    openOn(disk.createStorageIo()).closeSync();
    const done = watched(disk);
    openOn(disk.createStorageIo()).closeSync();
    expect(done).not.toContain('checkpoint');
  });

  test('is written when there is room for it, and no file is removed before', () => {
    const disk = failed();
    disk.capacityBytes = 0;
    const done = watched(disk);
    const wal = openOn(disk.createStorageIo());
    expect(wal.recovery.lastLsn).toBe(40);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(done).not.toContain('remove');
    // Also at the next opening.
    wal.closeSync();
    expect(openOn(disk.createStorageIo()).recovery.cleanlyClosed).toBe(false);
    disk.kill();
    expect(done).not.toContain('remove');
    const last = openOn(disk.createStorageIo());
    expect(done).not.toContain('checkpoint');
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    last.syncSync();
    expect(done).toContain('checkpoint');
    expect(last.append('x')).toBe(41);
    last.closeSync();
    openOn(disk.createStorageIo()).closeSync();
    // Files that the checkpoint does without go when the log is opened.
    expect(done).toContain('remove');
    expect(disk.createStorageIo().stat(CHECKPOINT).kind).toBe('file');
  });
});

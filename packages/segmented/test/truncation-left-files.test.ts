import { join } from 'node:path';
import { FileName } from '@walstack/codec';
import { readCheckpoint } from '@walstack/mmap-reader/internal';
import { SegmentedWal, type SegmentedWalConfig, type TruncateResult } from '@walstack/segmented';
import { ioSteps, runSync } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { listen } from '../../../harness/test-kit/channels.js';
import { TestEnvironment } from './support/environments.js';
import { FOLLOWERS, follow } from './support/followers.js';
import { NO_SPACE } from './support/full-disks.js';
import { DIRECTORY } from './support/logs.js';

const CHECKPOINT_DRAFT = join(DIRECTORY, FileName.checkpointDraft);

/** A log of 60 records, of which some files cannot be removed, and whose second checkpoint finds no room from now on. */
function leavingFiles(isLeft: (path: string) => boolean, more: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const open = (on = disk): SegmentedWal => {
    const own = {
      segmentBytes: 2048,
      blockBytes: 512,
      markAfterMs: 0,
      recycleSegments: 0,
      preallocate: 'none',
    } as const;
    const io = on.createStorageIo();
    return SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...own, ...more });
  };
  const wal = open();
  for (let lsn = 1; lsn <= 60; lsn++) {
    wal.append(new Uint8Array(250));
    wal.syncSync();
  }
  wal.checkpointSync(1);
  // Without one, a truncation that is announced is as good as done.
  const io = disk.createStorageIo();
  const { logId } = runSync(io, readCheckpoint(io, DIRECTORY));
  io.makeDirectory(FOLLOWERS);
  follow(io, logId, 'follower', 55);
  for (const directory of [DIRECTORY, FOLLOWERS]) runSync(io, ioSteps.syncDirectory(io, directory));
  let isFull = false;
  disk.failWhen(({ kind, path }) => {
    if (kind === 'remove' && isLeft(path)) return 'EIO';
    if (path !== CHECKPOINT_DRAFT) return undefined;
    isFull ||= kind === 'rename';
    return isFull && kind === 'write' ? 'ENOSPC' : undefined;
  });
  return { disk, wal, open };
}

const second = (path: string): boolean => path.includes('wal-0000000002-');

test.each<[string, (wal: SegmentedWal) => void]>([
  ['a hold', (wal) => wal.holdSync('reader', 45)],
  ['a clean close', () => {}],
])('a truncation that leaves a file and has no room to note that is done: behind %s the log opens', (_name, call) => {
  const { disk, wal, open } = leavingFiles(second);
  expect(wal.truncateBeforeSync(20)).toMatchObject({ segmentsLeft: 1 });
  const { firstLsn } = wal;
  expect(firstLsn).toBeGreaterThan(10);
  // The next one finds no room for its announcement: it is given up, and not the one before.
  expect(() => wal.truncateBeforeSync(40)).toThrow(NO_SPACE as Error);
  expect([wal.firstLsn, wal.failure]).toEqual([firstLsn, undefined]);
  disk.failWhen(undefined);
  call(wal);
  wal.closeSync();
  const again = open();
  expect([again.firstLsn, again.lastLsn]).toEqual([firstLsn, 60]);
  again.closeSync();
});

test('a power cut behind a truncation that leaves a file and has no room to note that leaves the log behind it', () => {
  const { disk, wal } = leavingFiles(second);
  wal.truncateBeforeSync(20);
  const again = SegmentedWal.openSync({ directory: DIRECTORY, io: disk.crash().createStorageIo() });
  expect([again.firstLsn, again.lastLsn]).toEqual([wal.firstLsn, 60]);
  again.closeSync();
});

test('a truncation that can remove no file and has no room to note that says so, and is noted by the next call with room', () => {
  const { disk, wal, open } = leavingFiles((path) => path.includes('wal-'));
  expect(() => wal.truncateBeforeSync(20)).toThrow(NO_SPACE as Error);
  const { firstLsn } = wal;
  // There is room again, and still no file that can be removed.
  disk.failWhen(({ kind, path }) => (kind === 'remove' && path.includes('wal-') ? 'EIO' : undefined));
  expect(wal.truncateBeforeSync(20).segmentsLeft).toBeGreaterThan(1);
  const again = open(disk.crash());
  expect([again.firstLsn, again.lastLsn]).toEqual([firstLsn, 60]);
  again.closeSync();
});

describe('a truncation that could remove no file, when there is only the room that its files have', () => {
  function stuck(more: Partial<SegmentedWalConfig> = {}) {
    const log = leavingFiles((path) => path.includes('wal-'), more);
    expect(() => log.wal.truncateBeforeSync(20)).toThrow(NO_SPACE as Error);
    const io = log.disk.createStorageIo();
    const files = (): number => io.list(DIRECTORY).filter((name) => name.startsWith('wal-')).length;
    const before = files();
    log.disk.failWhen(({ kind, path }) =>
      path === CHECKPOINT_DRAFT && kind === 'write' && files() === before ? 'ENOSPC' : undefined,
    );
    return { ...log, files, before, left: log.wal.listSegments()[0]?.number as number };
  }

  test.each([20, 40])('removes them with the next truncation (before %i)', (lsn) => {
    const { disk, wal, open, files, before, left } = stuck();
    const { firstLsn } = wal;
    const result = wal.truncateBeforeSync(lsn);
    expect(result.segmentsDeleted).toBe(before - files());
    expect(result).toMatchObject({ segmentsLeft: 0 });
    expect(before - files()).toBeGreaterThanOrEqual(left - 1);
    expect(wal.firstLsn).toBeGreaterThanOrEqual(lsn === 20 ? firstLsn : 36);
    const again = open(disk.crash());
    expect([again.firstLsn, again.lastLsn]).toEqual([wal.firstLsn, 60]);
    again.closeSync();
  });

  test('removes them also where nothing is appended or truncated: when it is closed', () => {
    const { wal, open, files, before } = stuck();
    const { firstLsn } = wal;
    wal.closeSync();
    expect(files()).toBeLessThan(before);
    const again = open();
    expect([again.firstLsn, again.lastLsn]).toEqual([firstLsn, 60]);
    again.closeSync();
  });
});

describe('files that a truncation has left and noted, when there is only the room that they have', () => {
  function left() {
    const log = leavingFiles((path) => path.includes('wal-'));
    const io = log.disk.createStorageIo();
    const files = (): number => io.list(DIRECTORY).filter((name) => name.startsWith('wal-')).length;
    log.disk.failWhen(({ kind, path }) => (kind === 'remove' && path.includes('wal-') ? 'EIO' : undefined));
    const { segmentsLeft } = log.wal.truncateBeforeSync(20);
    expect(segmentsLeft).toBeGreaterThan(1);
    const before = files();
    log.disk.failWhen(({ kind, path }) => {
      const needsRoom = kind === 'write' || (kind === 'rename' && path === join(DIRECTORY, FileName.nextSegment));
      return needsRoom && files() === before ? 'ENOSPC' : undefined;
    });
    return { ...log, files, before, segmentsLeft };
  }

  test.each<[string, (wal: SegmentedWal) => unknown]>([
    ['a truncation of more', (wal) => wal.truncateBeforeSync(40)],
    ['emptying the log', (wal) => wal.truncateBeforeSync(wal.nextLsn)],
    ['a hold', (wal) => wal.holdSync('reader', 45)],
    ['a checkpoint', (wal) => wal.checkpointSync(50)],
    ['a cut', (wal) => wal.truncateAfterSync(50)],
    ['a reset', (wal) => wal.resetToSync(100)],
  ])('are removed by %s, which then has room', (_name, call) => {
    const { disk, wal, open, files, before, segmentsLeft } = left();
    const announced: TruncateResult[] = [];
    listen('walstack:truncate', (message) => announced.push(message as TruncateResult));
    const result = call(wal) as TruncateResult | undefined;
    expect(before - files()).toBeGreaterThanOrEqual(segmentsLeft - 1);
    const removed = announced.reduce((sum, { segmentsDeleted }) => sum + segmentsDeleted, 0);
    expect(removed).toBeGreaterThanOrEqual(segmentsLeft);
    if (result !== undefined) expect(result).toMatchObject({ segmentsDeleted: removed, segmentsLeft: 0 });
    expect(wal.failure).toBeUndefined();
    const again = open(disk.crash('none'));
    expect([again.firstLsn, again.nextLsn]).toEqual([wal.firstLsn, wal.nextLsn]);
    again.closeSync();
  });

  test('are removed by the next try of records that wait for room, with no other call', () => {
    const { wal, files, before, segmentsLeft } = left();
    wal.append(new Uint8Array(250));
    expect(() => wal.syncSync()).toThrow(NO_SPACE as Error);
    expect([files(), wal.durableLsn]).toEqual([before, 60]);
    wal.syncSync();
    // There may be one more for the record.
    expect(before - files()).toBeGreaterThanOrEqual(segmentsLeft - 1);
    expect(wal.durableLsn).toBe(61);
  });
});

test('by retention alone, too', () => {
  const { disk, wal, open } = leavingFiles(second, { retainBytes: 8192 });
  wal.checkpointSync(60);
  for (let record = 0; record < 30; record++) {
    wal.append(new Uint8Array(250));
    wal.syncSync();
  }
  const { firstLsn, lastLsn } = wal;
  disk.failWhen(undefined);
  wal.closeSync();
  const again = open();
  expect(again.firstLsn).toBeGreaterThanOrEqual(firstLsn);
  expect(again.lastLsn).toBe(lastLsn);
  again.closeSync();
});

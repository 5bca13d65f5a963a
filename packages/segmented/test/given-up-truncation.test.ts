import { join } from 'node:path';
import { type Checkpoint, FileName } from '@walstack/codec';
import { readCheckpoint } from '@walstack/mmap-reader/internal';
import { SegmentedWal } from '@walstack/segmented';
import { ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { FOLLOWERS, follow } from './support/followers.js';
import { DIRECTORY } from './support/logs.js';

const RECORDS = 60;

function openOn(io: StorageIo, directory = DIRECTORY): SegmentedWal {
  const own = { segmentBytes: 2048, blockBytes: 512, markAfterMs: 0, recycleSegments: 0 };
  return SegmentedWal.openSync({ directory, io, ...new TestEnvironment().options, ...own });
}

const stored = (io: StorageIo, directory = DIRECTORY): Checkpoint => runSync(io, readCheckpoint(io, directory));

/**
 * A log of {@link RECORDS} records whose truncation was announced, and given up for a follower that came at that moment and needs
 * everything from 2 on; there was no room to store that. There is none yet.
 */
function givenUp() {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  const wal = openOn(io);
  for (let lsn = 1; lsn <= RECORDS; lsn++) {
    wal.append(new Uint8Array(250));
    wal.syncSync();
  }
  wal.checkpointSync(1);
  const { logId } = stored(io);
  io.makeDirectory(FOLLOWERS);
  follow(io, logId, 'one', 55);
  for (const directory of [DIRECTORY, FOLLOWERS]) runSync(io, ioSteps.syncDirectory(io, directory));
  let isFull = false;
  disk.failWhen(({ kind, path }) => {
    const isDraft = path === join(DIRECTORY, FileName.checkpointDraft);
    if (isDraft && kind === 'rename' && !isFull) {
      isFull = true;
      follow(io, logId, 'late', 2);
    }
    return isFull && isDraft && kind === 'write' ? 'ENOSPC' : undefined;
  });
  expect(() => wal.truncateBeforeSync(40)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
  expect([wal.firstLsn, wal.failure]).toEqual([1, undefined]);
  expect(stored(io)).toMatchObject({ unsettled: { firstSegment: 1 } });
  return { disk, io, wal };
}

/** A copy of the files of the log alone: what is kept for followers is not needed there. */
function withoutFollowers(io: StorageIo): string {
  const directory = '/copy';
  io.makeDirectory(directory);
  for (const name of io.list(DIRECTORY)) {
    if (!/^(wal-|checkpoint$)/.test(name)) continue;
    const [from, to] = [io.open(join(DIRECTORY, name)), io.open(join(directory, name), { create: true })];
    const bytes = new Uint8Array(io.size(from));
    runSync(io, ioSteps.read(io, from, bytes, 0));
    runSync(io, ioSteps.write(io, to, bytes, 0));
    for (const file of [from, to]) io.close(file);
  }
  return directory;
}

describe('a truncation that was announced and given up, without room to store that', () => {
  test('is over for a backup, which has everything', () => {
    const { disk, io, wal } = givenUp();
    expect(wal.backupSync('/backup')).toMatchObject({ firstLsn: 1, lastLsn: RECORDS });
    disk.failWhen(undefined);
    wal.closeSync();
    expect(openOn(io, '/backup').firstLsn).toBe(1);
  });

  test.each<[string, (wal: SegmentedWal) => void]>([
    ['a hold', (wal) => wal.holdSync('h', 2)],
    ['a checkpoint', (wal) => wal.checkpointSync(2)],
    ['a checkpoint that changes nothing', (wal) => wal.checkpointSync(1)],
    ['another truncation that has nothing to remove', (wal) => wal.truncateBeforeSync(40)],
    ['closing', (wal) => wal.closeSync()],
  ])('is over for good with %s', (_what, call) => {
    const { disk, io, wal } = givenUp();
    disk.failWhen(undefined);
    call(wal);
    expect(stored(io)).not.toHaveProperty('unsettled');
    expect(openOn(io, withoutFollowers(io)).firstLsn).toBe(1);
    disk.kill();
    const again = openOn(disk.createStorageIo());
    expect(again.firstLsn).toBe(1);
    again.closeSync();
  });

  test('rejects another truncation as long as there is no room', () => {
    const { wal } = givenUp();
    expect(() => wal.truncateBeforeSync(40)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect([wal.firstLsn, wal.failure]).toEqual([1, undefined]);
  });

  test('does not prevent the log from being closed, and is over when it is opened', () => {
    const { disk, io, wal } = givenUp();
    wal.closeSync();
    expect(stored(io)).toMatchObject({ unsettled: { firstSegment: 1 } });
    disk.failWhen(undefined);
    const again = openOn(io);
    expect(again.recovery.cleanlyClosed).toBe(true);
    expect(again.firstLsn).toBe(1);
    expect(stored(io)).not.toHaveProperty('unsettled');
    disk.kill();
    const later = openOn(disk.crash('none').createStorageIo());
    expect(later.firstLsn).toBe(1);
    later.closeSync();
  });

  test('is over where the log was cut', () => {
    const { disk, io, wal } = givenUp();
    disk.failWhen(undefined);
    wal.truncateAfterSync(30);
    expect([wal.firstLsn, wal.lastLsn]).toEqual([1, 30]);
    expect(stored(io)).not.toHaveProperty('unsettled');
    disk.kill();
    const again = openOn(disk.createStorageIo());
    expect([again.firstLsn, again.lastLsn]).toEqual([1, 30]);
    again.closeSync();
  });
});

test.each(Array.from({ length: 6 }, (_, at) => at))(
  'closing ends the truncation that was given up, and leaves no file open when operation %i of that fails',
  (at) => {
    const { disk, io, wal } = givenUp();
    // The active segment.
    let open = 1;
    const [openFile, closeFile] = [io.open.bind(io), io.close.bind(io)];
    io.open = (path, options) => {
      const file = openFile(path, options);
      open++;
      return file;
    };
    io.close = (file) => {
      closeFile(file);
      open--;
    };
    let count = 0;
    disk.failWhen(() => (count++ === at ? 'EIO' : undefined));
    let isClosed = true;
    try {
      wal.closeSync();
    } catch (error) {
      isClosed = false;
      expect(error).toMatchObject({ code: 'WAL_IO_FAILED' });
    }
    expect(count).toBeGreaterThan(at);
    expect([isClosed, open]).toEqual([false, 0]);
    disk.failWhen(undefined);
    expect(openOn(disk.crash('none').createStorageIo())).toMatchObject({ firstLsn: 1, nextLsn: RECORDS + 1 });
  },
);

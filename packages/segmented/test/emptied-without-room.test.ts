import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { fill, NO_SPACE } from './support/full-disks.js';
import { DIRECTORY } from './support/logs.js';

const OPTIONS = {
  directory: DIRECTORY,
  blockBytes: 4096,
  segmentBytes: 16_384,
  markAfterMs: 0,
  recycleSegments: 0,
} as const;

/** A log of several segments on a disk that has room for the checkpoint, and not for a segment. */
function logWithoutRoom(reserveBytes: number) {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  const wal = SegmentedWal.openSync({ ...OPTIONS, io, reserveBytes, ...new TestEnvironment().options });
  for (let each = 0; each < 60; each++) {
    wal.append(new Uint8Array(1500));
    wal.syncSync();
  }
  fill(disk, 1600);
  return { disk, io, wal };
}

function openAgain(disk: SimulatedDisk): SegmentedWal {
  const io = disk.crash('none').createStorageIo();
  return SegmentedWal.openSync({ ...OPTIONS, io, ...new TestEnvironment(2).options });
}

describe('a log that is emptied on a full disk', () => {
  test('removes what is sealed to have room for its next segment', () => {
    const { disk, wal } = logWithoutRoom(0);
    const { nextLsn } = wal;
    const sealed = wal.listSegments().length - 1;
    const result = wal.truncateBeforeSync(nextLsn);
    expect(result).toMatchObject({ segmentsDeleted: sealed + 1, segmentsLeft: 0 });
    expect([wal.firstLsn, wal.nextLsn, wal.failure]).toEqual([nextLsn, nextLsn, undefined]);
    expect(openAgain(disk)).toMatchObject({ firstLsn: nextLsn, nextLsn });
  });

  test('removes what is sealed while records wait for which its reserve is too small', () => {
    const { disk, wal } = logWithoutRoom(8192);
    const acknowledged = wal.durableLsn;
    // Several segments of records: they wait in memory.
    for (let each = 0; each < 40; each++) wal.append(new Uint8Array(1500));
    expect(() => wal.syncSync()).toThrow(NO_SPACE);
    const { nextLsn } = wal;
    wal.truncateBeforeSync(nextLsn);
    expect(wal.firstLsn).toBeGreaterThan(acknowledged - 12);
    expect(wal.failure).toBeUndefined();
    wal.syncSync();
    expect(wal.durableLsn).toBe(nextLsn - 1);
    expect(openAgain(disk)).toMatchObject({ firstLsn: wal.firstLsn, nextLsn });
  });

  test('is refused with nothing changed where nothing can be removed', () => {
    const { disk, wal } = logWithoutRoom(0);
    disk.failWhen(({ kind }) => (kind === 'create' ? 'ENOSPC' : undefined));
    expect(() => wal.truncateBeforeSync(wal.nextLsn)).toThrow(NO_SPACE);
    expect([wal.firstLsn, wal.failure]).toEqual([1, undefined]);
  });
});

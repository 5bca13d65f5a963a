import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestWorld } from './support/worlds.js';

/** Opens the log in a process of its own; whoever had it open before was killed. */
function open(disk: SimulatedDisk, seed: number): SegmentedWal {
  disk.kill();
  return SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    segmentBytes: 2048,
    ...new TestWorld(seed).options,
  });
}

/** There is no room: nothing is created, and no file grows. */
const fill = (disk: SimulatedDisk): void => {
  disk.capacityBytes = 0;
};

const empty = (disk: SimulatedDisk): void => {
  disk.capacityBytes = Number.POSITIVE_INFINITY;
};

const lsns = (wal: SegmentedWal): number[] => [...wal.replay()].map(({ lsn }) => lsn);

/** A log with 20 durable records that was killed. */
function killed(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const wal = open(disk, 1);
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  wal.syncSync();
  return disk.crash();
}

const TWENTY = Array.from({ length: 20 }, (_, index) => index + 1);

describe('on a full disk', () => {
  test('a killed log opens, is read, refuses records with WAL_NO_SPACE, and goes on when there is room', () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    expect(wal.recovery).toMatchObject({ records: 20, lastLsn: 20, cleanlyClosed: false });
    expect(lsns(wal)).toEqual(TWENTY);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    wal.syncSync();
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(wal.nextLsn).toBe(21);

    empty(disk);
    wal.syncSync();
    expect(wal.append('x')).toBe(21);
    wal.syncSync();
    expect(lsns(wal)).toEqual([...TWENTY, 21]);
    wal.closeSync();
    expect(lsns(open(disk.crash(), 3))).toEqual([...TWENTY, 21]);
  });

  test('a refused append alone finds out that there is room again', async () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    empty(disk);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    await new Promise(setImmediate);
    expect(wal.append('x')).toBe(21);
    wal.closeSync();
  });

  test('opening it again and again changes nothing that was there', () => {
    const disk = killed();
    fill(disk);
    for (let life = 2; life < 6; life++) expect(lsns(open(disk, life))).toEqual(TWENTY);
    expect(lsns(open(disk.crash(), 6))).toEqual(TWENTY);
  });

  test('a record that finds no room fails the log, and nothing acknowledged is lost', () => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    wal.append(new Uint8Array(100));
    expect(() => wal.syncSync()).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
    expect(lsns(wal)).toEqual(TWENTY);
    wal.closeSync();
    expect(lsns(open(disk, 3))).toEqual(TWENTY);
    empty(disk);
    const again = open(disk, 4);
    expect(again.append('x')).toBe(21);
    again.syncSync();
    expect(lsns(again)).toEqual([...TWENTY, 21]);
  });

  test('a truncation that has no room for its note changes nothing, and is no failure', () => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    expect(() => wal.truncateBeforeSync(15)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(lsns(wal)).toEqual(TWENTY);
    empty(disk);
    expect(wal.truncateBeforeSync(15).segmentsDeleted).toBeGreaterThan(0);
    expect(wal.firstLsn).toBeGreaterThan(1);
  });

  test.each([
    ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfterSync(7)],
    ['resetTo', (wal: SegmentedWal) => wal.resetToSync(50)],
    ['checkpoint', (wal: SegmentedWal) => wal.checkpointSync(7)],
    ['hold', (wal: SegmentedWal) => wal.holdSync('reader', 7)],
  ])('a %s that has no room changes nothing, is no failure, and works when there is room', (_name, call) => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect([wal.failure, wal.nextLsn, wal.checkpointLsn, wal.holds]).toEqual([undefined, 21, 0, {}]);
    expect(lsns(wal)).toEqual(TWENTY);
    empty(disk);
    expect(wal.append('x')).toBe(21);
    call(wal);
    wal.syncSync();
    const after = [wal.firstLsn, wal.nextLsn, wal.checkpointLsn, wal.holds];
    const again = open(disk.crash(), 3);
    expect([again.firstLsn, again.nextLsn, again.checkpointLsn, again.holds]).toEqual(after);
  });

  test('a log for whose segment there was no room is cut, and goes on in the segment that the cut makes', () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    empty(disk);
    wal.truncateAfterSync(7);
    expect(wal.append('x')).toBe(8);
    wal.syncSync();
    expect(lsns(open(disk.crash(), 3))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('a checkpoint whose name may be lost is a failure for good, though the disk says that it is full', () => {
    const disk = killed();
    const wal = open(disk, 2);
    disk.failWhen(({ kind }) => (kind === 'sync-directory' ? 'ENOSPC' : undefined));
    expect(() => wal.checkpointSync(7)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    disk.failWhen(undefined);
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE' });
    // A later sync that succeeds would prove nothing.
    expect(() => wal.checkpointSync(8)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.checkpointLsn).toBe(0);
  });
});

import { SegmentedWal } from '@walstack/segmented';
import { describe, expect, test } from 'vitest';
import { ForgetfulDisk } from './support/forgetful-disk.js';
import { TestWorld } from './support/worlds.js';

const open = (disk: ForgetfulDisk, seed: number): SegmentedWal =>
  SegmentedWal.openSync({
    directory: '/log',
    io: disk.io(),
    blockBytes: 512,
    segmentBytes: 2048,
    ...new TestWorld(seed).options,
  });

const lsns = (wal: SegmentedWal): number[] => [...wal.replay()].map(({ lsn }) => lsn);

/** A log with 20 durable records that was killed. */
function killed(): ForgetfulDisk {
  const disk = new ForgetfulDisk();
  const wal = open(disk, 1);
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  wal.syncSync();
  return disk.afterPowerCut(() => false);
}

const TWENTY = Array.from({ length: 20 }, (_, index) => index + 1);

describe('on a full disk', () => {
  test('a killed log opens, is read, refuses records with WAL_NO_SPACE, and goes on when there is room', () => {
    const disk = killed();
    disk.full = true;
    const wal = open(disk, 2);
    expect(wal.recovery).toMatchObject({ records: 20, lastLsn: 20, cleanlyClosed: false });
    expect(lsns(wal)).toEqual(TWENTY);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    wal.syncSync();
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(wal.nextLsn).toBe(21);

    disk.full = false;
    wal.syncSync();
    expect(wal.append('x')).toBe(21);
    wal.syncSync();
    expect(lsns(wal)).toEqual([...TWENTY, 21]);
    wal.closeSync();
    expect(
      lsns(
        open(
          disk.afterPowerCut(() => false),
          3,
        ),
      ),
    ).toEqual([...TWENTY, 21]);
  });

  test('a refused append alone finds out that there is room again', async () => {
    const disk = killed();
    disk.full = true;
    const wal = open(disk, 2);
    disk.full = false;
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    await new Promise(setImmediate);
    expect(wal.append('x')).toBe(21);
    wal.closeSync();
  });

  test('opening it again and again changes nothing that was there', () => {
    const disk = killed();
    disk.full = true;
    for (let life = 2; life < 6; life++) expect(lsns(open(disk, life))).toEqual(TWENTY);
    expect(
      lsns(
        open(
          disk.afterPowerCut(() => false),
          6,
        ),
      ),
    ).toEqual(TWENTY);
  });

  test('a record that finds no room fails the log, and nothing acknowledged is lost', () => {
    const disk = killed();
    const wal = open(disk, 2);
    disk.full = true;
    wal.append(new Uint8Array(100));
    expect(() => wal.syncSync()).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
    expect(lsns(wal)).toEqual(TWENTY);
    wal.closeSync();
    expect(lsns(open(disk, 3))).toEqual(TWENTY);
    disk.full = false;
    const again = open(disk, 4);
    expect(again.append('x')).toBe(21);
    again.syncSync();
    expect(lsns(again)).toEqual([...TWENTY, 21]);
  });

  test('a truncation that has no room for its note changes nothing, and is no failure', () => {
    const disk = killed();
    const wal = open(disk, 2);
    disk.full = true;
    expect(() => wal.truncateBeforeSync(15)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(lsns(wal)).toEqual(TWENTY);
    disk.full = false;
    expect(wal.truncateBeforeSync(15).segmentsDeleted).toBeGreaterThan(0);
    expect(wal.firstLsn).toBeGreaterThan(1);
  });
});

import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { exploreCrashes, type ProcessRun, type SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { makeAlike } from '../src/make-alike.js';
import { type Disk, mirror } from '../src/mirror.js';

/** The reports of a scenario before and after each sync: how many records there are, and how many were acknowledged. */
interface Note {
  readonly appended: number;
  readonly promised: number;
}

const ROOT = '/';
const DIRECTORY = '/log';

const diskOf = (disk: SimulatedDisk | undefined): Disk => ({
  io: (disk as SimulatedDisk).createStorageIo({ completesInline: false, canWait: false }),
  root: ROOT,
});

const createIo = ([first, second]: readonly SimulatedDisk[]): StorageIo => mirror(diskOf(first), diskOf(second));

const payloadOf = (lsn: number): string => `record ${lsn} `.padEnd(40 + ((lsn * 37) % 300), '.');

const open = (io: StorageIo, { random }: ProcessRun<Note>): Promise<SegmentedWal> =>
  SegmentedWal.open({
    directory: DIRECTORY,
    io,
    segmentBytes: 2048,
    blockBytes: 512,
    markAfterMs: 0,
    now: () => 0,
    setTimer: () => () => {},
    randomBytes: (bytes) => Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256)),
  });

/** Appends, syncs, rolls, truncates and reopens on the mirror. */
async function scenario(run: ProcessRun<Note>): Promise<void> {
  const { io } = run;
  for (let round = 0; round < 2; round++) {
    const wal = await open(io, run);
    for (let group = 0; group < 4; group++) {
      for (let each = 0; each < 3; each++) wal.append(payloadOf(wal.nextLsn));
      run.note({ appended: wal.lastLsn, promised: wal.durableLsn });
      await wal.sync();
      run.note({ appended: wal.lastLsn, promised: wal.durableLsn });
    }
    if (round === 0) await wal.truncateBefore(8);
    await wal.close();
  }
}

/** Opens the log on a backend: everything acknowledged is there, and nothing that was not appended. */
async function checkLog(io: StorageIo, run: ProcessRun<Note>): Promise<void> {
  const wal = await open(io, run);
  const promised = Math.max(0, ...run.notes.map((note) => note.promised));
  const appended = Math.max(0, ...run.notes.map((note) => note.appended));
  expect(wal.lastLsn).toBeGreaterThanOrEqual(promised);
  expect(wal.lastLsn).toBeLessThanOrEqual(appended);
  let count = 0;
  for await (const { lsn, payload } of wal.replay()) {
    expect(Buffer.from(payload).toString()).toBe(payloadOf(lsn));
    count++;
  }
  expect(count).toBe(wal.lastLsn - wal.firstLsn + 1);
  await wal.close();
}

describe('whenever the power goes, on both disks at one moment', () => {
  const explore = (check: (run: ProcessRun<Note>) => Promise<void>, crashesInCheck: number) =>
    exploreCrashes<Note>(scenario, check, { disks: 2, createIo, seeds: [1, 2], survivorsPerPoint: 6, crashesInCheck });

  test('the mirror goes on with everything promised, and so after a crash of its recovery', async () => {
    const report = await explore(async (run) => {
      const [first, second] = [diskOf(run.disks[0]), diskOf(run.disks[1])];
      await makeAlike(first, second, 'log');
      await checkLog(mirror(first, second), run);
    }, 1);
    expect(report.points).toBeGreaterThan(100);
    expect(report.nestedStates).toBeGreaterThan(100);
  });

  test.each([0, 1])('disk %i alone has everything promised', async (index) => {
    const report = await explore((run) => checkLog(diskOf(run.disks[index]).io, run), 0);
    expect(report.states).toBeGreaterThan(200);
  });

  test('and the test would see it: a mirror that writes to one disk only does not do', async () => {
    const careless = ([first]: readonly SimulatedDisk[]): StorageIo => diskOf(first).io;
    const exploration = exploreCrashes<Note>(scenario, (run) => checkLog(diskOf(run.disks[1]).io, run), {
      disks: 2,
      createIo: careless,
      seeds: [1],
    });
    await expect(exploration).rejects.toThrow('a crash at point');
  });
});

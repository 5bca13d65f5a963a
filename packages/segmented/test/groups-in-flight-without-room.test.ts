import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';

/** Several groups are in flight, and a later one finds no room before an earlier one is durable. */

const NO_SPACE = expect.objectContaining({ code: 'WAL_NO_SPACE' });

const open = (disk: SimulatedDisk, seed: number): Promise<SegmentedWal> =>
  SegmentedWal.open({
    directory: '/log',
    io: disk.createStorageIo({
      completesInline: false,
      overlappedWrites: true,
      durableWrites: true,
      directAlignment: 512,
    }),
    blockBytes: 512,
    segmentBytes: 4096,
    markAfterMs: 0,
    preallocate: 'none',
    reserveBytes: 0,
    ...new TestEnvironment(seed).options,
  });

/** A log whose active segment has room for a record of 3000 bytes, on a disk that has none for a further file. */
async function withoutAFurtherFile(): Promise<{ disk: SimulatedDisk; wal: SegmentedWal }> {
  const disk = new SimulatedDisk();
  const wal = await open(disk, 1);
  wal.append('first');
  await wal.sync();
  disk.failWhen(({ kind }) => (kind === 'create' ? 'ENOSPC' : undefined));
  return { disk, wal };
}

const lastLsnAfterAPowerCut = async (disk: SimulatedDisk): Promise<number> =>
  (await open(disk.crash('none'), 2)).lastLsn;

type Waits = (wal: SegmentedWal) => Promise<void>;

describe.each<[string, Waits]>([
  ['sync', (wal) => wal.sync()],
  [
    'startSync',
    (wal) =>
      new Promise((resolve, reject) =>
        wal.startSync((failure) => (failure === undefined ? resolve() : reject(failure))),
      ),
  ],
])('%s of a group in flight, behind which the next segment finds no room', (_name, waits) => {
  test('rejects, and has acknowledged nothing that a power cut loses', async () => {
    const { disk, wal } = await withoutAFurtherFile();
    const outcomes: Promise<unknown>[] = [];
    for (const bytes of [3000, 2000]) {
      const lsn = wal.append(new Uint8Array(bytes));
      outcomes.push(
        waits(wal).then(
          async () => ({ lsn, durableLsn: wal.durableLsn, lastLsn: await lastLsnAfterAPowerCut(disk) }),
          (error: unknown) => error,
        ),
      );
    }
    expect(await Promise.all(outcomes)).toEqual([NO_SPACE, NO_SPACE]);
    expect([wal.failure, wal.stats().waitsForSpace]).toEqual([undefined, true]);
  });

  test('goes on when there is room, with every record', async () => {
    const { disk, wal } = await withoutAFurtherFile();
    const outcomes = [3000, 2000].map((bytes) => {
      wal.append(new Uint8Array(bytes));
      return waits(wal);
    });
    const rejected = { status: 'rejected', reason: NO_SPACE };
    expect(await Promise.allSettled(outcomes)).toEqual([rejected, rejected]);
    await turns();
    // The group that was in flight has had room.
    expect(wal.durableLsn).toBe(2);
    disk.failWhen(undefined);
    await wal.sync();
    expect([wal.durableLsn, wal.stats().waitsForSpace]).toEqual([3, false]);
    expect(await lastLsnAfterAPowerCut(disk)).toBe(3);
  });
});

import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { RING } from './support/full-disks.js';

/** A log whose next segment is preallocated, on a disk that completes in later turns. */
async function preallocated() {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ ...RING, maxPending: 256 });
  const config = { directory: '/log', io, blockBytes: 512, segmentBytes: 8192, preallocate: 'write' as const };
  const wal = await SegmentedWal.open({ ...config, recycleSegments: 2, ...new TestEnvironment().options });
  wal.append(new Uint8Array(5000));
  await wal.sync();
  while (!io.list('/log').includes('next.seg')) await turns(1);
  await turns();
  return { disk, io, wal };
}

// How far the checkpoint has come when the roll begins.
test.each(Array.from({ length: 14 }, (_, count) => count))(
  'a checkpoint on a full disk that gives up the prepared segment does not disturb a roll %i turns later',
  async (count) => {
    const { disk, io, wal } = await preallocated();
    let refused = 0;
    disk.failWhen(({ path }) => (path.endsWith('checkpoint.new') && refused++ === 0 ? 'ENOSPC' : undefined));
    const checkpoint = wal.checkpoint(1);
    await turns(count);
    wal.append(new Uint8Array(6000));
    wal.append(new Uint8Array(6000));
    await Promise.all([checkpoint, wal.sync()]);
    expect([refused > 0, wal.failure, wal.checkpointLsn, wal.durableLsn]).toEqual([true, undefined, 1, 3]);
    expect(wal.listSegments()).toHaveLength(3);
    await wal.close();
    const again = SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, ...new TestEnvironment(2).options });
    expect([again.recovery.records, again.checkpointLsn]).toEqual([3, 1]);
    again.closeSync();
  },
);

test('a reserve that was released for a checkpoint is not preallocated again before the log rolls', async () => {
  const { disk, io, wal } = await preallocated();
  let refused = 0;
  disk.failWhen(({ path }) => (path.endsWith('checkpoint.new') && refused++ === 0 ? 'ENOSPC' : undefined));
  await wal.checkpoint(1);
  expect([refused > 0, wal.checkpointLsn]).toEqual([true, 1]);
  wal.append(new Uint8Array(100));
  await wal.sync();
  await turns();
  expect(io.list('/log')).not.toContain('next.seg');
  wal.append(new Uint8Array(6000));
  await wal.sync();
  expect(wal.listSegments()).toHaveLength(2);
  await wal.close();
});

// How far the checkpoint has come when the next piece is prepared.
test.each(Array.from({ length: 4 }, (_, count) => count))(
  'a checkpoint finds the room that a preparation beside it gives up, %i turns later',
  async (count) => {
    const disk = new SimulatedDisk();
    const kind = { completesInline: false, overlappedWrites: true, durableWrites: true, latencyTicks: 8 };
    const io = disk.createStorageIo(kind);
    const config = { directory: '/log', io, markAfterMs: 0, reserveBytes: 0 };
    const wal = await SegmentedWal.open({ ...config, ...new TestEnvironment().options });
    const append = (groups: number): void => {
      for (let each = 0; each < groups; each++) wal.append(new Uint8Array(4000));
    };
    for (let each = 0; each < 10; each++) {
      append(1);
      await wal.sync();
    }
    await turns(300);
    expect(wal.stats().preparation.preparedBytes).toBeGreaterThan(0);
    let isFull = true;
    let refused = 0;
    // As if there were no room until the prepared file is removed. Groups are durable writes.
    disk.failWhen((operation) => {
      if (operation.kind === 'remove' && operation.path.endsWith('next.seg')) isFull = false;
      if (!isFull || operation.kind !== 'write') return undefined;
      refused++;
      return 'ENOSPC';
    });
    const checkpoint = wal.checkpoint(3);
    await turns(count);
    append(5);
    await Promise.all([checkpoint, wal.sync()]);
    expect([refused > 0, wal.checkpointLsn, wal.failure]).toEqual([true, 3, undefined]);
    await wal.close();
  },
);

import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { TestWorld } from './support/worlds.js';

test('a sync of the directory that failed is the last one, and whoever waited for a name behind it is refused', async () => {
  const disk = new SimulatedDisk({ seed: 3 });
  const io = disk.createStorageIo({ completesInline: false });
  const config = { directory: '/log', blockBytes: 512, segmentBytes: 2048, recycleSegments: 0 } as const;
  const wal = await SegmentedWal.open({ ...config, io, ...new TestWorld(3).options });
  wal.append(new Uint8Array(1000));
  await wal.sync();
  let syncs = 0;
  disk.failWhen(({ kind }) => (kind === 'sync-directory' && ++syncs === 1 ? 'EIO' : undefined));
  // The name of a checkpoint, and that of the next segment: each has a sync behind it.
  const held = wal.hold('reader', 1);
  wal.append(new Uint8Array(1500));
  const outcomes = await Promise.allSettled([held, wal.sync()]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(syncs).toBe(1);
  await wal.close().catch(() => {});
});

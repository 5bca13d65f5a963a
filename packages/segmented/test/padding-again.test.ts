import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';

test('recovery also writes padding again: after a failed sync it may be in the page cache only', () => {
  const disk = new SimulatedDisk({ seed: 3 });
  const config = {
    directory: '/log',
    blockBytes: 4096,
    segmentBytes: 1024 * 1024,
    padGroups: true,
    preallocate: 'none',
    recycleSegments: 2,
  } as const;
  const open = (on: SimulatedDisk, seed: number): SegmentedWal => {
    on.kill();
    return SegmentedWal.openSync({ ...config, io: on.createStorageIo(), ...new TestEnvironment(seed).options });
  };
  const first = open(disk, 1);
  // Padding stands alone in the last sector of a block.
  const payload = new Uint8Array(7 * 512 - 32).fill(7);
  const rollWith = (records: number): void => {
    for (const { rolls } = first.stats(); first.stats().rolls === rolls; ) {
      for (let record = 0; record < records; record++) first.append(payload);
      first.syncSync();
    }
  };
  // The next segment is in a file that has other bytes than zeros everywhere.
  rollWith(50);
  rollWith(50);
  first.truncateBeforeSync(first.activeSegmentFirstLsn);
  rollWith(50);
  expect(first.stats().recycled).toBe(1);
  for (let group = 0; group < 200; group++) {
    first.append(payload);
    first.flushSync();
  }
  disk.failWhen(({ kind }) => (kind === 'datasync' ? 'failing-sync' : undefined));
  expect(() => first.syncSync()).toThrow();
  disk.failWhen(undefined);
  const second = open(disk, 2);
  const { lastLsn } = second;
  expect(lastLsn).toBe(first.lastLsn);
  second.append('behind it');
  second.syncSync();
  const third = open(disk.crash('none'), 3);
  expect([...third.replay()].map(({ lsn }) => lsn).at(-1)).toBe(lastLsn + 1);
  third.closeSync();
});

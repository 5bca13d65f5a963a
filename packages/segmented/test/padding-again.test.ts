import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';

test('recovery writes padding again as well: after a failed sync it may be in the page cache only', () => {
  const disk = new SimulatedDisk({ seed: 3 });
  const config = { directory: '/log', blockBytes: 4096, padGroups: true, preallocate: 'none' } as const;
  const open = (seed: number): SegmentedWal => {
    disk.kill();
    return SegmentedWal.openSync({ ...config, io: disk.createStorageIo(), ...new TestEnvironment(seed).options });
  };
  const first = open(1);
  // Each frame fills seven of the eight sectors of a block, and all that the eighth has is the mark of its padding.
  const payload = new Uint8Array(7 * 512 - 32).fill(7);
  for (let lsn = 1; lsn <= 200; lsn++) {
    first.append(payload);
    first.flushSync();
  }
  disk.failWhen(({ kind }) => (kind === 'datasync' ? 'failing-sync' : undefined));
  expect(() => first.syncSync()).toThrow();
  disk.failWhen(undefined);
  const second = open(2);
  expect(second.lastLsn).toBe(200);
  second.append('behind it');
  second.syncSync();
  const crashed = disk.crash('none').createStorageIo();
  const third = SegmentedWal.openSync({ ...config, io: crashed, ...new TestEnvironment(3).options });
  expect([...third.replay()].map(({ payload: { length } }) => length)).toEqual([...Array(200).fill(payload.length), 9]);
  third.closeSync();
});

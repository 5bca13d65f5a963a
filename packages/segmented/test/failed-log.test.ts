import { KeyRing } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { DIRECTORY } from './support/logs.js';
import { TestWorld } from './support/worlds.js';

/** Every call that changes a log, with arguments that are right for one with ten records and a hold. */
const CALLS: readonly (readonly [string, (wal: SegmentedWal) => unknown])[] = [
  ['append', (wal) => wal.append('a')],
  ['flush', (wal) => wal.flushSync()],
  ['sync', (wal) => wal.syncSync()],
  ['submitSync', (wal) => wal.submitSync()],
  ['truncateBefore', (wal) => wal.truncateBeforeSync(5)],
  ['truncateAfter', (wal) => wal.truncateAfterSync(5)],
  ['resetTo', (wal) => wal.resetToSync(20)],
  ['checkpoint', (wal) => wal.checkpointSync(5)],
  ['checkpoint of what it is already', (wal) => wal.checkpointSync(2)],
  ['hold', (wal) => wal.holdSync('other', 5)],
  ['releaseHold', (wal) => wal.releaseHoldSync('one')],
  ['releaseHold of none', (wal) => wal.releaseHoldSync('none')],
  ['setEncryptionRing', (wal) => wal.setEncryptionRing(KeyRing.of({ id: 1, key: new Uint8Array(32) }))],
];

/** A log with ten durable records, whose last sync failed, and what was done to the disk since. */
function failedLog(): { readonly wal: SegmentedWal; readonly disk: SimulatedDisk; readonly done: DiskOperation[] } {
  const disk = new SimulatedDisk();
  const options = { ...new TestWorld().options, blockBytes: 512, markAfterMs: 0, preallocate: 'none' } as const;
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io: disk.createStorageIo(), ...options });
  for (let lsn = 1; lsn <= 10; lsn++) wal.append(`record ${lsn}`);
  wal.syncSync();
  wal.checkpointSync(2);
  wal.holdSync('one', 3);
  disk.failWhen(({ kind }) => (/sync|durable/.test(kind) ? 'EIO' : undefined));
  wal.append('not durable');
  expect(() => wal.syncSync()).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
  const done: DiskOperation[] = [];
  disk.failWhen((operation) => {
    done.push(operation);
    return undefined;
  });
  return { wal, disk, done };
}

describe('a log that has failed', () => {
  test.each(CALLS)('refuses %s, and changes nothing', (_name, call) => {
    const { wal, done } = failedLog();
    expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect(done).toEqual([]);
    expect(wal.durableLsn).toBe(10);
  });

  test('keeps its checkpoint and its holds as they were', () => {
    const { wal, disk } = failedLog();
    expect(() => wal.checkpointSync(9)).toThrow();
    expect(() => wal.holdSync('one', 9)).toThrow();
    disk.kill();
    disk.failWhen(undefined);
    const again = SegmentedWal.openSync({
      directory: DIRECTORY,
      io: disk.createStorageIo(),
      ...new TestWorld(2).options,
    });
    expect(again.checkpointLsn).toBe(2);
    expect(again.holds).toEqual({ one: 3 });
  });
});

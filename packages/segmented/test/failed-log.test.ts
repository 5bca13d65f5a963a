import { KeyRing } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

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
  const options = { ...new TestEnvironment().options, blockBytes: 512, markAfterMs: 0, preallocate: 'none' } as const;
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
      ...new TestEnvironment(2).options,
    });
    expect(again.checkpointLsn).toBe(2);
    expect(again.holds).toEqual({ one: 3 });
  });
});

describe('a log that fails behind the call that closes it', () => {
  const slow = { completesInline: false } as const;
  const config = { directory: DIRECTORY, blockBytes: 512, segmentBytes: 4096, markAfterMs: 0 } as const;
  const failure = expect.objectContaining({ code: 'WAL_IO_FAILED' });

  test.each([
    ['close', (wal: SegmentedWal) => wal.close()],
    ['closeSync', async (wal: SegmentedWal) => wal.closeSync()],
  ])(
    'does not say that everything is durable: %s with concurrent retention, whose failure no call reports',
    async (_name, close) => {
      const disk = new SimulatedDisk();
      const options = { ...config, ...new TestEnvironment().options, retainBytes: 0, retainUntilCheckpoint: false };
      const wal = await SegmentedWal.open({ ...options, io: disk.createStorageIo(slow) });
      for (let count = 0; count < 30; count++) wal.append('x'.repeat(400));
      await wal.sync();
      disk.failWhen(({ kind }) => (kind === 'sync-directory' ? 'EIO' : undefined));
      wal.append('the last one');
      expect(wal.failure).toBeUndefined();
      await expect(close(wal)).rejects.toThrow(failure);
      const left = disk.crash().createStorageIo();
      const again = SegmentedWal.openSync({ ...config, ...new TestEnvironment(2).options, io: left });
      expect(again.lastLsn).toBe(30);
    },
  );

  test('rejects, and has closed and unlocked it', async () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo(slow);
    const wal = await SegmentedWal.open({ ...config, ...new TestEnvironment().options, io });
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'failing-sync' : undefined));
    wal.append('one');
    const synced = wal.sync();
    wal.append('two');
    const closed = wal.close();
    await expect(synced).rejects.toThrow(failure);
    await expect(closed).rejects.toThrow(failure);
    disk.failWhen(undefined);
    const again = await SegmentedWal.open({ ...config, ...new TestEnvironment(2).options, io });
    await again.close();
  });

  test.each([
    ['close', (wal: SegmentedWal) => wal.close()],
    ['closeSync', async (wal: SegmentedWal) => wal.closeSync()],
  ])('or before it in the background, rejects where records are not durable: %s', async (_name, close) => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ ...slow, durableWrites: true, overlappedWrites: true, directAlignment: 512 });
    const options = { ...config, preallocate: 'write', ...new TestEnvironment().options } as const;
    const wal = await SegmentedWal.open({ ...options, io });
    wal.append('one');
    await wal.sync();
    disk.failWhen(({ kind, path }) => (kind === 'write' && path.endsWith('next.seg') ? 'EIO' : undefined));
    let synced = 0;
    while (wal.failure === undefined) {
      await wal.sync();
      synced = wal.lastLsn;
      wal.append('x'.repeat(400));
      for (let turn = 0; turn < 20 && wal.failure === undefined; turn++) await new Promise(setImmediate);
    }
    expect(wal.durableLsn).toBe(synced);
    await expect(close(wal)).rejects.toThrow(failure);
  });

  /** Durable writes in flight beside each other: a group is written while blocks are prepared and a segment is named. */
  const beside = { ...slow, durableWrites: true, overlappedWrites: true, directAlignment: 512 } as const;

  async function untilFailed(wal: SegmentedWal): Promise<void> {
    while (wal.failure === undefined) await new Promise(setImmediate);
  }

  test.each([
    ['a roll of a submitted sync', ({ kind, path }: DiskOperation) => kind === 'write' && path.endsWith('next.seg')],
    ['a group of a submitted sync', ({ kind }: DiskOperation) => kind === 'durable-write'],
  ])('rejects where %s has failed, and nothing was called since', async (_name, fails) => {
    const disk = new SimulatedDisk();
    const options = { ...config, preallocate: 'write', ...new TestEnvironment().options } as const;
    const wal = await SegmentedWal.open({ ...options, io: disk.createStorageIo(beside) });
    wal.append('one');
    await wal.sync();
    disk.failWhen((operation) => (fails(operation) ? 'EIO' : undefined));
    for (let count = 0; count < 12; count++) wal.append('x'.repeat(400));
    wal.submitSync();
    await untilFailed(wal);
    expect(wal.durableLsn).toBeLessThan(wal.lastLsn);
    await expect(wal.close()).rejects.toThrow(failure);
  });

  test('is closed without a further word where a call has rejected with the failure of an idle mark beside it', async () => {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const options = { ...config, ...environment.options, markAfterMs: 10 } as const;
    const wal = await SegmentedWal.open({ ...options, io: disk.createStorageIo(slow) });
    wal.append('one');
    await wal.sync();
    disk.failWhen(({ kind }) => (kind === 'write' ? 'EIO' : undefined));
    environment.fire();
    wal.append('two');
    await expect(wal.sync()).rejects.toThrow(failure);
    await wal.close();
  });

  test('is closed without a further word where a call has rejected with its failure, and retention ends after it', async () => {
    const disk = new SimulatedDisk();
    const options = { ...config, ...new TestEnvironment().options, retainBytes: 0, retainUntilCheckpoint: false };
    const wal = await SegmentedWal.open({ ...options, io: disk.createStorageIo(slow) });
    for (let count = 0; count < 30; count++) wal.append('x'.repeat(400));
    await wal.sync();
    disk.failWhen(({ kind, path }) => (kind !== 'read' && !path.endsWith('.wal') ? 'EIO' : undefined));
    wal.append('the last one');
    while (wal.failure === undefined) {
      wal.append('x'.repeat(400));
      await wal.sync().catch((error: unknown) => expect(error).toEqual(failure));
    }
    expect(() => wal.append('refused')).toThrow(failure);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    await wal.close();
  });

  test('that failed before is closed without a further word', async () => {
    const { wal } = failedLog();
    await wal.close();
  });
});

test.each(['flush', 'truncateBefore', 'sync'] as const)(
  'a log that failed in a reading closes without an error where %s of the same tick reports the failure',
  async (name) => {
    const disk = new SimulatedDisk();
    const options = { ...new TestEnvironment().options, markAfterMs: 0 };
    const wal = await SegmentedWal.open({ directory: DIRECTORY, io: disk.createStorageIo(), ...options });
    wal.append('not durable');
    disk.failWhen(({ kind }) => (kind === 'write' ? 'EIO' : undefined));
    const failed = expect.objectContaining({ code: 'WAL_IO_FAILED' });
    await expect(wal.read(1)).rejects.toEqual(failed);
    const call = name === 'truncateBefore' ? wal.truncateBefore(1) : wal[name]();
    const outcomes = await Promise.allSettled([call, wal.close()]);
    expect(outcomes).toEqual([
      { status: 'rejected', reason: failed },
      expect.objectContaining({ status: 'fulfilled' }),
    ]);
  },
);

test('a sync whose idle timer cannot be set rejects, with everything durable', async () => {
  const disk = new SimulatedDisk();
  const environment = new TestEnvironment();
  let isBroken = false;
  const setTimer = (callback: () => void, delayMs: number): (() => void) => {
    if (isBroken) throw new Error('no timers');
    return environment.setTimer(callback, delayMs);
  };
  const options = { ...environment.options, setTimer };
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io: disk.createStorageIo(), ...options });
  wal.append('a');
  isBroken = true;
  await expect(wal.sync()).rejects.toThrow('no timers');
  expect(wal.durableLsn).toBe(1);
  isBroken = false;
  await wal.close();
});

import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';

const config = (io: StorageIo, seed = 1): SegmentedWalConfig => ({
  directory: '/log',
  io,
  blockBytes: 512,
  segmentBytes: 1024,
  ...new TestEnvironment(seed).options,
});

/** A log with 100 records, on a backend whose operations take time. */
async function opened(): Promise<{ readonly disk: SimulatedDisk; readonly wal: SegmentedWal }> {
  const disk = new SimulatedDisk();
  const wal = await SegmentedWal.open(config(disk.createStorageIo({ completesInline: false })));
  for (let lsn = 1; lsn <= 100; lsn++) wal.append(`old ${lsn}`);
  await wal.sync();
  return { disk, wal };
}

const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' });

const calls: readonly (readonly [string, (wal: SegmentedWal, lsn: number) => Promise<unknown>, number])[] = [
  ['truncateBefore', (wal, lsn) => wal.truncateBefore(lsn), 51],
  ['checkpoint', (wal, lsn) => wal.checkpoint(lsn), 50],
  ['hold', (wal, lsn) => wal.hold('reader', lsn), 51],
];

test.each(calls)('%s takes no LSN that a cut under way takes away', async (_name, call, limit) => {
  const { wal } = await opened();
  const cut = wal.truncateAfter(50);
  // Calls behind them in the queue run when the LSNs have been assigned again.
  const before = Array.from({ length: 20 }, (_, round) => wal.hold(`other ${round}`, 10));
  await expect(call(wal, limit + 1)).rejects.toEqual(outOfRange);
  const accepted = call(wal, limit);
  await cut;
  for (let lsn = 51; lsn <= 90; lsn++) wal.append(`new ${lsn}`);
  await wal.sync();
  await Promise.all(before);
  await accepted;
  expect([wal.failure, wal.firstLsn <= 51]).toEqual([undefined, true]);
  await wal.close();
});

test('after resetTo, too, which may leave the log to go on further behind', async () => {
  const { wal } = await opened();
  const reset = wal.resetTo(30);
  await expect(wal.truncateBefore(31)).rejects.toEqual(outOfRange);
  await expect(wal.truncateAfter(30)).rejects.toEqual(outOfRange);
  const again = wal.resetTo(500);
  await expect(wal.truncateBefore(31)).rejects.toEqual(outOfRange);
  await expect(wal.checkpoint(30)).rejects.toEqual(outOfRange);
  await wal.truncateBefore(30);
  await Promise.all([reset, again]);
  await wal.truncateBefore(500);
  expect([wal.firstLsn, wal.nextLsn]).toEqual([500, 500]);
  await wal.close();
});

test('a blocking call is refused likewise', async () => {
  const { wal } = await opened();
  const cut = wal.truncateAfter(50);
  expect(() => wal.truncateBeforeSync(52)).toThrow(outOfRange);
  expect(() => wal.checkpointSync(51)).toThrow(outOfRange);
  await cut;
  await wal.close();
});

test('a cut that was refused keeps nothing from being called', async () => {
  const { disk, wal } = await opened();
  disk.failWhen(({ kind, path }) => (kind === 'create' && path.endsWith('next.seg') ? 'ENOSPC' : undefined));
  await expect(wal.truncateAfter(50)).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
  disk.failWhen(undefined);
  await wal.checkpoint(100);
  expect(wal.checkpointLsn).toBe(100);
  await wal.close();
});

test('no checkpoint is ahead of what is durable, whatever is appended while it is made', async () => {
  const { disk, wal } = await opened();
  const cut = wal.truncateAfter(50);
  const hold = wal.hold('reader', 10);
  const checkpoint = wal.checkpoint(52).then(
    () => 52,
    () => 0,
  );
  await cut;
  wal.append('new 51');
  // The record that gets the LSN of the checkpoint comes when the sync of the checkpoint has begun.
  disk.failWhen(({ kind, path }) => {
    if (kind === 'datasync' && !path.endsWith('checkpoint.new') && wal.lastLsn === 51) wal.append('new 52');
    return undefined;
  });
  await hold;
  expect(await checkpoint).toBeLessThanOrEqual(wal.durableLsn);
  const again = await SegmentedWal.open(config(disk.crash().createStorageIo(), 2));
  await again.close();
});

test('a cut that is refused at once keeps nothing from being called', async () => {
  const { wal } = await opened();
  const { io } = wal;
  const reader = await SegmentedWal.open({ ...config(io, 2), recoveryMode: 'readonly' });
  const readonly = { code: 'WAL_STATE', state: 'readonly' };
  const calls = [reader.truncateAfter(5), reader.resetTo(5), reader.checkpoint(50), reader.hold('reader', 50)];
  const ended = await Promise.allSettled([...calls, reader.truncateBefore(50)]);
  for (const call of ended) expect(call).toMatchObject({ status: 'rejected', reason: readonly });
  await reader.close();
  await wal.close();
});

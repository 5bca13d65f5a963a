import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { ioSteps, runAsync } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { filled, hashes, openBackedUp, readAll, recordsIn } from './support/backups.js';

test('recovery of a log that has lost its newest file changes no file of a backup', async () => {
  const disk = new SimulatedDisk();
  const { io, config, wal, fill, beside } = await openBackedUp(disk.createStorageIo());
  await fill(40);
  const { linkedSegments } = await wal.backup(beside('backup'));
  expect(linkedSegments).toBeGreaterThan(1);
  await fill(60);
  disk.kill(io);
  const after = disk.createStorageIo();
  const names = after.list(config.directory).filter((name) => name.endsWith('.seg'));
  // The newest one that is left is in the backup under the same inode: a backup copies only the newest of its own.
  for (const name of names.sort().slice(linkedSegments))
    await runAsync(after, ioSteps.remove(after, join(config.directory, name)));
  const before = await hashes(after, beside('backup'));

  const opened = await SegmentedWal.open({ ...config, io: after });
  expect(opened.recovery).toMatchObject({ reason: 'unclosed', cutBytes: 0 });
  expect(await hashes(after, beside('backup'))).toEqual(before);
  const { lastLsn } = opened;
  expect(lastLsn).toBeGreaterThan(20);
  opened.append(`record ${lastLsn + 1}`);
  await opened.close();
  expect(await readAll(after, beside('backup'))).toEqual(filled(1, 40));
  const again = await SegmentedWal.open({ ...config, io: after });
  expect(again.recovery.reason).toBe('clean');
  expect(await recordsIn(again)).toEqual(filled(1, lastLsn + 1));
  await again.close();
});

import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { filled, hashes, openBackedUp, readAll } from './support/backups.js';
import { BACKENDS } from './support/environments.js';

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('a log that is only read is backed up beside its writer, without changing it', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(create());
    const { directory } = config;
    const backup = async (): ReturnType<SegmentedWal['backup']> => {
      const reader = await SegmentedWal.open({ directory, io, recoveryMode: 'readonly' });
      const report = await reader.backup(beside('backup'));
      await reader.close();
      return report;
    };
    await fill(40);
    await wal.checkpoint(7);
    await wal.hold('replica', 5);
    const before = await hashes(io, directory);
    const first = await backup();
    expect(first).toMatchObject({ firstLsn: 1, lastLsn: 40, linkedSegments: 0, keptSegments: 0 });
    expect(await hashes(io, directory)).toEqual(before);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
    const copy = await SegmentedWal.open({ directory: beside('backup'), io, recoveryMode: 'readonly' });
    expect([copy.durableLsn, copy.checkpointLsn, copy.holds]).toEqual([40, 7, { replica: 5 }]);
    await copy.close();

    // Brought up to date: over rolls, truncation at both ends, and the writer's closing.
    await fill(80);
    const second = await backup();
    expect(second.keptSegments).toBeGreaterThanOrEqual(first.segments - 1);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 80));
    await wal.releaseHold('replica');
    const { firstLsn } = wal;
    await wal.truncateBefore(30);
    expect(wal.firstLsn).toBeGreaterThan(firstLsn);
    await fill(90);
    expect((await backup()).firstLsn).toBe(wal.firstLsn);
    await wal.close();
    expect((await backup()).lastLsn).toBe(90);
    await io.dispose();
  });
});

test('of a log that is only read, a backup with records that were cut off is not replaced', async () => {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  const { directory } = config;
  const open = () => SegmentedWal.open({ directory, io, recoveryMode: 'readonly' });
  await fill(40);
  const reader = await open();
  reader.backupSync(beside('backup'));
  await wal.truncateAfter(20);
  const later = await open();
  // Nothing notes in the log that this backup was made.
  expect(await rejection(later.backup(beside('backup')))).toMatchObject({
    code: 'WAL_FOREIGN_DIRECTORY',
    reason: 'ahead',
  });
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
  await later.close();
  await reader.close();
  expect(await rejection(reader.backup(beside('other')))).toMatchObject({ code: 'WAL_CLOSED' });
  await wal.close();
  await io.dispose();
});

test('of a log that is only read, a backup fails when the writer removes a file meanwhile, and the earlier one stays', async () => {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  const { directory } = config;
  const open = () => SegmentedWal.open({ directory, io, recoveryMode: 'readonly' });
  await fill(40);
  const first = await open();
  await first.backup(beside('backup'));
  await first.close();
  await fill(80);
  const late = await open();
  await wal.truncateBefore(75);
  expect(await rejection(late.backup(beside('backup')))).toMatchObject({ code: 'WAL_NOT_FOUND' });
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
  await late.close();
  await wal.close();
  await io.dispose();
});

test('of a log that is only read, a backup of which all was truncated is refused as one of which nothing is known', async () => {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  const open = () => SegmentedWal.open({ directory: config.directory, io, recoveryMode: 'readonly' });
  await fill(40);
  const reader = await open();
  await reader.backup(beside('backup'));
  await fill(120);
  await wal.truncateBefore(wal.lastLsn);
  const later = await open();
  const error = await rejection(later.backup(beside('backup')));
  expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' });
  expect((error as Error).message).toContain('whether it has truncated that, or never had it, is not known');
  expect((error as Error).message).not.toContain('did not cut off');
  await later.close();
  await reader.close();
  await wal.close();
  await io.dispose();
});

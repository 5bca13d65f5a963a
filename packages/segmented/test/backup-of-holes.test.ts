import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { type BackedUpLog, filled, hashes, openBackedUp } from './support/backups.js';
import { flip, readFile, writeFile } from './support/files.js';
import { recordsOf } from './support/logs.js';

/** Changes a byte of the payload of a record, in place: where the file is shared, the other name shows it too. */
function damage(io: StorageIo, wal: SegmentedWal, lsn: number): void {
  const { path } = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { path: string };
  const bytes = readFile(io, path);
  const { start } = recordsOf(bytes).find((each) => each.lsn === lsn && !each.mark) as { start: number };
  writeFile(io, path, flip(start + 100)(bytes));
}

const salvaged = async ({ config }: BackedUpLog): Promise<SegmentedWal> =>
  await SegmentedWal.open({ ...config, recoveryMode: 'skip-corrupt' });

const read = (io: StorageIo, directory: string): string[] =>
  Array.from(
    replayDirectory(directory, { io, onHole: 'skip' }),
    ({ lsn, payload }) => `${lsn}: ${Buffer.from(payload).toString().trim()}`,
  );

const without = (lost: number, to: number): string[] => filled(1, to).filter((_, index) => index + 1 !== lost);

describe.each([
  ['copied', () => createMemoryStorageIo()],
  ['linked', () => createSyncFsStorageIo()],
] as const)('a log whose backups are %s', (_how, make) => {
  test('has holes: its backup has them too, and is the same when it is brought up to date', async () => {
    await using io = make();
    const log = await openBackedUp(io);
    const { wal, fill, beside } = log;
    await fill(40);
    await wal.close();
    damage(io, wal, 7);
    const again = await salvaged(log);
    expect(again.recovery.holes).toEqual([{ firstLsn: 7, lastLsn: 7, reason: 'unreadable' }]);
    await again.backup(beside('backup'));
    expect(read(io, beside('backup'))).toEqual(without(7, 40));
    for (let lsn = 41; lsn <= 50; lsn++) again.append(`record ${lsn}`.padEnd(300));
    await again.backup(beside('backup'));
    expect(read(io, beside('backup'))).toEqual(without(7, 50));
    await again.close();
    const opened = await SegmentedWal.open({ ...log.config, directory: beside('backup') });
    expect(opened.recovery.holes).toEqual(again.recovery.holes);
    await opened.close();
  });

  test('was backed up before it was damaged: that backup is not replaced', async () => {
    await using io = make();
    const log = await openBackedUp(io);
    const { wal, fill, beside } = log;
    await fill(40);
    await wal.backup(beside('backup'));
    await wal.close();
    const before = await hashes(io, beside('backup'));
    damage(io, wal, 7);
    const after = await hashes(io, beside('backup'));
    const again = await salvaged(log);
    const error = await rejection(again.backup(beside('backup')));
    expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' });
    expect(error.message).toContain('LSN 7');
    expect(await hashes(io, beside('backup'))).toEqual(after);
    // A backup that shares no file with the log still has the record.
    if (isDeepStrictEqual(before, after)) expect(read(io, beside('backup'))).toEqual(filled(1, 40));
    await again.backup(beside('another'));
    expect(read(io, beside('another'))).toEqual(without(7, 40));
    await again.close();
  });

  test('lost records behind those of a backup, which is brought up to date', async () => {
    await using io = make();
    const log = await openBackedUp(io);
    const { wal, fill, beside } = log;
    await fill(15);
    await wal.backup(beside('backup'));
    await fill(40);
    await wal.close();
    damage(io, wal, 17);
    const again = await salvaged(log);
    await again.backup(beside('backup'));
    expect(read(io, beside('backup'))).toEqual(without(17, 40));
    await again.close();
  });

  test('is what it was before the damage again: the backup gets the record', async () => {
    await using io = make();
    const log = await openBackedUp(io);
    const { wal, fill, beside, config } = log;
    await fill(40);
    await wal.close();
    const names = io.list(config.directory).filter((name) => name !== 'LOCK');
    const intact = names.map((name) => [name, readFile(io, join(config.directory, name))] as const);
    damage(io, wal, 7);
    const holed = await salvaged(log);
    await holed.backup(beside('backup'));
    await holed.close();
    // Restored from elsewhere: the same segments, without the one that salvage has made.
    io.makeDirectory(beside('restored'));
    for (const [name, bytes] of intact) writeFile(io, join(beside('restored'), name), bytes);
    const restored = await SegmentedWal.open({ ...config, directory: beside('restored') });
    await restored.backup(beside('backup'));
    expect(read(io, beside('backup'))).toEqual(filled(1, 40));
    await restored.close();
  });
});

test('what a backup has staged before it was killed is not taken for a segment with a hole', async () => {
  await using io = createMemoryStorageIo();
  const log = await openBackedUp(io);
  const { wal, fill, beside } = log;
  await fill(40);
  const stop = new AbortController();
  const error = await rejection(
    wal.backup(beside('backup'), {
      signal: stop.signal,
      onProgress: ({ phase }) => phase === 'switch' && stop.abort(),
    }),
  );
  expect(error).toMatchObject({ code: 'WAL_ABORTED' });
  expect(io.list(beside('backup')).length).toBeGreaterThan(3);
  await wal.close();
  damage(io, wal, 7);
  const again = await salvaged(log);
  await again.backup(beside('backup'));
  await again.close();
  expect(read(io, beside('backup'))).toEqual(without(7, 40));
});

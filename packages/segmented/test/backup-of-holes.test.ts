import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { type BackedUpLog, filled, hashes, openBackedUp } from './support/backups.js';
import { flip, readFile, writeFile } from './support/files.js';
import { recordsOf } from './support/logs.js';

const pathOf = (wal: SegmentedWal, lsn: number): string =>
  (wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { path: string }).path;

/** Changes a byte of the payload of a record, in place: where the file is shared, the other name shows it too. */
function damage(io: StorageIo, wal: SegmentedWal, lsn: number): void {
  damageFrame(io, [pathOf(wal, lsn)], lsn, false);
}

/** Changes a byte of the record or hole with this LSN, or of the first or last mark with it, in files that may be one. */
function damageFrame(io: StorageIo, paths: readonly string[], lsn: number, mark: boolean, isLast = false): void {
  const changed = paths.map((path) => {
    const bytes = readFile(io, path);
    const found = recordsOf(bytes).filter((each) => each.lsn === lsn && each.mark === mark);
    const { start } = found.at(isLast ? -1 : 0) as { start: number };
    return flip(start + (mark ? 30 : 100))(bytes);
  });
  for (const [index, path] of paths.entries()) writeFile(io, path, changed[index] as Uint8Array);
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

  test.each(['mark', 'hole'])(
    'lost nothing but a %s: its backup, which is damaged there too, opens again',
    async (what) => {
      await using io = make();
      const log = await openBackedUp(io);
      const { config, beside } = log;
      await log.fill(5);
      await log.wal.close();
      if (what === 'hole') damage(io, log.wal, 3);
      const wal = what === 'hole' ? await salvaged(log) : await SegmentedWal.open(config);
      while (wal.nextLsn <= 40) wal.append(`record ${wal.nextLsn}`.padEnd(300));
      await wal.backup(beside('backup'));
      await wal.close();
      const path = pathOf(wal, 1);
      damageFrame(io, [path, join(beside('backup'), basename(path))], what === 'hole' ? 3 : 6, what === 'mark');
      expect(() => SegmentedWal.openSync(config)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }));
      const again = await salvaged(log);
      expect(again.recovery.holes).toEqual(wal.recovery.holes);
      const { keptSegments, segments } = await again.backup(beside('backup'));
      expect(read(io, beside('backup'))).toEqual(what === 'hole' ? without(3, 40) : filled(1, 40));
      // What is intact stays; the newest one was the last of the earlier backup, or is new.
      expect(keptSegments).toBeGreaterThan(segments - 5);
      expect((await again.backup(beside('backup'))).keptSegments).toBe(segments);
      await again.close();
    },
  );

  test('lost the mark with which an opening began: an earlier backup is refused, and told so', async () => {
    await using io = make();
    const log = await openBackedUp(io);
    const { config, beside } = log;
    await log.fill(5);
    await log.wal.close();
    const wal = await SegmentedWal.open(config);
    while (wal.nextLsn <= 40) wal.append(`record ${wal.nextLsn}`.padEnd(300));
    await wal.backup(beside('backup'));
    await wal.close();
    damageFrame(io, [pathOf(wal, 1)], 6, true, true);
    const again = await salvaged(log);
    expect(again.recovery.holes).toEqual([]);
    const error = await rejection(again.backup(beside('backup')));
    expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'branched' });
    expect(error.message).toContain('from before a salvage that found a mark damaged');
    await again.backup(beside('another'));
    expect(read(io, beside('another'))).toEqual(filled(1, 40));
    await again.close();
  });

  test.each(['opened', 'salvaged'])(
    'is what it was before the damage again, %s: the backup gets the record',
    async (how) => {
      await using io = make();
      const log = await openBackedUp(io);
      const { beside, config } = log;
      await log.fill(5);
      await log.wal.close();
      const wal = await SegmentedWal.open(config);
      while (wal.nextLsn <= 40) wal.append(`record ${wal.nextLsn}`.padEnd(300));
      await wal.close();
      const names = io.list(config.directory).filter((name) => name !== 'LOCK');
      const intact = names.map((name) => [name, readFile(io, join(config.directory, name))] as const);
      damage(io, wal, 4);
      const holed = await salvaged(log);
      await holed.backup(beside('backup'));
      await holed.close();
      // Restored from elsewhere: the same segments, without the one that salvage has made.
      const directory = beside('restored');
      io.makeDirectory(directory);
      for (const [name, bytes] of intact) writeFile(io, join(directory, name), bytes);
      // Its own salvage makes a segment with the same number.
      if (how === 'salvaged') damageFrame(io, [join(directory, basename(pathOf(wal, 6)))], 6, true);
      const restored = await salvaged({ ...log, config: { ...config, directory } });
      expect(restored.recovery.salvage === undefined).toBe(how === 'opened');
      await restored.backup(beside('backup'));
      expect(read(io, beside('backup'))).toEqual(filled(1, 40));
      await restored.close();
    },
  );
});

test('what a backup has staged before it was aborted is not used where a salvage has repaired the log since', async () => {
  await using io = createSyncFsStorageIo();
  const log = await openBackedUp(io);
  const { config, beside } = log;
  await log.fill(5);
  await log.wal.close();
  const wal = await SegmentedWal.open(config);
  while (wal.nextLsn <= 40) wal.append(`record ${wal.nextLsn}`.padEnd(300));
  const stop = new AbortController();
  const onProgress = ({ phase }: { phase: string }): unknown => phase === 'switch' && stop.abort();
  const error = await rejection(wal.backup(beside('backup'), { signal: stop.signal, onProgress }));
  expect(error).toMatchObject({ code: 'WAL_ABORTED' });
  await wal.close();
  const path = pathOf(wal, 1);
  expect(io.list(beside('backup'))).toContain(`staged-${basename(path)}`);
  damageFrame(io, [path], 6, true);
  const again = await salvaged(log);
  expect(again.recovery.salvage?.lost).toEqual([]);
  const { keptSegments, segments } = await again.backup(beside('backup'));
  expect(keptSegments).toBe(segments - 3);
  expect(read(io, beside('backup'))).toEqual(filled(1, 40));
  await again.close();
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

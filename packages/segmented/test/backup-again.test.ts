import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type BackupReport, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { filled, hashes, openBackedUp, readAll } from './support/backups.js';
import { flip, readFile, snapshot, writeFile } from './support/files.js';
import { empty, fill as limit, NO_SPACE } from './support/full-disks.js';

const LARGE = { segmentBytes: 65_536 };

function copyDirectory(io: StorageIo, from: string, to: string): void {
  io.makeDirectory(to);
  for (const name of io.list(from)) writeFile(io, join(to, name), readFile(io, join(from, name)));
}

/** A log that is restored from a backup with the first records, while there is a `newer` one with more. */
async function restoredFrom(older: number, newer: number, more: Partial<SegmentedWalConfig> = {}) {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo(), more);
  await fill(older);
  await wal.backup(beside('older'));
  await fill(newer);
  await wal.backup(beside('newer'));
  await wal.close();
  copyDirectory(io, beside('older'), beside('restored'));
  const restored = await SegmentedWal.open({ ...config, directory: beside('restored') });
  return { io, restored, beside };
}

describe('an earlier backup that has records which the log did not cut off is not replaced', () => {
  test.each([0, 3])(
    'it was opened as a log, and went on in the segment of the backup; %i more records in the log',
    async (more) => {
      const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo(), LARGE);
      await fill(5);
      await wal.close();
      const again = await SegmentedWal.open(config);
      await again.backup(beside('backup'));
      const opened = await SegmentedWal.open({ ...config, directory: beside('backup') });
      for (let record = 0; record < 5; record++) opened.append('only here');
      await opened.close();
      const before = await hashes(io, beside('backup'));
      for (let record = 0; record < more; record++) again.append('more');
      const error = await rejection(again.backup(beside('backup')));
      expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' });
      expect(await hashes(io, beside('backup'))).toEqual(before);
      await again.close();
    },
  );

  test.each([0, 20])(
    'the log was restored from an older one with the same segments; %i records were appended to it',
    async (more) => {
      const { io, restored, beside } = await restoredFrom(5, 10, LARGE);
      for (let record = 0; record < more; record++) restored.append('more');
      const expected = { code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' };
      expect(await rejection(restored.backup(beside('newer')))).toMatchObject(expected);
      // A cut of the restored log explains nothing that it never had.
      await restored.truncateAfter(3);
      expect(await rejection(restored.backup(beside('newer')))).toMatchObject(expected);
      expect(await readAll(io, beside('newer'))).toEqual(filled(1, 10));
      await restored.close();
    },
  );

  test.each([
    ['truncated', (wal: SegmentedWal) => wal.truncateBefore(wal.nextLsn)],
    ['reset', (wal: SegmentedWal) => wal.resetTo(1)],
  ] as const)('a log that was restored from an older one is %s behind the branch', async (_how, drop) => {
    const { io, restored, beside } = await restoredFrom(10, 60);
    for (let record = 0; record < 80; record++) restored.append('other'.padEnd(300));
    await restored.sync();
    await drop(restored);
    restored.append('more');
    const expected = { code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' };
    expect(await rejection(restored.backup(beside('newer')))).toMatchObject(expected);
    expect(await readAll(io, beside('newer'))).toEqual(filled(1, 60));
    await restored.close();
  });

  test('a cut was noted and not carried out, and salvage gave up the end of the log', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
    await fill(60);
    await wal.backup(beside('backup'), { hardLinks: false });
    await wal.close();
    copyDirectory(io, config.directory, beside('before'));
    const cut = await SegmentedWal.open(config);
    await cut.truncateAfter(10);
    await cut.close();
    const directory = beside('before');
    writeFile(io, join(directory, 'backup.made'), readFile(io, join(config.directory, 'backup.made')));
    const path = join(directory, io.list(directory).filter((name) => name.startsWith('wal-'))[3] as string);
    writeFile(io, path, flip(700)(readFile(io, path)));
    const salvaged = await SegmentedWal.open({ ...config, directory, recoveryMode: 'salvage' });
    const expected = { code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' };
    expect(await rejection(salvaged.backup(beside('backup')))).toMatchObject(expected);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
    await salvaged.close();
  });

  test.each(['end', 'beginning'] as const)('the %s of the log was lost, and salvage gave it up', async (lost) => {
    const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
    await fill(60);
    await wal.backup(beside('backup'), { hardLinks: false });
    const { path } = wal.listSegments().at(lost === 'end' ? 3 : 0) as { readonly path: string };
    await wal.close();
    writeFile(io, path, flip(700)(readFile(io, path)));
    const salvaged = await SegmentedWal.open({ ...config, recoveryMode: 'salvage' });
    salvaged.append('more');
    const error = await rejection(salvaged.backup(beside('backup')));
    expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' });
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
    await salvaged.backup(beside('another'));
    await salvaged.truncateBefore(salvaged.nextLsn);
    await salvaged.backup(beside('another'));
    await salvaged.close();
  });
});

test('a backup that was opened for writing stays a log of its own over a power failure', async () => {
  const disk = new SimulatedDisk({ seed: 17 });
  const io = disk.createStorageIo();
  const config = { io, blockBytes: 512, markAfterMs: 0 };
  const wal = await SegmentedWal.open({ ...config, directory: '/log' });
  wal.append('record');
  await wal.close();
  const again = await SegmentedWal.open({ ...config, directory: '/log' });
  await again.backup('/backup');
  const opened = await SegmentedWal.open({ ...config, directory: '/backup' });
  opened.append('only here');
  await opened.sync();
  const later = disk.crash().createStorageIo();
  expect(await readAll(later, '/backup')).toEqual(['1: record', '2: only here']);
  const recovered = await SegmentedWal.open({ ...config, io: later, directory: '/log' });
  expect(await rejection(recovered.backup('/backup'))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' });
  await recovered.close();
});

test('a backup with another file than it was made with is not replaced', async () => {
  const { io, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  await fill(60);
  await wal.backup(beside('backup'));
  const [first, second] = io.list(beside('backup')).filter((name) => name.startsWith('wal-')) as [string, string];
  io.rename(join(beside('backup'), first), join(beside('backup'), second.replace('wal-0000000002', 'wal-0000000099')));
  const error = await rejection(wal.backup(beside('backup')));
  expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'changed' });
  await wal.close();
});

describe('a backup follows a log that has cut off records', () => {
  test.each([
    ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfter(17), filled(1, 17)],
    ['truncateAfter in the first segment', (wal: SegmentedWal) => wal.truncateAfter(2), filled(1, 2)],
    ['resetTo', (wal: SegmentedWal) => wal.resetTo(7), []],
    ['truncateBefore', (wal: SegmentedWal) => wal.truncateBefore(61), []],
  ] as const)('by %s, also when it was opened again since', async (_how, cut, left) => {
    const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
    await fill(60);
    await wal.backup(beside('backup'));
    await cut(wal);
    await wal.close();
    const again = await SegmentedWal.open(config);
    again.append('more');
    const { lastLsn } = await again.backup(beside('backup'));
    expect(await readAll(io, beside('backup'))).toEqual([...left, `${lastLsn}: more`]);
    expect(lastLsn).toBe(again.lastLsn);
    await again.close();
  });

  test('what it knows of its backups is damaged, or there was no room for it: the backup is not replaced', async () => {
    const disk = new SimulatedDisk({ seed: 11 });
    const io = disk.createStorageIo();
    const config = { directory: '/log', io, blockBytes: 512, segmentBytes: 4096 };
    const wal = await SegmentedWal.open(config);
    for (let lsn = 1; lsn <= 30; lsn++) wal.append(`record ${lsn}`.padEnd(300));
    disk.failWhen(({ kind, path }) => (kind === 'write' && path.startsWith('/log/backup') ? 'ENOSPC' : undefined));
    await wal.sync();
    await wal.backup('/without');
    disk.failWhen(undefined);
    await wal.backup('/with');
    await wal.truncateAfter(20);
    await wal.close();
    const again = await SegmentedWal.open(config);
    expect(await rejection(again.backup('/without'))).toMatchObject({ reason: 'ahead' });
    writeFile(io, '/log/backup.made', flip(20)(readFile(io, '/log/backup.made')));
    await again.close();
    const damaged = await SegmentedWal.open(config);
    expect(await rejection(damaged.backup('/with'))).toMatchObject({ reason: 'ahead' });
    await damaged.backup('/new');
    expect(await readAll(io, '/new')).toEqual(filled(1, 20));
    await damaged.close();
  });

  test('a cut while the backup is made', async () => {
    const { io, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
    await fill(30);
    const onProgress = ({ phase }: { readonly phase: string }): void => {
      if (phase === 'switch') wal.truncateAfterSync(7);
    };
    await wal.backup(beside('backup'), { onProgress });
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 30));
    await wal.backup(beside('backup'));
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 7));
    await wal.close();
  });
});

test('what an earlier backup has staged of segments that the log has no more is removed before anything is staged', async () => {
  const disk = new SimulatedDisk({ seed: 13 });
  const { io, wal, fill, beside } = await openBackedUp(disk.createStorageIo());
  const backup = (): Promise<BackupReport> => wal.backup(beside('backup'), { hardLinks: false });
  await fill(10);
  await backup();
  await fill(200);
  limit(disk, 32_768);
  expect(await rejection(backup())).toEqual(NO_SPACE);
  expect(io.list(beside('backup')).filter((name) => name.startsWith('staged-'))).not.toEqual([]);
  empty(disk);
  await wal.truncateBefore(199);
  limit(disk, 1024);
  expect(await backup()).toMatchObject({ lastLsn: 200 });
  empty(disk);
  await wal.close();
});

describe('a cut whose note finds no room', () => {
  /** A log of which there is a backup, and for whose note on it there is no room, so many times. */
  async function withoutRoom(times: number, more: Partial<SegmentedWalConfig> = {}) {
    const disk = new SimulatedDisk({ seed: 7 });
    const opened = await openBackedUp(disk.createStorageIo(), more);
    await opened.fill(30);
    await opened.wal.backup(opened.beside('backup'));
    const note = join(opened.config.directory, 'backup.new');
    let left = times;
    disk.failWhen(({ kind, path }) => (kind === 'create' && path === note && left-- > 0 ? 'ENOSPC' : undefined));
    return opened;
  }

  test('gets it of the reserve', async () => {
    const { io, wal, beside } = await withoutRoom(1, { reserveBytes: 16_384, recycleSegments: 0 });
    await wal.truncateAfter(7);
    expect(wal.stats().reserve.releases).toBe(1);
    await wal.backup(beside('backup'));
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 7));
    await wal.close();
  });

  test('changes nothing where there is none, and is repeated', async () => {
    const { io, wal, beside } = await withoutRoom(1, { recycleSegments: 0, preallocate: 'none' });
    expect(await rejection(wal.truncateAfter(7))).toEqual(NO_SPACE);
    expect([wal.lastLsn, wal.failure]).toEqual([30, undefined]);
    await wal.truncateAfter(7);
    await wal.backup(beside('backup'));
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 7));
    await wal.close();
  });
});

test('a segment of which the earlier backup has less is copied again: it is of another copy of the log, which was cut', async () => {
  const io = createMemoryStorageIo();
  const config = (directory: string) => ({ directory, io, blockBytes: 512, markAfterMs: 0 });
  const made = await SegmentedWal.open(config('/made'));
  for (const payload of ['one', 'two', 'three']) made.append(payload);
  await made.sync();
  for (const directory of ['/cut', '/whole']) {
    io.makeDirectory(directory);
    for (const [name, bytes] of snapshot(io, '/made')) writeFile(io, `${directory}/${name}`, bytes);
  }
  const cut = await SegmentedWal.open(config('/cut'));
  await cut.truncateAfter(2);
  await cut.backup('/backup', { hardLinks: false });
  const whole = await SegmentedWal.open(config('/whole'));
  whole.append('four');
  await whole.backup('/backup', { hardLinks: false });
  expect(await readAll(io, '/backup')).toEqual(['1: one', '2: two', '3: three', '4: four']);
  for (const wal of [made, cut, whole]) await wal.close();
});

test('a mark alone that was written behind the last record since does not have the newest segment copied again', async () => {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  await fill(20);
  const first = await wal.backup(beside('backup'));
  const before = await hashes(io, beside('backup'));
  await wal.close();
  const again = await SegmentedWal.open(config);
  expect(await again.backup(beside('backup'))).toMatchObject({ keptSegments: first.segments, copiedSegments: 0 });
  expect(await hashes(io, beside('backup'))).toEqual(before);
  again.append('more');
  expect(await again.backup(beside('backup'))).toMatchObject({ keptSegments: first.segments - 1, copiedSegments: 1 });
  expect(await readAll(io, beside('backup'))).toEqual([...filled(1, 20), '21: more']);
  await again.close();
});

test('an empty segment that is replaced while the backup is made does not end it', async () => {
  const { io, config, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  await fill(40);
  copyDirectory(io, config.directory, '/killed');
  await wal.close();
  const killed = await SegmentedWal.open({ ...config, directory: '/killed' });
  let isChanged = false;
  const onProgress = (): void => {
    if (isChanged) return;
    isChanged = true;
    killed.setEncryptionRing(ringOf(1));
    killed.append('more');
    killed.syncSync();
  };
  const report = await killed.backup(beside('backup'), { hardLinks: false, onProgress });
  expect(report).toMatchObject({ firstLsn: 1, lastLsn: 41 });
  const expected = [...filled(1, 40), '41: more'];
  expect(await readAll(io, beside('backup'), { keyRing: ringOf(1), allowPlaintext: true })).toEqual(expected);
  await killed.close();
});

test('a directory in that of the log is refused by whatever name', async () => {
  const { io, config, wal, beside } = await openBackedUp(createSyncFsStorageIo());
  const link = beside('link');
  symlinkSync(config.directory, link, 'dir');
  for (const directory of [link, join(link, 'backup'), join(link, 'one', 'other')]) {
    const error = await rejection(wal.backup(directory));
    expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' });
  }
  expect(io.list(config.directory).filter((name) => !name.startsWith('LOCK') && !name.endsWith('.seg'))).toEqual([]);
  await wal.backup(join(link, '..', 'backup'));
  await wal.close();
  await io.dispose();
});

import { join } from 'node:path';
import { KeyRing, type WalError } from '@walstack/codec';
import { LogTail } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, MemoryDisk } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { filled, hashes, openBackedUp, readAll, recordsIn } from './support/backups.js';
import { flip, readFile, writeFile } from './support/files.js';
import { NO_SPACE } from './support/full-disks.js';

/** Backs up into a directory, expects that it is refused and that nothing in it has changed. */
async function refused(wal: SegmentedWal, directory: string): Promise<WalError> {
  const before = await hashes(wal.io, directory);
  const error = await rejection(wal.backup(directory));
  expect(await hashes(wal.io, directory)).toEqual(before);
  return error;
}

describe('a directory with anything else is refused, and nothing in it changes', () => {
  test('the directory of the log itself, and one in it', async () => {
    const { io, config, wal, fill } = await openBackedUp(createMemoryStorageIo());
    await fill(10);
    const expected = { code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' };
    expect(await refused(wal, config.directory)).toMatchObject(expected);
    expect(await rejection(wal.backup(join(config.directory, 'backup')))).toMatchObject(expected);
    expect(io.list(config.directory)).not.toContain('backup');
    await wal.close();
  });

  test('a file, other files, another log, a backup of another log', async () => {
    const io = createMemoryStorageIo();
    const { wal, fill, beside } = await openBackedUp(io);
    await fill(10);
    writeFile(io, beside('file'), Uint8Array.of(1));
    const error = await rejection(wal.backup(beside('file')));
    expect(error).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'not-a-directory' });
    io.makeDirectory(beside('files'));
    writeFile(io, join(beside('files'), 'notes.txt'), Uint8Array.of(1));
    expect(await refused(wal, beside('files'))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'other-files' });
    const other = await SegmentedWal.open({ directory: beside('other'), io, blockBytes: 512 });
    other.append('other');
    await other.backup(beside('backup of other'));
    await other.close();
    expect(await refused(wal, beside('other'))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' });
    expect(await refused(wal, beside('backup of other'))).toMatchObject({ reason: 'other-log' });
    await wal.close();
  });

  test('a backup that was opened for writing since', async () => {
    const io = createMemoryStorageIo();
    const { wal, fill, beside } = await openBackedUp(io);
    await fill(10);
    await wal.backup(beside('backup'));
    const restored = await SegmentedWal.open({ directory: beside('backup'), io });
    expect(await rejection(wal.backup(beside('backup')))).toMatchObject({ reason: 'log' });
    await restored.close();
    expect(await refused(wal, beside('backup'))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'log' });
    await wal.close();
  });

  test('a backup that is ahead of a log that was restored from an older one, and one of a log that has gone on differently', async () => {
    const io = createMemoryStorageIo();
    const { config, wal, fill, beside } = await openBackedUp(io);
    await fill(10);
    await wal.backup(beside('older'));
    await fill(60);
    await wal.backup(beside('newer'));
    await wal.close();
    const restored = await SegmentedWal.open({ ...config, directory: beside('older') });
    const error = await refused(restored, beside('newer'));
    expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'ahead' });
    for (let record = 0; record < 80; record++) restored.append('z'.repeat(300));
    await restored.sync();
    expect(await refused(restored, beside('newer'))).toMatchObject({ reason: 'branched' });
    await restored.close();
  });

  test('a copy of a closed log that has gone on differently in the same segment', async () => {
    const io = createMemoryStorageIo();
    const { config, wal, fill, beside } = await openBackedUp(io, { segmentBytes: 65_536 });
    await fill(5);
    await wal.close();
    io.makeDirectory(beside('copy'));
    for (const name of io.list(config.directory)) {
      writeFile(io, join(beside('copy'), name), readFile(io, join(config.directory, name)));
    }
    const [original, copy] = [
      await SegmentedWal.open(config),
      await SegmentedWal.open({ ...config, directory: beside('copy') }),
    ];
    original.append('original'.padEnd(300));
    await original.backup(beside('backup'));
    for (const text of ['copy', 'and more']) copy.append(text.padEnd(300));
    await copy.sync();
    expect(copy.listSegments().map(({ id }) => id)).toEqual(original.listSegments().map(({ id }) => id));
    expect(await refused(copy, beside('backup'))).toMatchObject({ reason: 'branched' });
    await original.close();
    await copy.close();
  });

  test('wrong arguments, and a log that has failed', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    const io = disk.createStorageIo();
    const wal = SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512 });
    wal.append('one');
    expect(await rejection(wal.backup(17 as unknown as string))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    for (const wrong of [{ signal: 1 }, { onProgress: 1 }, { hardLinks: 1 }]) {
      expect(await rejection(wal.backup('/backup', wrong as object))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      expect(thrown(() => wal.backupSync('/backup', wrong as object))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    }
    expect(io.list('/')).toEqual(['log']);
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'failing-sync' : undefined));
    expect(await rejection(wal.backup('/backup'))).toMatchObject({ code: 'WAL_IO_FAILED' });
    disk.failWhen(undefined);
    expect(await rejection(wal.backup('/backup'))).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(wal.failure).toBeDefined();
    wal.closeSync();
  });
});

test('a segment that cannot be read is not copied, and the earlier backup stays', async () => {
  const io = createMemoryStorageIo();
  const { wal, fill, beside } = await openBackedUp(io);
  await fill(20);
  await wal.backup(beside('backup'), { hardLinks: false });
  await fill(60);
  const [, , , damaged] = wal.listSegments();
  const path = damaged?.path as string;
  writeFile(io, path, flip(700)(readFile(io, path)));
  expect(await rejection(wal.backup(beside('backup'), { hardLinks: false }))).toMatchObject({
    code: 'WAL_CORRUPT',
    path,
  });
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 20));
  await wal.close();
});

test('a copy of the newest segment that was staged is not taken for that segment once it has gone on', async () => {
  const io = createMemoryStorageIo();
  const { wal, fill, beside } = await openBackedUp(io);
  await fill(14);
  const ending = new AbortController();
  const onProgress = ({ phase }: { readonly phase: string }): void => {
    if (phase === 'switch') ending.abort();
  };
  const backup = wal.backup(beside('backup'), { signal: ending.signal, onProgress });
  expect(await rejection(backup)).toMatchObject({ code: 'WAL_ABORTED' });
  await fill(60);
  await wal.backup(beside('backup'));
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
  await wal.close();
});

test.each([
  ['before its files have their names', 'rename', /staged-wal/],
  ['before it is complete', 'rename', /backup\.next$/],
] as const)(
  'a backup that is decided and ends %s is finished by the next opening, or the next backup',
  async (_when, kind, path) => {
    for (const next of ['open', 'backup'] as const) {
      const disk = new SimulatedDisk({ seed: 3 });
      const io = disk.createStorageIo();
      const config = { directory: '/log', io, blockBytes: 512, segmentBytes: 4096 };
      const wal = await SegmentedWal.open(config);
      for (let lsn = 1; lsn <= 30; lsn++) wal.append(`record ${lsn}`.padEnd(300));
      await wal.backup('/backup');
      for (let lsn = 31; lsn <= 50; lsn++) wal.append(`record ${lsn}`.padEnd(300));
      let isDecided = false;
      disk.failWhen((operation) => {
        isDecided ||= operation.kind === 'rename' && operation.path.endsWith('backup.new');
        return isDecided && operation.kind === kind && path.test(operation.path) ? 'EIO' : undefined;
      });
      expect(await rejection(wal.backup('/backup'))).toMatchObject({ code: 'WAL_IO_FAILED' });
      disk.failWhen(undefined);
      expect(wal.failure).toBeUndefined();
      expect(await rejection(readAll(io, '/backup'))).toMatchObject({ code: 'WAL_STATE', state: 'backup-decided' });
      const tail = new LogTail(io, '/backup');
      expect(thrown(() => tail.advanceSync())).toMatchObject({ code: 'WAL_STATE', state: 'backup-decided' });
      tail.close();
      if (next === 'backup') {
        expect(await wal.backup('/backup')).toMatchObject({ lastLsn: 50, copiedSegments: 0, linkedSegments: 0 });
      } else {
        const restored = await SegmentedWal.open({ ...config, directory: '/backup' });
        expect(restored.recovery).toMatchObject({ lastLsn: 50 });
        await restored.close();
      }
      expect(await readAll(io, '/backup')).toEqual(filled(1, 50));
      await wal.close();
    }
  },
);

test('an unfinished backup of another log stays, whichever segments it has', async () => {
  const disk = new SimulatedDisk({ seed: 3 });
  const { io, config, wal, fill, beside } = await openBackedUp(disk.createStorageIo());
  await fill(60);
  const backup = beside('backup');
  disk.failWhen(({ kind, path }) => (kind === 'create' && path.endsWith('backup.new') ? 'EIO' : undefined));
  expect(await rejection(wal.backup(backup))).toMatchObject({ code: 'WAL_IO_FAILED' });
  disk.failWhen(undefined);
  const before = await hashes(io, backup);
  expect(Object.keys(before).filter((name) => name.startsWith('staged-')).length).toBeGreaterThan(3);
  const other = await SegmentedWal.open({ ...config, directory: beside('other') });
  other.append('one');
  expect(await rejection(other.backup(backup))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', reason: 'other-log' });
  expect(await hashes(io, backup)).toEqual(before);
  await other.close();
  expect(await wal.backup(backup)).toMatchObject({ firstLsn: 1, lastLsn: 60 });
  await wal.close();
});

test('a full disk ends a backup, and neither the log nor the earlier backup', async () => {
  const disk = new SimulatedDisk({ seed: 5 });
  const { io, wal, fill, beside } = await openBackedUp(disk.createStorageIo());
  const backup = beside('backup');
  await fill(10);
  await wal.backup(backup);
  await fill(40);
  disk.failWhen(({ kind, path }) => (kind === 'write' && path.startsWith(backup) ? 'ENOSPC' : undefined));
  expect(await rejection(wal.backup(backup, { hardLinks: false }))).toEqual(NO_SPACE);
  disk.failWhen(undefined);
  expect(wal.failure).toBeUndefined();
  expect(await readAll(io, backup)).toEqual(filled(1, 10));
  await wal.backup(backup, { hardLinks: false });
  expect(await readAll(io, backup)).toEqual(filled(1, 40));
  await wal.close();
});

test('a follower that is ahead of a backup finds, in the restored log that went on, that it was cut back', async () => {
  const io = createMemoryStorageIo();
  const { config, wal, fill, beside } = await openBackedUp(io);
  await fill(20);
  await wal.backup(beside('backup'));
  await fill(40);
  const ahead = new LogTail(io, config.directory);
  const level = new LogTail(io, config.directory);
  for (let lsn = 1; lsn <= 40; lsn++) {
    ahead.advanceSync();
    ahead.next();
    if (lsn > 20) continue;
    level.advanceSync();
    level.next();
  }
  const [aheadOf, levelWith] = [ahead.resumePoint, level.resumePoint];
  ahead.close();
  level.close();
  await wal.close();
  const restored = await SegmentedWal.open({ ...config, directory: beside('backup') });
  for (let record = 0; record < 40; record++) restored.append('restored'.padEnd(300));
  await restored.sync();
  const cut = new LogTail(io, beside('backup'), { from: aheadOf as never });
  expect(thrown(() => cut.advanceSync())).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back' });
  cut.close();
  const goesOn = new LogTail(io, beside('backup'), { from: levelWith as never });
  // The segment of the record before is read first, to find out by which opening it was written.
  let next: number | undefined;
  while (next === undefined && goesOn.advanceSync()) next = goesOn.next()?.lsn;
  expect(next).toBe(21);
  goesOn.close();
  await restored.close();
});

test('an encrypted log and a restored backup of it go on with different keys of their segments', async () => {
  const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
  const io = createMemoryStorageIo({ disk: new MemoryDisk() });
  const { config, wal, fill, beside } = await openBackedUp(io, { keyRing });
  await fill(20);
  await wal.backup(beside('backup'));
  const restored = await SegmentedWal.open({ ...config, directory: beside('backup') });
  const shared = new Set(wal.listSegments().map(({ id }) => id));
  for (let record = 0; record < 30; record++) {
    wal.append('original'.padEnd(300));
    restored.append('restored'.padEnd(300));
  }
  await wal.sync();
  await restored.sync();
  // The key of a segment is derived from its id, and the nonce is the LSN: none of the new LSNs is in a segment of both.
  const own = restored.listSegments().filter(({ lastLsn = 0 }) => lastLsn > 20);
  expect(own.length).toBeGreaterThan(1);
  expect(own.filter(({ id }) => shared.has(id))).toEqual([]);
  const ids = new Set(wal.listSegments().map(({ id }) => id));
  expect(own.filter(({ id }) => ids.has(id))).toEqual([]);
  expect((await recordsIn(restored)).slice(0, 20)).toEqual(filled(1, 20));
  await restored.close();
  await wal.close();
  expect(await rejection(readAll(io, beside('backup')))).toMatchObject({ code: 'WAL_BAD_KEY' });
});

test('a backup has the permissions of the log', async () => {
  const io = createSyncFsStorageIo();
  const { wal, fill, beside } = await openBackedUp(io, { fileMode: 0o640, directoryMode: 0o750 });
  await fill(30);
  await wal.backup(beside('backup'));
  expect(io.stat(beside('backup')).mode).toBe(0o750);
  const modes = io.list(beside('backup')).map((name) => io.stat(join(beside('backup'), name)).mode);
  expect(new Set(modes)).toEqual(new Set([0o640]));
  await wal.close();
  await io.dispose();
});

test('a cut that removes what is still to be copied: the backup begins again, with the log as it is then', async () => {
  const io = createMemoryStorageIo();
  const { wal, fill, beside } = await openBackedUp(io);
  await fill(60);
  let isCut = false;
  const onProgress = (): void => {
    if (isCut) return;
    isCut = true;
    wal.truncateAfterSync(7);
  };
  const report = await wal.backup(beside('backup'), { hardLinks: false, onProgress });
  expect([isCut, report.lastLsn]).toEqual([true, 7]);
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 7));
  await wal.close();
});

test('closing a log waits for the end of its backup, also when the log has failed', async () => {
  const disk = new SimulatedDisk({ seed: 7 });
  const io = disk.createStorageIo({ completesInline: false });
  const wal = await SegmentedWal.open({
    directory: '/log',
    io,
    blockBytes: 512,
    segmentBytes: 1 << 20,
    markAfterMs: 0,
  });
  for (let lsn = 1; lsn <= 40; lsn++) wal.append('x'.repeat(50_000));
  await wal.sync();
  const backup = rejection(wal.backup('/backup', { hardLinks: false }));
  while (!io.list('/').includes('backup') || !io.list('/backup').includes('next.seg')) {
    await new Promise(setImmediate);
  }
  disk.failWhen(({ kind, path }) => (kind === 'write' && path.startsWith('/log') ? 'EIO' : undefined));
  wal.append('y');
  expect(await rejection(wal.sync())).toMatchObject({ code: 'WAL_IO_FAILED' });
  await wal.close();
  io.lock('/backup/LOCK')();
  expect(await backup).toMatchObject({ code: expect.stringMatching(/WAL_CLOSED|WAL_IO_FAILED/) });
});

test('a log that is closed from inside the function that is told of progress', async () => {
  const io = createMemoryStorageIo();
  const { config, wal, fill, beside } = await openBackedUp(io);
  await fill(40);
  const backup = wal.backup(beside('backup'), { onProgress: () => wal.closeSync() });
  expect(await rejection(backup)).toMatchObject({ code: 'WAL_CLOSED' });
  io.lock(join(beside('backup'), 'LOCK'))();
  const again = await SegmentedWal.open(config);
  expect(again.recovery).toMatchObject({ cleanlyClosed: true, lastLsn: 40 });
  await again.backup(beside('backup'));
  expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
  await again.close();
});

test('a log is not closed from inside a step of its backup, which would wait for itself', async () => {
  const io = createMemoryStorageIo();
  const { wal, fill, beside } = await openBackedUp(io);
  await fill(40);
  const open = io.open.bind(io);
  const errors: unknown[] = [];
  io.open = (path, options) => {
    if (path.startsWith(beside('backup'))) errors.push(thrown(() => wal.closeSync()));
    return open(path, options);
  };
  const { lastLsn } = await wal.backup(beside('backup'), { hardLinks: false });
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) expect(error).toMatchObject({ code: 'WAL_STATE' });
  expect(lastLsn).toBe(40);
  expect(wal.append('goes on')).toBe(41);
  await wal.close();
});

test('the blocking form', () => {
  const io = createMemoryStorageIo();
  const wal = SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, segmentBytes: 4096 });
  for (let lsn = 1; lsn <= 30; lsn++) wal.append(`record ${lsn}`.padEnd(300));
  const seen: number[] = [];
  const report = wal.backupSync('/backup', { onProgress: ({ records }) => seen.push(records) });
  expect(report).toMatchObject({ firstLsn: 1, lastLsn: 30 });
  expect(seen.at(-1)).toBe(30);
  wal.closeSync();
  const backup = SegmentedWal.openSync({ directory: '/backup', io });
  expect(backup.lastLsn).toBe(30);
  backup.closeSync();
});

import { join } from 'node:path';
import { type Checkpoint, FileName, type Lsn, parseSegmentFileName } from '@walstack/codec';
import { encodeFollowerFile, encodeFollowerSlot, followerFileNames } from '@walstack/codec/internal';
import { readCheckpoint } from '@walstack/mmap-reader/internal';
import { type BackupReport, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { ioSteps, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { flip, readFile, writeFile } from './support/files.js';
import { DIRECTORY } from './support/logs.js';

const FOLLOWERS = join(DIRECTORY, FileName.followers);
const RECORDS = 60;

function openOn(io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal {
  const own = { segmentBytes: 2048, blockBytes: 512, markAfterMs: 0, recycleSegments: 0 };
  return SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...own, ...config });
}

/** A log of {@link RECORDS} records, some six to a segment. */
function filled(config: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  const wal = openOn(io, config);
  for (let lsn = 1; lsn <= RECORDS; lsn++) {
    wal.append(new Uint8Array(250));
    wal.syncSync();
  }
  return { disk, io, wal };
}

const stored = (io: StorageIo): Checkpoint => runSync(io, readCheckpoint(io, DIRECTORY));

/** Has a follower with this name need everything from an LSN on. */
function follow(io: StorageIo, logId: Uint8Array, name: string, lsn: Lsn): void {
  if (!io.list(DIRECTORY).includes(FileName.followers)) io.makeDirectory(FOLLOWERS);
  const slot = { logId, name, position: { lsn }, storedAtMs: 1 };
  const bytes = encodeFollowerFile({ older: slot, newer: slot });
  const { draft, file } = followerFileNames(name);
  runSync(io, replaceFile(io, join(FOLLOWERS, draft), join(FOLLOWERS, file), bytes, 0o600));
}

function writeAt(io: StorageIo, path: string, bytes: Uint8Array, offset: number): void {
  const file = io.open(path);
  runSync(io, ioSteps.write(io, file, bytes, offset));
  io.close(file);
}

/** A log with a checkpoint, and one follower that needs everything from `lsn` on. */
function followed(lsn: Lsn, config: Partial<SegmentedWalConfig> = {}) {
  const log = filled(config);
  log.wal.checkpointSync(1);
  const { logId } = stored(log.io);
  follow(log.io, logId, 'one', lsn);
  for (const directory of [DIRECTORY, FOLLOWERS]) runSync(log.io, ioSteps.syncDirectory(log.io, directory));
  return { ...log, logId };
}

/** What a truncation does to names, in short. */
function watch(disk: SimulatedDisk, on: (operation: DiskOperation) => void = () => {}): string[] {
  const done: string[] = [];
  disk.failWhen((operation) => {
    const { kind, path } = operation;
    on(operation);
    if (kind === 'rename' && path.endsWith(FileName.checkpointDraft)) done.push('checkpoint');
    else if (kind === 'remove' && /wal-/.test(path) && done.at(-1) !== 'remove') done.push('remove');
    else if (kind === 'list' && path === FOLLOWERS) done.push('followers');
    return undefined;
  });
  return done;
}

/** Truncates, and kills the process at an operation. @returns the disk, as the process leaves it */
function killedAt(
  disk: SimulatedDisk,
  wal: SegmentedWal,
  lsn: Lsn,
  isNow: (operation: DiskOperation) => boolean,
): SimulatedDisk {
  let isKilled = false;
  disk.failWhen((operation) => {
    isKilled ||= isNow(operation);
    return isKilled ? 'EIO' : undefined;
  });
  try {
    wal.truncateBeforeSync(lsn);
  } catch {
    // What the killed process would have seen.
  }
  expect(isKilled).toBe(true);
  disk.failWhen(undefined);
  disk.kill();
  return disk;
}

const isRemoval = ({ kind, path }: DiskOperation): boolean => kind === 'remove' && /wal-/.test(path);

describe('the checkpoint of a truncation', () => {
  test('is written once, before anything is removed; without followers their directory is looked for once', () => {
    const { disk, wal } = filled();
    wal.truncateBeforeSync(10);
    const done = watch(disk);
    wal.truncateBeforeSync(30);
    expect(done).toEqual(['checkpoint', 'followers', 'remove']);
    wal.closeSync();
  });

  test('is written once also with followers, which are read before and behind it', () => {
    const { disk, wal } = followed(20);
    const done = watch(disk);
    expect(wal.truncateBeforeSync(50)).toMatchObject({ keptFor: [{ name: 'one', lsn: 20 }] });
    expect(done).toEqual(['followers', 'checkpoint', 'followers', 'remove']);
    expect(wal.firstLsn).toBeLessThanOrEqual(20);
    expect(wal.firstLsn).toBeGreaterThan(10);
    wal.closeSync();
  });

  test('is not written when there is nothing to remove', () => {
    const { disk, wal } = followed(2);
    const done = watch(disk);
    expect(wal.truncateBeforeSync(50)).toMatchObject({ segmentsDeleted: 0, keptFor: [{ name: 'one', lsn: 2 }] });
    expect(done).toEqual(['followers']);
    wal.closeSync();
  });

  test.each([
    [2, 1],
    [20, 15],
  ])('is lowered for a follower that comes when it is written, and needs %i', (lsn, least) => {
    const { disk, io, wal, logId } = followed(55);
    let isThere = false;
    const done = watch(disk, ({ kind, path }) => {
      if (isThere || kind !== 'rename' || !path.endsWith(FileName.checkpointDraft)) return;
      isThere = true;
      follow(io, logId, 'late', lsn);
    });
    const { keptFor, segmentsDeleted } = wal.truncateBeforeSync(50);
    expect(keptFor).toMatchObject([{ name: 'late', lsn }]);
    expect(done.filter((each) => each === 'checkpoint')).toHaveLength(2);
    expect(wal.firstLsn).toBeGreaterThanOrEqual(least);
    expect(wal.firstLsn).toBeLessThanOrEqual(lsn);
    expect(segmentsDeleted > 0).toBe(lsn > 2);
    expect(wal.readSync(lsn)?.lsn).toBe(lsn);
    // A later one is as any other.
    expect(wal.removeFollowerSync('late')).toBe(true);
    expect(wal.truncateBeforeSync(50)).not.toHaveProperty('keptFor');
    expect(wal.firstLsn).toBeGreaterThan(40);
    wal.closeSync();
    expect(openOn(disk.createStorageIo()).firstLsn).toBeGreaterThan(40);
  });
});

test('a truncation relies on what a follower has stored durably, and not on what it is storing', () => {
  const { disk, io, wal, logId } = followed(3);
  const path = join(FOLLOWERS, followerFileNames('one').file);
  // Its process stops before what it has written last is durable.
  writeAt(io, path, encodeFollowerSlot({ logId, name: 'one', position: { lsn: 50 }, storedAtMs: 2 }, 3), 4096);
  expect(wal.truncateBeforeSync(40)).toMatchObject({ keptFor: [{ name: 'one', state: 'holding', lsn: 3 }] });
  expect(wal.firstLsn).toBe(1);
  const again = openOn(disk.crash('none').createStorageIo());
  expect(again.followersSync()).toMatchObject([{ name: 'one', state: 'holding', lsn: 3 }]);
  again.closeSync();
});

describe('a writer that is killed behind the checkpoint of a truncation', () => {
  test('leaves the log as it was where there are followers, for every reader', () => {
    const { disk, wal } = followed(45);
    const killed = killedAt(disk, wal, 40, isRemoval);
    const io = killed.createStorageIo();
    expect(stored(io)).toMatchObject({ unsettled: { firstSegment: 1 } });
    expect(openOn(io, { recoveryMode: 'readonly' }).firstLsn).toBe(1);
    const again = openOn(io);
    expect(again.firstLsn).toBe(1);
    expect(stored(io)).not.toHaveProperty('unsettled');
    expect(again.replay()[Symbol.iterator]().next().value?.lsn).toBe(1);
    // The application truncates again.
    again.truncateBeforeSync(40);
    expect(again.firstLsn).toBeGreaterThan(30);
    again.closeSync();
  });

  test('leaves it as it was also where the power goes with it', () => {
    const { disk, wal } = followed(45);
    killedAt(disk, wal, 40, isRemoval);
    expect(openOn(disk.crash('none').createStorageIo()).firstLsn).toBe(1);
  });

  test('leaves it truncated where there are none', () => {
    const { disk, wal } = filled();
    const io = killedAt(disk, wal, 40, isRemoval).createStorageIo();
    expect(openOn(io, { recoveryMode: 'readonly' }).firstLsn).toBeGreaterThan(30);
    const again = openOn(io);
    expect(again.firstLsn).toBeGreaterThan(30);
    again.closeSync();
  });

  test.each([1, 2, 3])('leaves it truncated when %i of the files are gone', (count) => {
    const { disk, wal } = followed(45);
    let removed = 0;
    const io = killedAt(disk, wal, 40, (operation) => isRemoval(operation) && removed++ === count).createStorageIo();
    expect(stored(io)).toMatchObject({ unsettled: { firstSegment: 1 } });
    expect(openOn(io, { recoveryMode: 'readonly' }).firstLsn).toBeGreaterThan(30);
    const again = openOn(io);
    expect(again.firstLsn).toBeGreaterThan(30);
    expect(io.list(DIRECTORY).filter((name) => name.startsWith('wal-')).length).toBeLessThan(8);
    again.closeSync();
  });
});

test('a truncation none of whose files can be removed does not come back', () => {
  const { disk, io, wal } = followed(45);
  disk.failWhen((operation) => (isRemoval(operation) ? 'EIO' : undefined));
  expect(wal.truncateBeforeSync(40)).toMatchObject({ segmentsDeleted: 0 });
  const { firstLsn } = wal;
  expect(firstLsn).toBeGreaterThan(30);
  expect(stored(io)).not.toHaveProperty('unsettled');
  disk.failWhen(undefined);
  disk.kill();
  expect(openOn(disk.createStorageIo()).firstLsn).toBe(firstLsn);
});

test('what had expired is known as before when an announced truncation is undone', () => {
  const { disk, io, wal, logId } = followed(RECORDS, { retainBytes: 8192, retainUntilCheckpoint: false });
  expect(stored(io).expiredLsn).toBeGreaterThan(1);
  const { expiredLsn, firstSegment } = stored(io);
  follow(io, logId, 'one', RECORDS);
  killedAt(disk, wal, RECORDS - 5, isRemoval);
  const killed = disk.createStorageIo();
  expect(stored(killed)).toMatchObject({ unsettled: { firstSegment, expiredLsn } });
  const again = openOn(killed);
  expect(again.firstLsn).toBe((expiredLsn as number) + 1);
  expect(stored(killed)).toMatchObject({ firstSegment, expiredLsn });
  again.closeSync();
});

test('a cut behind a truncation that could not be lowered for a reader keeps what is before the cut', () => {
  const { disk, io, wal } = filled();
  let end: (() => void) | undefined;
  disk.failWhen(({ kind, path }) => {
    const isCheckpoint = path.endsWith(FileName.checkpointDraft);
    if (kind === 'rename' && isCheckpoint) end ??= wal.keepFor(() => 1);
    return end !== undefined && kind === 'write' && isCheckpoint ? 'ENOSPC' : undefined;
  });
  expect(() => wal.truncateBeforeSync(40)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
  disk.failWhen(undefined);
  expect([wal.firstLsn, stored(io).firstSegment > 1]).toEqual([1, true]);
  wal.truncateAfterSync(3);
  disk.kill();
  const again = openOn(disk.createStorageIo());
  expect([again.firstLsn, again.lastLsn]).toEqual([1, 3]);
  again.closeSync();
});

describe('a backup', () => {
  const BACKUP = '/backup';

  /** A log on a backend whose calls take their time, with a follower that needs the last records. */
  async function opened() {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const config = { directory: DIRECTORY, io, segmentBytes: 1024, blockBytes: 512, recycleSegments: 0 };
    const wal = await SegmentedWal.open({ ...config, ...new TestEnvironment().options });
    for (let record = 0; record < RECORDS; record++) wal.append(new Uint8Array(250));
    await wal.checkpoint(1);
    const { logId } = await runAsync(io, readCheckpoint(io, DIRECTORY));
    io.makeDirectory(FOLLOWERS);
    const follow = async (name: string, lsn: Lsn): Promise<void> => {
      const slot = { logId, name, position: { lsn }, storedAtMs: 1 };
      const bytes = encodeFollowerFile({ older: slot, newer: slot });
      const { file, draft } = followerFileNames(name);
      await runAsync(io, replaceFile(io, join(FOLLOWERS, draft), join(FOLLOWERS, file), bytes, 0o600));
    };
    await follow('one', RECORDS - 5);
    const backup = () => SegmentedWal.open({ ...config, directory: BACKUP, recoveryMode: 'readonly' });
    return { disk, io, wal, follow, backup };
  }

  test('that begins while a truncation is announced has everything that is there, and neither announcement nor followers', async () => {
    const { disk, io, wal, backup } = await opened();
    let making: Promise<BackupReport> | undefined;
    let isAnnounced = false;
    disk.failWhen(({ kind, path }) => {
      if (kind === 'rename' && path.endsWith(FileName.checkpointDraft)) isAnnounced = true;
      if (isAnnounced && kind === 'list' && path === FOLLOWERS) making ??= wal.backup(BACKUP);
      return undefined;
    });
    await wal.truncateBefore(40);
    const report = await (making as Promise<BackupReport>);
    expect(wal.firstLsn).toBe(1);
    expect(report).toMatchObject({ firstLsn: wal.firstLsn, lastLsn: RECORDS });
    expect(await runAsync(io, readCheckpoint(io, BACKUP))).not.toHaveProperty('unsettled');
    expect(io.list(BACKUP)).not.toContain(FileName.followers);
    const copy = await backup();
    expect([copy.firstLsn, copy.lastLsn]).toEqual([report.firstLsn, RECORDS]);
    await copy.close();
    await wal.close();
  });

  test('of a log whose truncation was undone has everything', () => {
    const { disk, wal } = followed(45);
    const io = killedAt(disk, wal, 40, isRemoval).createStorageIo();
    const again = openOn(io);
    expect(again.backupSync(BACKUP)).toMatchObject({ firstLsn: 1, lastLsn: RECORDS });
    expect(openOn(io, { directory: BACKUP, create: false }).firstLsn).toBe(1);
    again.closeSync();
  });

  test('beside truncations that are lowered for new followers opens each time', async () => {
    const { wal, follow, backup } = await opened();
    for (let round = 0; round < 16; round++) {
      for (let record = 0; record < 8; record++) wal.append(new Uint8Array(250));
      await wal.sync();
      const truncating = wal.truncateBefore(wal.nextLsn - 2);
      for (let turn = 0; turn < round; turn++) await new Promise(setImmediate);
      if (round % 2 === 0) await follow(`late-${round}`, wal.nextLsn - 4);
      const [{ firstLsn, lastLsn }] = await Promise.all([wal.backup(BACKUP), truncating]);
      const copy = await backup();
      expect([copy.firstLsn, copy.lastLsn]).toEqual([firstLsn, lastLsn]);
      expect(lastLsn).toBe(wal.lastLsn);
      await copy.close();
      if (round % 4 === 0) await wal.removeFollower(`late-${round}`);
    }
    await wal.close();
  });
});

describe('salvage beside followers', () => {
  /** Inverts a byte in the middle of the segment with this index. */
  const damage = (io: StorageIo, index: number): string => {
    const name = io.list(DIRECTORY).filter((each) => each.startsWith('wal-'))[index] as string;
    const path = join(DIRECTORY, name);
    writeFile(io, path, flip(800)(readFile(io, path)));
    return name;
  };

  test('leaves their files, and the log keeps what they need', () => {
    const { disk } = followed(3);
    disk.kill();
    damage(disk.createStorageIo(), 4);
    const again = openOn(disk.createStorageIo(), { recoveryMode: 'salvage' });
    expect(again.recovery.salvage?.lost).not.toEqual([]);
    expect(again.followersSync()).toMatchObject([{ name: 'one', state: 'holding', lsn: 3 }]);
    for (let record = 0; record < 20; record++) again.append(new Uint8Array(250));
    again.syncSync();
    expect(again.truncateBeforeSync(again.nextLsn)).toMatchObject({ keptFor: [{ name: 'one', lsn: 3 }] });
    expect(again.firstLsn).toBe(1);
    expect(again.removeFollowerSync('one')).toBe(true);
    again.truncateBeforeSync(again.nextLsn);
    expect(again.firstLsn).toBe(again.nextLsn);
    again.closeSync();
  });

  test('takes a truncation that is announced as done: what is before is in quarantine', () => {
    const { disk, wal } = followed(45);
    killedAt(disk, wal, 40, isRemoval);
    const io = disk.createStorageIo();
    const { firstSegment } = stored(io);
    damage(io, 8);
    expect(() => openOn(io)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }));
    const again = openOn(io, { recoveryMode: 'salvage' });
    expect(again.firstLsn).toBeGreaterThan(30);
    expect(stored(io)).not.toHaveProperty('unsettled');
    const quarantine = again.recovery.salvage?.quarantine as string;
    const before = io.list(quarantine).filter((name) => name.startsWith('wal-') && numberOf(name) < firstSegment);
    expect(before).toHaveLength(firstSegment - 1);
    again.closeSync();
  });
});

const numberOf = (name: string): number => parseSegmentFileName(name)?.number as number;

test.each<[string, (operation: DiskOperation) => boolean]>([
  ['the sync behind it', ({ kind, path }) => kind === 'sync-directory' && path === FOLLOWERS],
  ['the removal of its spare file', ({ kind, path }) => kind === 'remove' && path.endsWith('.spare')],
])('a follower whose removal failed at %s is removed durably by the next call', (_name, fails) => {
  const { disk, io, wal, logId } = followed(3);
  const { file, spare } = followerFileNames('one');
  follow(io, logId, 'other', 55);
  writeFile(io, join(FOLLOWERS, spare), new Uint8Array(16));
  runSync(io, ioSteps.syncDirectory(io, FOLLOWERS));
  let isOnce = true;
  disk.failWhen((operation) => {
    if (!isOnce || !fails(operation)) return undefined;
    isOnce = false;
    return 'EIO';
  });
  expect(() => wal.removeFollowerSync('one')).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
  expect(wal.removeFollowerSync('one')).toBe(false);
  const left = disk.crash('none').createStorageIo();
  const names = left.list(FOLLOWERS);
  expect([names.includes(file), names.includes(spare)]).toEqual([false, false]);
  expect(openOn(left).followersSync()).toMatchObject([{ name: 'other' }]);
});

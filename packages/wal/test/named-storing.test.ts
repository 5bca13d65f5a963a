import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { type DiskOperation, SimulatedDisk } from '@walstack/storage-io/simulation';
import { type StandardSchema, Wal, type WalFollower } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commit, small, take } from './support/named-logs.js';

const DIRECTORY = '/log';

describe('on a disk without any room', () => {
  /** A log of 60 events, and a follower that has acknowledged the first one. */
  async function full() {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const wal = await Wal.open(DIRECTORY, { ...small, io, preallocate: 'none', markAfterMs: 0 });
    await commit(wal, 60);
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'projection', io });
    await take(follower);
    await follower.acknowledge();
    disk.capacityBytes = disk.usedBytes;
    return { disk, io, wal, follower };
  }

  test('a follower stores its position, as its file has the room, and again when it was opened again', async () => {
    const { disk, io, wal, follower } = await full();
    await take(follower, 29);
    await follower.acknowledge();
    expect(await wal.followers()).toMatchObject([{ name: 'projection', lsn: 31 }]);
    await follower.return();
    let drafts = 0;
    disk.failWhen(({ kind, path }) => {
      if (kind === 'datasync' && path.endsWith('.follower.new')) drafts++;
      return undefined;
    });
    const second = Wal.follow(DIRECTORY, 'stored', { name: 'projection', io });
    expect(await take(second, 10)).toBe(40);
    // The file is another one, and the next process has the room for that, too.
    expect(drafts).toBe(2);
    disk.failWhen(undefined);
    await second.acknowledge();
    await second.return();
    expect(disk.capacityBytes).toBeGreaterThanOrEqual(disk.usedBytes);

    // And so the log gets its room: the checkpoint has to be replaced for that.
    disk.capacityBytes += 8192;
    expect(await wal.truncateBefore(60)).toMatchObject({ keptFor: [{ lsn: 41 }] });
    expect(wal.firstLsn).toBeGreaterThan(25);
    await commit(wal, 1);
    await wal.shutdown();
  });

  test('a new follower is refused, and told what helps', async () => {
    const { disk, io, wal, follower } = await full();
    const error: WalError = await rejection(take(Wal.follow(DIRECTORY, 'stored', { name: 'other', io })));
    expect(error).toMatchObject({
      code: 'WAL_NO_SPACE',
      message: expect.stringContaining('free some space and follow again when there is room') as string,
    });
    expect(await wal.followers()).toMatchObject([{ name: 'projection' }]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    const other = Wal.follow(DIRECTORY, 'stored', { name: 'other', io });
    expect(await take(other)).toBe(1);
    await other.return();
    await follower.return();
    await wal.shutdown();
  });

  test('on a file system that needs room to write in place, the position can be acknowledged again later', async () => {
    const { disk, io, wal, follower } = await full();
    await take(follower, 9);
    disk.failWhen(({ kind, path }) => (kind === 'write' && path.endsWith('.follower') ? 'ENOSPC' : undefined));
    expect(await rejection(follower.acknowledge())).toMatchObject({
      code: 'WAL_NO_SPACE',
      lsn: 11,
      message: expect.stringContaining('acknowledge again when there is room') as string,
    });
    expect(await wal.followers()).toMatchObject([{ state: 'holding', lsn: 2 }]);
    disk.failWhen(undefined);
    await follower.acknowledge();
    expect(await wal.followers()).toMatchObject([{ lsn: 11 }]);
    await follower.return();
    const again = Wal.follow(DIRECTORY, 'stored', { name: 'projection', io });
    expect(await take(again)).toBe(11);
    await again.return();
    await wal.shutdown();
  });
});

describe('a position', () => {
  test('that could not be made durable is not relied on', async () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const wal = await Wal.open(DIRECTORY, { ...small, io, markAfterMs: 0 });
    await commit(wal, 60);
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'f', io });
    await take(follower, 50);
    const isSync = ({ kind, path }: DiskOperation): boolean => kind === 'datasync' && path.endsWith('f.follower');
    disk.failWhen((operation) => (isSync(operation) ? 'EIO' : undefined));
    expect(await rejection(follower.acknowledge())).toMatchObject({ code: 'WAL_IO_FAILED' });
    disk.failWhen(undefined);
    expect(await wal.truncateBefore(50)).toMatchObject({ keptFor: [{ name: 'f', lsn: 1 }] });
    expect(wal.firstLsn).toBe(1);
    const after = disk.crash('none').createStorageIo({ completesInline: false });
    const again = Wal.follow(DIRECTORY, 'stored', { name: 'f', io: after });
    expect(await take(again)).toBe(1);
    await again.return();
  });

  test('is not written over the only slot that can be read, where the other one could not be written', async () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const wal = await Wal.open(DIRECTORY, { ...small, io, markAfterMs: 0 });
    await commit(wal, 20);
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'f', io });
    await take(follower, 5);
    let failing: readonly [kind: string, count: number] = ['write', 2];
    disk.failWhen(({ kind, path }) => {
      if (kind !== failing[0] || !path.endsWith('f.follower')) return undefined;
      failing = [kind, failing[1] - 1];
      return failing[1] === 0 ? 'EIO' : undefined;
    });
    // The first slot has it durably, and the second one has not.
    expect(await rejection(follower.acknowledge())).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(await wal.followers()).toMatchObject([{ lsn: 1 }]);
    await take(follower);
    failing = ['datasync', 1];
    expect(await rejection(follower.acknowledge())).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(await wal.followers()).toMatchObject([{ lsn: 6 }]);
    await follower.acknowledge();
    expect(await wal.followers()).toMatchObject([{ lsn: 7 }]);
    await follower.return();
    await wal.shutdown();
  });

  test('is written in place, into a file that each process that has the name makes anew', async () => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, small);
    await commit(wal, 30);
    const file = (): number => statSync(join(directory, 'followers', 'f.follower')).ino;
    for (let opening = 1, before = 0; opening <= 3; opening++) {
      const follower = Wal.follow(directory, 'stored', { name: 'f' });
      await take(follower);
      const present = file();
      expect(present).not.toBe(before);
      for (let event = 0; event < 5; event++) {
        await follower.acknowledge();
        expect(file()).toBe(present);
        await take(follower);
      }
      before = present;
      await follower.return();
    }
  });

  test('is stored in a new file where the file was removed, or somebody gave it a second name', async () => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, small);
    await commit(wal, 30);
    const follower = Wal.follow(directory, 'stored', { name: 'f' });
    await take(follower, 10);
    rmSync(join(directory, 'followers', 'f.follower'));
    await follower.acknowledge();
    expect(await wal.followers()).toMatchObject([{ name: 'f', lsn: 11 }]);
    await follower.return();
    expect(await take(Wal.follow(directory, 'stored', { name: 'f' }))).toBe(11);
  });

  test('is put back in one step by a follower that goes back to an event that is gone, also when that is killed', async () => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, small);
    await commit(wal, 60);
    const first = Wal.follow(directory, 35, { name: 'a' });
    await take(first, 5);
    await first.acknowledge();
    await first.return();
    await wal.truncateBefore(30);
    expect(wal.firstLsn).toBeGreaterThan(3);
    for (const from of [3, 'first'] as const) {
      // As one that is killed when it has stored where it begins.
      await rejection(take(Wal.follow(directory, from, { name: 'a', io: dyingAfterRename() })));
      const again = Wal.follow(directory, 'stored', { name: 'a' });
      expect(await take(again)).toBe(40);
      await again.return();
      expect(await wal.followers()).toMatchObject([{ name: 'a', lsn: 40 }]);
    }
    expect(await wal.truncateBefore(50)).toMatchObject({ keptFor: [{ lsn: 40 }] });
    expect(wal.firstLsn).toBeGreaterThan(25);
  });

  /** A backend for which nothing works any more once a file of a follower has its name. */
  function dyingAfterRename(): StorageIo {
    const io = createSyncFsStorageIo();
    let isDead = false;
    const dead = (path: string): never => {
      throw new WalError('WAL_IO_FAILED', 'the process was killed', { path, systemCode: 'EIO' });
    };
    return new Proxy(io, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'open' && name !== 'rename' && name !== 'list' && name !== 'submitRemove')
          return value.bind(target);
        return (path: string, ...others: unknown[]) => {
          if (isDead) return dead(path);
          isDead = name === 'rename' && String(others[0]).endsWith('.follower');
          return Reflect.apply(value, target, [path, ...others]) as unknown;
        };
      },
    });
  }
});

describe('what is acknowledged while an event is being decoded', () => {
  /** A schema that refuses an event the first time, and acknowledges all that was returned. */
  const acknowledging = (refused: string, follower: () => WalFollower<unknown>) => {
    let acknowledged: Promise<void> | undefined;
    const schema: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if (value !== refused) return { value };
          acknowledged ??= follower().acknowledge();
          return { issues: [{ message: 'no' }] };
        },
      },
    };
    return { schema, acknowledged: () => acknowledged };
  };

  test.each([undefined, 10])('does not cover that event, with batch %s', async (batch) => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, { encoding: 'utf8' });
    for (const payload of ['one', 'two', 'three', 'four']) await wal.commit(payload);
    let follower: WalFollower<unknown>;
    const { schema, acknowledged } = acknowledging('three', () => follower);
    const options = { name: 'f', encoding: 'utf8', schema } as const;
    follower = Wal.follow(directory, 'stored', batch === undefined ? options : { ...options, batch });
    const first = await follower.next();
    if (batch === undefined) await follower.next();
    else expect(first.value).toMatchObject([{ lsn: 1 }, { lsn: 2 }]);
    await rejection(follower.next());
    await acknowledged();
    const [stored] = await wal.followers();
    expect(stored?.lsn).toBe(batch === undefined ? 3 : 1);
    const again = Wal.follow(directory, 'stored', { name: 'f' });
    expect(await take(again)).toBe(stored?.lsn);
    await again.return();
  });
});

test('a follower that stores rarely still says every ten seconds that it is there', async () => {
  const time = new ManualTime();
  // On this backend nothing is left to be done when a timer has fired.
  const io = createMemoryStorageIo();
  const wal = await Wal.open(DIRECTORY, { ...small, io, now: time.now });
  await commit(wal, 10);
  const storeEvery = { ms: 25_000 };
  const follower = Wal.follow(DIRECTORY, 'stored', { name: 'rare', io, storeEvery, ...time.options });
  await take(follower, 5);
  const first = await wal.followers();
  expect(first).toMatchObject([{ lsn: 1 }]);
  const seen: (number | undefined)[] = [];
  for (const ms of [10_000, 10_000, 5000]) {
    time.time += ms;
    time.fire(ms);
    await turns();
    const [stored] = await wal.followers();
    expect(stored?.ageMs).toBe(0);
    seen.push(stored?.lsn);
  }
  // The position only when the time is over: the request for the fifth event has acknowledged four.
  expect(seen).toEqual([1, 1, 5]);
  await follower.return();
  await wal.shutdown();
});

test.each<[string, () => unknown]>([
  ['says NaN', () => Number.NaN],
  ['says noon', () => 'noon'],
  [
    'throws',
    () => {
      throw new Error('no time');
    },
  ],
])('a clock that %s is none: the follower never expires', async (_what, now) => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, { ...small, followerExpiryMs: 60_000 });
  await commit(wal, 10);
  const follower = Wal.follow(directory, 'stored', { name: 'timeless', now: now as () => number });
  await take(follower, 5);
  await follower.acknowledge();
  await follower.return();
  expect(await wal.followers()).toMatchObject([{ state: 'holding', lsn: 6, storedAtMs: undefined, ageMs: undefined }]);
});

test('shutting the log down stores what storeEvery has acknowledged', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  await commit(wal, 60);
  const follower = wal.follow('first', { name: 'auto', storeEvery: { events: 1000 } });
  expect(await take(follower, 50)).toBe(50);
  await wal.shutdown();
  const again = Wal.follow(directory, 'stored', { name: 'auto', encoding: 'utf8' });
  // The one that was being processed comes again.
  expect(await take(again)).toBe(50);
  await again.return();
});

describe('what cannot be read keeps everything', () => {
  test('also a directory of followers that is a link to nothing', async () => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, small);
    await commit(wal, 60);
    symlinkSync('/nowhere/at/all', join(directory, 'followers'));
    const keptFor = [{ name: '*', state: 'unreadable', lsn: undefined, reason: 'WAL_NOT_FOUND' }];
    expect(await wal.truncateBefore(50)).toMatchObject({ segmentsDeleted: 0, keptFor });
    rmSync(join(directory, 'followers'));
    expect((await wal.truncateBefore(50)).segmentsDeleted).toBeGreaterThan(0);
  });

  test('also a file of a follower that is one', async () => {
    const directory = `${temporaryDirectory()}/log`;
    await using wal = await Wal.open(directory, small);
    await commit(wal, 60);
    const follower = Wal.follow(directory, 50, { name: 'a' });
    await take(follower);
    await follower.return();
    const file = join(directory, 'followers', 'a.follower');
    const bytes = readFileSync(file);
    rmSync(file);
    symlinkSync('/nowhere/at/all', file);
    const keptFor = [{ name: 'a', state: 'unreadable', lsn: undefined, reason: 'WAL_NOT_FOUND' }];
    expect(await wal.truncateBefore(40)).toMatchObject({ segmentsDeleted: 0, keptFor });
    rmSync(file);
    writeFileSync(file, bytes);
    expect((await wal.truncateBefore(40)).segmentsDeleted).toBeGreaterThan(0);
  });

  test('also a follower that a listing misses, whose file is there', async () => {
    const io = createSyncFsStorageIo();
    let misses = false;
    const missing = new Proxy(io, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name === 'list') {
          return (path: string) => io.list(path).filter((each) => !(misses && each === 'a.follower'));
        }
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const directory = `${temporaryDirectory()}/log`;
    const wal = await Wal.open(directory, { ...small, io: missing });
    await commit(wal, 60);
    const follower = Wal.follow(directory, 5, { name: 'a', io: 'sync-fs' });
    await take(follower);
    await follower.return();
    expect(await wal.followers()).toMatchObject([{ name: 'a' }]);
    misses = true;
    expect(await wal.truncateBefore(40)).toMatchObject({ segmentsDeleted: 0, keptFor: [{ name: 'a', lsn: 5 }] });
    rmSync(join(directory, 'followers', 'a.follower'));
    expect(await wal.truncateBefore(40)).not.toHaveProperty('keptFor');
    await wal.shutdown();
    await io.dispose();
  });
});

test('removing a follower leaves its lock file only', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 3);
  const follower = Wal.follow(directory, 'stored', { name: 'f' });
  await take(follower);
  await follower.return();
  expect(await wal.removeFollower('f')).toBe(true);
  expect(readdirSync(join(directory, 'followers'))).toEqual(['f.lock']);
});

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { type FollowFrom, Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { checkpointOf, commit, small, take } from './support/named-logs.js';

const MINUTE = 60_000;

const followersIn = (directory: string): string[] =>
  readdirSync(join(directory, FileName.followers)).filter((name) => name.endsWith('.follower'));

/**
 * A log of 60 events of which a writer that was killed has announced to remove those of the first three segments, when one follower
 * needed event 5 of which it did not know.
 */
async function announced() {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  await commit(wal, 60);
  await wal.checkpoint(3);
  const { number, firstLsn } = wal.listSegments()[3] as { readonly number: number; readonly firstLsn: number };
  const held = Wal.follow(directory, 5, { name: 'held' });
  await take(held);
  await held.return();
  await wal.shutdown();
  const { checkpoint, replace } = checkpointOf(directory);
  replace({ ...checkpoint, firstSegment: number, unsettled: { firstSegment: checkpoint.firstSegment } });
  return { directory, firstLsn };
}

describe('while a truncation is announced, and nothing is removed yet', () => {
  test('a follower that was there before finds what it needs, from where it was or from an LSN behind that', async () => {
    const { directory } = await announced();
    for (const [from, lsn] of [
      ['stored', 5],
      [7, 7],
    ] as const) {
      const follower = Wal.follow(directory, from, { name: 'held' });
      expect(await take(follower)).toBe(lsn);
      await follower.return();
    }
  });

  test.each<[FollowFrom]>([[2], [{ lsn: 2, segment: 1, id: '0'.repeat(32) }]])(
    'a new one does not begin at %j, for which it may be too late, and leaves nothing behind',
    async (from) => {
      const { directory, firstLsn } = await announced();
      const error: WalError = await rejection(take(Wal.follow(directory, from, { name: 'new' })));
      expect(error).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 2, firstLsn });
      expect(followersIn(directory)).toEqual(['held.follower']);
    },
  );

  test('one that goes back to before where it was does not, either, and keeps its place', async () => {
    const { directory, firstLsn } = await announced();
    expect(await rejection(take(Wal.follow(directory, 2, { name: 'held' })))).toMatchObject({ firstLsn });
    const again = Wal.follow(directory, 'stored', { name: 'held' });
    expect(await take(again)).toBe(5);
    await again.return();
  });

  test.each(['first', 'checkpoint', 'stored'] as const)(
    'a new one that begins at %s begins behind it',
    async (from) => {
      const { directory, firstLsn } = await announced();
      const follower = Wal.follow(directory, from, { name: 'new' });
      expect(await take(follower)).toBe(firstLsn);
      expect(follower.skipped).toEqual([]);
      await follower.return();
    },
  );

  test('a new one that skips says what it has skipped', async () => {
    const { directory, firstLsn } = await announced();
    const follower = Wal.follow(directory, 2, { name: 'new', onTruncated: 'skip' });
    expect(await take(follower)).toBe(firstLsn);
    expect(follower.skipped).toEqual([{ fromLsn: 2, toLsn: firstLsn - 1 }]);
    await follower.return();
  });

  test('one without a name, and every other reader, sees what is there', async () => {
    const { directory } = await announced();
    const follower = Wal.follow(directory, 2);
    expect(await take(follower)).toBe(2);
    await follower.return();
    const reading = await Wal.open(directory, { ...small, recoveryMode: 'readonly' });
    expect(reading.firstLsn).toBe(1);
    await reading.close();
    const wal = await Wal.open(directory, small);
    expect(wal.firstLsn).toBe(1);
    expect(await wal.followers()).toMatchObject([{ name: 'held', state: 'holding', lsn: 5 }]);
    const inProcess = wal.follow(2, { name: 'here' });
    expect(await take(inProcess)).toBe(2);
    await inProcess.return();
    await wal.shutdown();
  });
});

test('a follower that is opened again and again, and never returns an event, expires all the same', async () => {
  const time = new ManualTime();
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { ...small, ...time.options, followerExpiryMs: 2 * MINUTE });
  await commit(wal, 60);
  const follower = Wal.follow(directory, 'stored', { name: 'gone', ...time.options });
  await take(follower);
  await follower.acknowledge();
  await follower.return();
  time.time += 3 * MINUTE;
  await wal.truncateBefore(50);
  expect(wal.firstLsn).toBeGreaterThan(2);
  const before = await wal.followers();
  expect(before).toMatchObject([{ state: 'expired', ageMs: 3 * MINUTE }]);
  for (let attempt = 0; attempt < 3; attempt++) {
    time.time += 1;
    const again = Wal.follow(directory, 'stored', { name: 'gone', ...time.options });
    expect(await rejection(take(again))).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
    expect(await wal.followers()).toMatchObject([
      { state: 'expired', storedAtMs: before[0]?.storedAtMs, lsn: before[0]?.lsn },
    ]);
  }
  await wal.shutdown();
});

test('the position of a follower that begins at an LSN is held before it has read anything', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  await commit(wal, 30);
  // Nothing is there yet.
  const follower = Wal.follow(directory, 41, { name: 'early' });
  const next = take(follower);
  while ((await wal.followers()).length === 0) await turns();
  expect(await wal.followers()).toMatchObject([{ name: 'early', state: 'holding', lsn: 31, lagRecords: 0 }]);
  await commit(wal, 30);
  expect(await wal.truncateBefore(61)).toMatchObject({ keptFor: [{ name: 'early', lsn: 41 }] });
  expect(await next).toBe(41);
  await follower.return();
  await wal.shutdown();
});

describe('without the right to write', () => {
  /** A backend that may read, and nothing else. */
  function readOnly(): StorageIo {
    const io = createSyncFsStorageIo();
    const refuse = (path: string): never => {
      throw new WalError('WAL_IO_FAILED', 'the file system is read-only', { path, systemCode: 'EROFS' });
    };
    const open: StorageIo['open'] = (path, options) =>
      options?.readOnly === true ? io.open(path, options) : refuse(path);
    return new Proxy(io, {
      get(target, name) {
        if (name === 'open') return open;
        if (name === 'lock' || name === 'makeDirectory' || name === 'rename') return refuse;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  test('a follower without a name reads, and one with a name is refused', async () => {
    const directory = `${temporaryDirectory()}/log`;
    const wal = await Wal.open(directory, small);
    await commit(wal, 5);
    await using io = readOnly();
    const unnamed = Wal.follow(directory, 'first', { io });
    expect(await take(unnamed)).toBe(1);
    await unnamed.return();
    expect(await rejection(take(Wal.follow(directory, 'first', { io, name: 'f' })))).toMatchObject({
      code: 'WAL_IO_FAILED',
      systemCode: 'EROFS',
      message: expect.stringContaining('may not write there (EROFS)') as string,
    });
    expect(readdirSync(directory)).not.toContain(FileName.followers);
    await wal.shutdown();
  });
});

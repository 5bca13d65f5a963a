import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import {
  channels,
  type FollowDirectoryOptions,
  type FollowerMessage,
  Wal,
  type WalEvent,
  type WalFollower,
} from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commit, small } from './support/named-logs.js';
import { watch } from './support/outcomes.js';

const MINUTE = 60_000;

/** The LSNs of the next `count` events. */
async function take(follower: WalFollower<{ readonly lsn: number }>, count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const { value } = await follower.next();
    if (value === undefined) throw new Error('it has ended');
    found.push(value.lsn);
  }
  return found;
}

const followed = (directory: string, options: Omit<FollowDirectoryOptions, 'batch'>): WalFollower<WalEvent> =>
  Wal.follow(directory, 'stored', options);

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('the log keeps what a follower with a name has not acknowledged, also while it is not running', async () => {
    await using io = create();
    const directory = directoryFor(io);
    let wal = await Wal.open(directory, { io, ...small });
    await commit(wal, 60);
    const first = followed(directory, { io, name: 'projection' });
    expect(await take(first, 40)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    await first.acknowledge(30);
    await first.return();

    const { keptFor } = await wal.truncateBefore(wal.lastLsn + 1);
    expect(keptFor).toEqual([{ name: 'projection', state: 'holding', lsn: 31, reason: undefined }]);
    expect(wal.firstLsn).toBeGreaterThan(1);
    expect(wal.firstLsn).toBeLessThanOrEqual(31);
    await wal.shutdown();

    // A writer that opens later keeps it as well.
    wal = await Wal.open(directory, { io, ...small, retainBytes: 0, retainUntilCheckpoint: false });
    await commit(wal, 30);
    expect(wal.firstLsn).toBeLessThanOrEqual(31);
    expect(await wal.followers()).toMatchObject([{ name: 'projection', state: 'holding', lsn: 31, lagRecords: 60 }]);

    const second = followed(directory, { io, name: 'projection' });
    expect(await take(second, 3)).toEqual([31, 32, 33]);
    await take(second, 50);
    await second.acknowledge();
    expect(await wal.truncateBefore(wal.lastLsn + 1)).toMatchObject({ keptFor: [{ lsn: 84 }] });
    expect(wal.firstLsn).toBeGreaterThan(60);
    await second.return();
    expect(await wal.removeFollower('projection')).toBe(true);
    expect(await wal.removeFollower('projection')).toBe(false);
    expect(await wal.truncateBefore(wal.lastLsn + 1)).not.toHaveProperty('keptFor');
    expect(wal.firstLsn).toBe(wal.lastLsn + 1);
    await wal.shutdown();
  });

  test('what only a follower has held goes with it, by retention', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io, ...small, retainBytes: 0, retainUntilCheckpoint: false });
    await commit(wal, 1);
    const follower = followed(directory, { io, name: 'projection' });
    await take(follower, 1);
    await follower.acknowledge();
    await follower.return();
    await commit(wal, 60);
    expect(wal.firstLsn).toBe(1);
    expect(await wal.removeFollower('projection')).toBe(true);
    expect(wal.firstLsn).toBeGreaterThan(30);
  });

  test('a name is for one follower at a time', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io, ...small });
    await commit(wal, 3);
    const first = followed(directory, { io, name: 'one' });
    await take(first, 1);
    const locked = { code: 'WAL_LOCKED', path: `${directory}/followers`, holder: expect.any(String) };
    expect(await rejection(take(followed(directory, { io, name: 'one' }), 1))).toMatchObject(locked);
    expect(await rejection(wal.removeFollower('one'))).toMatchObject({ code: 'WAL_LOCKED' });
    await first.return();
    const second = followed(directory, { io, name: 'one' });
    expect(await take(second, 3)).toEqual([1, 2, 3]);
    await second.return();
  });

  test('what a filter skips counts as read, and is stored while nothing is outstanding', async () => {
    await using io = create();
    const time = new ManualTime();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io, ...small });
    await commit(wal, 1, 7);
    await commit(wal, 59);
    const follower = followed(directory, { io, name: 'rare', types: [7], ...time.options, pollMs: 77 });
    expect(await take(follower, 1)).toEqual([1]);
    const next = take(follower, 1);
    const positionOf = (): number | undefined => follower.position;
    while (positionOf() !== 61) {
      time.fire(77);
      await turns();
    }
    // The first event is not acknowledged.
    time.fire(1000);
    await turns();
    expect(await wal.followers()).toMatchObject([{ lsn: 1 }]);
    await follower.acknowledge();
    expect(await wal.followers()).toMatchObject([{ lsn: 61, lagRecords: 0, lagBytes: 0 }]);

    await commit(wal, 10);
    while (positionOf() !== 71) {
      time.fire(77);
      await turns();
    }
    while ((await wal.followers())[0]?.lsn !== 71) {
      time.fire(1000);
      await turns();
    }
    await commit(wal, 1, 7);
    const came = watch(next);
    while (came.state === 'pending') {
      time.fire(77);
      await turns();
    }
    expect(await next).toEqual([71]);
    await follower.return();
  });

  test('with storeEvery the request for the next event acknowledges those before', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io, ...small });
    await commit(wal, 20);
    const first = followed(directory, { io, name: 'auto', storeEvery: { events: 5 } });
    for await (const { lsn } of first) if (lsn === 13) break;
    // The one that was being processed is not acknowledged.
    expect(await wal.followers()).toMatchObject([{ lsn: 13 }]);
    const second = followed(directory, { io, name: 'auto', storeEvery: { events: 1 } });
    expect(await take(second, 2)).toEqual([13, 14]);
    while ((await wal.followers())[0]?.lsn !== 14) await turns();
    await second.return();
  });
});

const acknowledgedAt = async (wal: Wal<string>, directory: string, name: string, lsn: number): Promise<void> => {
  const follower = Wal.follow(directory, 'first', { io: 'sync-fs', name });
  await take(follower, wal.lastLsn - wal.firstLsn + 1);
  await follower.acknowledge(lsn);
  await follower.return();
};

test('a follower with a name has a position only when what it needs is stored, also when it ends at once', async () => {
  await using wal = await Wal.open(temporaryDirectory(), { ...small, io: 'thread-pool' });
  await commit(wal, 30);
  for (let each = 0; each < 20; each++) {
    const follower = wal.follow('stored', { name: `f${each}` });
    const first = follower.next();
    while (follower.position === undefined) await turns(1);
    await follower.return();
    await first;
  }
  const followers = await wal.followers();
  expect(followers).toHaveLength(20);
  for (const each of followers) expect(each).toMatchObject({ state: 'holding', lsn: 1 });
});

test('acknowledging: only what was returned, never back, not without a name, not after the end', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 5);
  const follower = followed(directory, { name: 'f' });
  await follower.acknowledge();
  expect(await rejection(follower.acknowledge(1))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  await take(follower, 3);
  expect(await rejection(follower.acknowledge(4))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  await follower.acknowledge(2);
  await follower.acknowledge(1);
  expect(await wal.followers()).toMatchObject([{ lsn: 3, alive: true }]);
  await follower.return();
  expect(await rejection(follower.acknowledge())).toMatchObject({ code: 'WAL_CLOSED' });
  const unnamed = Wal.follow(directory, 1);
  await take(unnamed, 1);
  expect(await rejection(unnamed.acknowledge())).toMatchObject({ code: 'WAL_STATE', state: 'unnamed' });
  await unnamed.return();
});

test.each([
  [{ name: '' }, 'ERR_OUT_OF_RANGE'],
  [{ name: 'Upper' }, 'ERR_OUT_OF_RANGE'],
  [{ name: '../x' }, 'ERR_OUT_OF_RANGE'],
  [{ name: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{}, 'ERR_INVALID_ARG_TYPE'],
  [{ name: 'x', initially: 'stored' }, 'ERR_INVALID_ARG_TYPE'],
  [{ name: 'x', storeEvery: { events: 0 } }, 'ERR_OUT_OF_RANGE'],
  [{ name: 'x', storeEvery: { ms: 0 } }, 'ERR_OUT_OF_RANGE'],
  [{ name: 'x', storeEvery: { other: 1 } }, 'ERR_INVALID_ARG_TYPE'],
  [{ name: 'x', onTruncated: 'wait' }, 'ERR_OUT_OF_RANGE'],
])('the options %j are refused', (options, code) => {
  expect(thrown(() => Wal.follow('/nowhere', 'stored', options as FollowDirectoryOptions))).toMatchObject({ code });
});

test('an LSN, first and checkpoint begin there, whatever is stored; initially is for a new name', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 30);
  await wal.checkpoint(10);
  await acknowledgedAt(wal, directory, 'f', 20);
  for (const [from, lsn] of [
    ['stored', 21],
    [5, 5],
    ['checkpoint', 11],
    ['first', 1],
  ] as const) {
    const follower = Wal.follow(directory, from, { name: 'f' });
    expect(await take(follower, 1)).toEqual([lsn]);
    expect(await wal.followers()).toMatchObject([{ lsn }]);
    await follower.return();
    if (from === 'stored') await acknowledgedAt(wal, directory, 'f', 20);
  }
  const later = followed(directory, { name: 'new', initially: 'checkpoint' });
  expect(await take(later, 1)).toEqual([11]);
  await later.return();
});

test('a position that was removed is WAL_TRUNCATED, a new name is given back, and skip says what it skips', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 60);
  await wal.truncateBefore(50);
  const { firstLsn } = wal;
  expect(await rejection(take(Wal.follow(directory, 2, { name: 'late' }), 1))).toMatchObject({
    code: 'WAL_TRUNCATED',
    firstLsn,
  });
  expect(await wal.followers()).toEqual([]);
  for (const name of [undefined, 'late']) {
    const options = { onTruncated: 'skip', ...(name === undefined ? {} : { name }) } as const;
    const follower = Wal.follow(directory, 2, options);
    expect(await take(follower, 2)).toEqual([firstLsn, firstLsn + 1]);
    expect(follower.skipped).toEqual([{ fromLsn: 2, toLsn: firstLsn - 1 }]);
    await follower.return();
  }
  const inProcess = wal.follow(2, { onTruncated: 'skip' });
  expect(await take(inProcess, 1)).toEqual([firstLsn]);
  expect(inProcess.skipped).toEqual([{ fromLsn: 2, toLsn: firstLsn - 1 }]);
  await inProcess.return();
});

test('a follower that is gone holds nothing after followerExpiryMs, and learns it by WAL_TRUNCATED', async () => {
  const time = new ManualTime();
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, { ...small, ...time.options, followerExpiryMs: 2 * MINUTE });
  await commit(wal, 60);
  const follower = followed(directory, { name: 'gone', ...time.options });
  await take(follower, 5);
  await follower.acknowledge();
  const messages: FollowerMessage[] = [];
  const listener = (message: FollowerMessage): void => void messages.push(message);
  channels.follower.subscribe(listener);
  try {
    time.time += 3 * MINUTE;
    // Its process is alive.
    await wal.truncateBefore(50);
    expect(wal.firstLsn).toBe(1);
    await follower.return();
    expect(await wal.followers()).toMatchObject([{ state: 'expired', ageMs: 3 * MINUTE, alive: false }]);
    await wal.truncateBefore(50);
    expect(wal.firstLsn).toBeGreaterThan(6);
    expect(messages).toMatchObject([{ directory: wal.directory, follower: { name: 'gone', state: 'expired' } }]);
  } finally {
    channels.follower.unsubscribe(listener);
  }
  const again = followed(directory, { name: 'gone', ...time.options });
  expect(await rejection(take(again, 1))).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
  const skipping = followed(directory, { name: 'gone', onTruncated: 'skip', ...time.options });
  expect(await take(skipping, 1)).toEqual([wal.firstLsn]);
  expect(skipping.skipped).toEqual([{ fromLsn: 6, toLsn: wal.firstLsn - 1 }]);
  await skipping.return();
});

test('an open follower stores that it is there every ten seconds', async () => {
  const time = new ManualTime();
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, { ...small, now: time.now });
  await commit(wal, 3);
  const follower = followed(directory, { name: 'idle', ...time.options });
  await take(follower, 1);
  time.time += 9_999;
  time.fire(1000);
  await turns();
  expect(await wal.followers()).toMatchObject([{ ageMs: 9_999 }]);
  time.time += 1;
  while ((await wal.followers())[0]?.ageMs !== 0) {
    time.fire(1000);
    await turns();
  }
  await follower.return();
});

test('with a damaged file, or one of another log, everything is kept until the follower is removed', async () => {
  const root = temporaryDirectory();
  const directory = `${root}/log`;
  const io = createSyncFsStorageIo();
  const wal = await Wal.open(directory, { ...small, io });
  await commit(wal, 60);
  await acknowledgedAt(wal, directory, 'damaged', 50);
  await acknowledgedAt(wal, directory, 'healthy', 50);
  const path = join(directory, 'followers', 'damaged.follower');
  const bytes = readFileSync(path);
  for (const at of [20, 4096 + 20]) bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(path, bytes);
  const kept = { name: 'damaged', state: 'unreadable', lsn: undefined, reason: 'checksum' };
  expect(await wal.truncateBefore(40)).toMatchObject({ segmentsDeleted: 0, keptFor: [kept] });
  expect(wal.firstLsn).toBe(1);
  expect(wal.stats().followers).toMatchObject([kept, { name: 'healthy', state: 'holding', lsn: 51 }]);
  expect(await rejection(take(followed(directory, { name: 'damaged' }), 1))).toMatchObject({ code: 'WAL_CORRUPT' });
  expect(await wal.removeFollower('damaged')).toBe(true);

  const other = await Wal.open(`${root}/other`, small);
  await commit(other, 3);
  await acknowledgedAt(other, `${root}/other`, 'foreign', 3);
  await other.shutdown();
  const foreign = join(directory, 'followers', 'foreign.follower');
  writeFileSync(foreign, readFileSync(`${root}/other/followers/foreign.follower`));
  const keptFor = [{ name: 'foreign', state: 'other-log', lsn: undefined, reason: undefined }];
  expect(await wal.truncateBefore(40)).toMatchObject({ segmentsDeleted: 0, keptFor });
  expect(await rejection(take(followed(directory, { name: 'foreign' }), 1))).toMatchObject({
    code: 'WAL_TRUNCATED',
    reason: 'cut-back',
  });
  // From an LSN it is a follower of this log.
  const begun = Wal.follow(directory, 45, { name: 'foreign' });
  await take(begun, 1);
  await begun.return();
  expect(await wal.truncateBefore(40)).not.toHaveProperty('keptFor');
  expect(wal.firstLsn).toBeGreaterThan(20);
  await wal.shutdown();
  await io.dispose();
});

test('where the directory of the followers cannot be read, everything is kept', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 60);
  writeFileSync(join(directory, 'followers'), '');
  expect(await wal.truncateBefore(50)).toMatchObject({ keptFor: [{ name: '*', state: 'unreadable' }] });
  expect(wal.firstLsn).toBe(1);
  expect(await rejection(take(followed(directory, { name: 'f' }), 1))).toMatchObject({ code: 'WAL_IO_FAILED' });
});

test('a follower behind a cut of the end is held from where the log was cut, and learns it', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 60);
  await acknowledgedAt(wal, directory, 'f', 55);
  await wal.truncateAfter(30);
  await commit(wal, 60);
  expect(await wal.truncateBefore(90)).toMatchObject({ keptFor: [{ name: 'f', lsn: 31 }] });
  expect(wal.firstLsn).toBeLessThanOrEqual(31);
  expect(await rejection(take(followed(directory, { name: 'f' }), 1))).toMatchObject({
    code: 'WAL_TRUNCATED',
    reason: 'cut-back',
    lsn: 31,
  });
  const again = Wal.follow(directory, 31, { name: 'f' });
  expect(await take(again, 1)).toEqual([31]);
  await again.return();
});

test('a follower whose need was known before a cut is held from the cut on, and not from where it was', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 60);
  await acknowledgedAt(wal, directory, 'f', 55);
  expect(await wal.truncateBefore(60)).toMatchObject({ keptFor: [{ name: 'f', lsn: 56 }] });
  await wal.truncateAfter(wal.firstLsn);
  const cutAt = wal.lastLsn + 1;
  await commit(wal, 60);
  expect(await wal.truncateBefore(90)).toMatchObject({ keptFor: [{ name: 'f', lsn: cutAt }] });
  expect(wal.firstLsn).toBeLessThanOrEqual(cutAt);
});

test('followers in the writing process are in the stats, with and without a name', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, small);
  await commit(wal, 30);
  const unnamed = wal.follow(11);
  const named = wal.follow('stored', { name: 'here' });
  await take(unnamed, 10);
  await take(named, 10);
  await named.acknowledge(5);
  const expected = [
    { name: 'here', state: 'holding', lsn: 6, alive: true, lagRecords: 25 },
    { name: undefined, state: 'reading', lsn: 21, alive: true, lagRecords: 10 },
  ];
  expect(await wal.followers()).toMatchObject(expected);
  expect(wal.stats().followers).toMatchObject(expected);
  const [slow, fast] = wal.stats().followers;
  expect(slow?.lagBytes).toBeGreaterThan(25 * 300);
  expect(fast?.lagBytes).toBeLessThan(slow?.lagBytes as number);
  await unnamed.return();
  await named.return();
  expect(readdirSync(join(directory, 'followers')).sort()).toEqual([
    'here.follower',
    'here.follower.spare',
    'here.lock',
  ]);
});

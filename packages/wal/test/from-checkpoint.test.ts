import { createSyncFsStorageIo } from '@walstack/storage-io';
import { Wal, type WalEvent, type WalFollower } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';

const SMALL = { segmentBytes: 1024, blockBytes: 512, recycleSegments: 0 };

async function commitTo(wal: Wal, lsn: number): Promise<void> {
  while (wal.lastLsn < lsn) await wal.commit(new Uint8Array(400));
}

/** The LSNs of the next `count` events. */
async function take(follower: WalFollower<WalEvent>, count: number): Promise<number[]> {
  const lsns: number[] = [];
  while (lsns.length < count) {
    const { value } = await follower.next();
    if (value === undefined) throw new Error('it has ended');
    lsns.push(value.lsn);
  }
  return lsns;
}

/** Waits until a follower that was asked for an event has found its place in the log. */
async function found(follower: WalFollower<WalEvent>): Promise<void> {
  while (follower.resumePoint === undefined) await turns(1);
}

async function iterated(wal: Wal): Promise<number[]> {
  const lsns: number[] = [];
  for await (const { lsn } of wal.iterator('checkpoint')) lsns.push(lsn);
  return lsns;
}

async function replayed(wal: Wal): Promise<number[]> {
  const lsns: number[] = [];
  await wal.replay('checkpoint', ({ lsn }) => lsns.push(lsn));
  return lsns;
}

/** What every reading returns from the checkpoint on, of a log with `count` events behind it: all of them the same. */
async function fromCheckpoint(wal: Wal, count: number): Promise<number[]> {
  const lsns = await replayed(wal);
  expect(lsns).toHaveLength(count);
  expect(await iterated(wal)).toEqual(lsns);
  const { directory } = wal;
  const followers = [
    wal.follow('checkpoint'),
    Wal.follow(directory, 'checkpoint', { durableOnly: false, io: 'sync-fs' }),
  ];
  for (const follower of followers) {
    expect(await take(follower, count)).toEqual(lsns);
    await follower.return();
  }
  return lsns;
}

test('replay, iterator and both kinds of follow begin behind the checkpoint, after truncation and reset as well', async () => {
  await using io = createSyncFsStorageIo();
  await using wal = await Wal.open(directoryFor(io), { io, ...SMALL });
  await commitTo(wal, 6);
  expect(await fromCheckpoint(wal, 6)).toEqual([1, 2, 3, 4, 5, 6]);
  await wal.truncateBefore(3);
  expect(await fromCheckpoint(wal, 4)).toEqual([3, 4, 5, 6]);
  await wal.checkpoint(4);
  expect(await fromCheckpoint(wal, 2)).toEqual([5, 6]);
  await wal.resetTo(100);
  await commitTo(wal, 101);
  expect(await fromCheckpoint(wal, 2)).toEqual([100, 101]);
  await wal.truncateAfter(100);
  await wal.checkpoint(100);
  await commitTo(wal, 102);
  expect(await fromCheckpoint(wal, 2)).toEqual([101, 102]);
});

describe.each(BACKENDS)('following from the checkpoint on %s', (_name, create) => {
  test('takes the checkpoint of the moment when the first event is requested, and then what comes', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, ...SMALL });
    await commitTo(wal, 4);
    const follower = wal.follow('checkpoint');
    expect(follower.resumePoint).toBeUndefined();
    await wal.checkpoint(4);
    await wal.truncateBefore(5);
    const next = follower.next();
    await found(follower);
    expect(follower.resumePoint).toMatchObject({ lsn: 5 });
    await wal.commit('five');
    expect((await next).value).toMatchObject({ lsn: 5 });
    // From now on its place is its own, whatever the checkpoint.
    await commitTo(wal, 8);
    await wal.checkpoint(8);
    await wal.truncateBefore(9);
    expect(await take(follower, 3)).toEqual([6, 7, 8]);
    await follower.return();
  });

  test('ends when a cut lowers the checkpoint that it began at, as what is before it is other events then', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    await commitTo(wal, 4);
    await wal.checkpoint(4);
    const follower = wal.follow('checkpoint');
    const next = rejection(follower.next());
    await found(follower);
    await wal.truncateAfter(2);
    await commitTo(wal, 5);
    expect(await next).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 3, reason: 'cut-back' });
    const again = wal.follow('checkpoint');
    expect(await take(again, 3)).toEqual([3, 4, 5]);
    await again.return();
  });
});

test('what retention drops above the checkpoint is missed', async () => {
  await using io = createSyncFsStorageIo();
  const options = { io, ...SMALL, retainUntilCheckpoint: false, retainBytes: 2048 };
  await using wal = await Wal.open(directoryFor(io), options);
  await commitTo(wal, 40);
  await wal.checkpoint(1);
  const { firstLsn } = wal;
  const facts = { code: 'WAL_TRUNCATED', lsn: 2, firstLsn };
  expect(firstLsn).toBeGreaterThan(2);
  expect(await rejection(replayed(wal))).toMatchObject(facts);
  expect(await rejection(iterated(wal))).toMatchObject(facts);
  expect(await rejection(wal.follow('checkpoint').next())).toMatchObject(facts);
  expect(await rejection(Wal.follow(wal.directory, 'checkpoint', { io: 'sync-fs' }).next())).toMatchObject(facts);
});

import { createMemoryStorageIo } from '@walstack/storage-io';
import { type StandardSchema, Wal, type WalFollower } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { commit, small, take } from './support/named-logs.js';

const DIRECTORY = '/log';

describe('what a filter skips behind the last event of an array', () => {
  /** A log with an event that is wanted and 59 that are not, and a follower that has the first one. */
  async function followed() {
    // No turn of the event loop is due, which would end an array before all of the log is read.
    turnsByLooks(0);
    const io = createMemoryStorageIo();
    const wal = await Wal.open(DIRECTORY, { ...small, segmentBytes: 65_536, io });
    await commit(wal, 1, 7);
    await commit(wal, 59);
    const follower = wal.follow('stored', { name: 'rare', types: [7], batch: 10 });
    expect((await follower.next()).value).toMatchObject([{ lsn: 1 }]);
    expect(follower.position).toBe(61);
    return { wal, follower };
  }

  test('is covered by acknowledging that event, so the log can shrink', async () => {
    const { wal, follower } = await followed();
    await follower.acknowledge(1);
    expect(await wal.followers()).toMatchObject([{ lsn: 61 }]);
    expect(await wal.truncateBefore(61)).not.toHaveProperty('keptFor');
    await follower.return();
    await wal.shutdown();
  });

  test('is no event that was returned, and cannot be acknowledged', async () => {
    const { wal, follower } = await followed();
    const error = await rejection(follower.acknowledge(2));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('at most 1') });
    expect(await wal.followers()).toMatchObject([{ lsn: 1 }]);
    await follower.return();
    await wal.shutdown();
  });
});

describe('a request from a function that decodes an event', () => {
  /** Five events, and a follower whose schema requests another one when it sees the third. */
  async function followed(batch: number | undefined, refuses: boolean) {
    // No turn of the event loop is due, so events in memory are taken inside the call that requests them.
    turnsByLooks(0);
    const io = createMemoryStorageIo();
    const wal = await Wal.open(DIRECTORY, { encoding: 'utf8', io });
    for (const payload of ['one', 'two', 'three', 'four', 'five']) await wal.commit(payload);
    const requested: Promise<IteratorResult<unknown, void>>[] = [];
    let follower: WalFollower<unknown>;
    const schema: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if (value !== 'three' || requested.length > 0) return { value };
          requested.push(follower.next());
          return refuses ? { issues: [{ message: 'no' }] } : { value };
        },
      },
    };
    const options = { name: 'f', encoding: 'utf8', schema, io, durableOnly: false } as const;
    follower = Wal.follow(DIRECTORY, 'stored', batch === undefined ? options : { ...options, batch });
    return { io, wal, follower, requested };
  }

  test.each([undefined, 2])('is answered behind that event, with batch %s', async (batch) => {
    const { wal, follower, requested } = await followed(batch, false);
    const found: unknown[] = [];
    while (requested.length === 0) found.push((await follower.next()).value);
    found.push((await requested[0])?.value);
    expect(found.flat()).toMatchObject([1, 2, 3, 4, 5].slice(0, found.flat().length).map((lsn) => ({ lsn })));
    expect(found.flat().length).toBeGreaterThanOrEqual(4);
    await follower.return();
    await wal.shutdown();
  });

  test('does not have an event pass as acknowledged that could not be decoded', async () => {
    const { io, wal, follower, requested } = await followed(undefined, true);
    for (const _ of ['one', 'two']) {
      await follower.next();
      await follower.acknowledge();
    }
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 3 });
    expect(await requested[0]).toEqual({ done: true, value: undefined });
    const again = Wal.follow(DIRECTORY, 'stored', { name: 'f', io, durableOnly: false });
    expect(await take(again)).toBe(3);
    await again.return();
    await wal.shutdown();
  });
});

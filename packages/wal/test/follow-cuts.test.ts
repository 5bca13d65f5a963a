import { createMemoryStorageIo, ioSteps, runAsync } from '@walstack/storage-io';
import { type ResumePoint, Wal, type WalEvent, type WalFollower } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { text } from '../../../harness/test-kit/text.js';
import { watch } from './support/outcomes.js';

const DIRECTORY = directoryFor(createMemoryStorageIo());

const small = { segmentBytes: 4096, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 };

/** A log in memory; `others` is how another process reads it. */
const opened = async (options = {}) => {
  const io = createMemoryStorageIo();
  const time = new ManualTime().options;
  const wal = await Wal.open(DIRECTORY, { io, ...small, ...time, ...options });
  const others = { io, durableOnly: false, setTimer: time.setTimer };
  return { io, wal, others };
};

/** Commits events up to an LSN, whose payloads name the generation of the log that they were written in. */
const fill = async (wal: Wal, upTo: number, life = 'a'): Promise<void> => {
  while (wal.lastLsn < upTo) wal.append(`${life}${wal.lastLsn + 1}`);
  await wal.sync();
};

const take = async (follower: WalFollower<WalEvent>, count: number): Promise<string[]> => {
  const found: string[] = [];
  while (found.length < count) {
    const { value, done } = await follower.next();
    if (done === true) throw new Error('it has ended');
    found.push(text((value as WalEvent).payload));
  }
  return found;
};

const cutBack = (lsn: number): object => ({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn });

describe.each(['in the same process', 'in another one'])('a follower %s notices a cut', (where) => {
  const isHere = where === 'in the same process';
  const setUp = async () => {
    const { wal, others } = await opened();
    const follow = (from: number | 'first' | ResumePoint): WalFollower<WalEvent> =>
      isHere ? wal.follow(from) : Wal.follow(DIRECTORY, from, others);
    return { wal, follow };
  };

  test('that waits at the end of the log, when the new events reach further', async () => {
    const { wal, follow } = await setUp();
    await fill(wal, 10);
    const follower = follow(11);
    const next = watch(follower.next());
    await turns();
    await wal.truncateAfter(5);
    await fill(wal, 12, 'b');
    // In another process it is woken by a timer, which is not fired here; a second follower begins at the same place.
    if (isHere) {
      await turns();
      expect(next.error).toMatchObject(cutBack(6));
    } else {
      const again = follow(follower.resumePoint as ResumePoint);
      expect(await rejection(again.next())).toMatchObject(cutBack(6));
    }
    await follower.return();
    await wal.shutdown();
  });

  test('when it requested no event meanwhile', async () => {
    const { wal, follow } = await setUp();
    await fill(wal, 10);
    const follower = follow('first');
    await take(follower, 10);
    await wal.truncateAfter(5);
    await fill(wal, 10, 'b');
    await wal.truncateBefore(11);
    await fill(wal, 12, 'b');
    expect(await rejection(follower.next())).toMatchObject(cutBack(isHere ? 6 : 1));
    expect(await follower.next()).toEqual({ done: true, value: undefined });
    await wal.shutdown();
  });

  test('when it continues at a resume point, but not with only an LSN', async () => {
    const { wal, follow } = await setUp();
    await fill(wal, 10);
    const follower = follow('first');
    expect(follower.resumePoint).toBeUndefined();
    await take(follower, 10);
    const stored = JSON.parse(JSON.stringify(follower.resumePoint)) as ResumePoint;
    await follower.return();
    expect([stored.lsn, follower.resumePoint]).toEqual([11, stored]);
    expect(wal.resumePointAt(11)).toEqual(stored);
    await wal.truncateAfter(5);
    await fill(wal, 12, 'b');
    expect(await rejection(follow(stored).next())).toMatchObject(cutBack(6));
    const plain = follow(11);
    expect(await take(plain, 2)).toEqual(['b11', 'b12']);
    await plain.return();
    await wal.shutdown();
  });

  test('by a reset, wherever the log continues', async () => {
    const { wal, follow } = await setUp();
    await fill(wal, 10);
    const follower = follow('first');
    await take(follower, 10);
    const stored = JSON.parse(JSON.stringify(follower.resumePoint)) as ResumePoint;
    await wal.resetTo(15);
    await fill(wal, 16, 'b');
    const began = { ...cutBack(1), firstLsn: 15 };
    expect(await rejection(follower.next())).toMatchObject(began);
    expect(await rejection(follow(stored).next())).toMatchObject(began);
    await wal.shutdown();
  });

  test('and continues when nothing that it returned was cut off', async () => {
    const { wal, follow } = await setUp();
    await fill(wal, 4);
    const follower = follow('first');
    await take(follower, 4);
    const point = follower.resumePoint as ResumePoint;
    await fill(wal, 10);
    await wal.truncateAfter(4);
    await fill(wal, 6, 'b');
    expect(await take(follower, 2)).toEqual(['b5', 'b6']);
    await follower.return();
    const again = follow(point);
    expect(await take(again, 2)).toEqual(['b5', 'b6']);
    await again.return();
    await wal.shutdown();
  });
});

test('in the process that writes, an LSN means the events before it at the time of the call', async () => {
  const { wal } = await opened();
  for (let lsn = 1; lsn <= 10; lsn++) wal.append(`a${lsn}`);
  expect(wal.resumePointAt(11)).toBeDefined();
  expect([wal.resumePointAt(12), wal.resumePointAt(1)?.segment]).toEqual([undefined, 0]);
  const follower = wal.follow(11);
  await wal.truncateAfter(5);
  await fill(wal, 12, 'b');
  expect(await rejection(follower.next())).toMatchObject(cutBack(6));
  await wal.shutdown();
});

test.each([{}, { durableOnly: false }])('it begins after events that have no file yet: %j', async (options) => {
  const { wal } = await opened();
  while (wal.lastLsn < 10) wal.append('x'.repeat(600));
  const follower = wal.follow(11, options);
  const next = watch(follower.next());
  await turns();
  expect([wal.listSegments().length, next.state]).toEqual([1, 'pending']);
  const begun = wal.follow(11);
  await fill(wal, 11);
  await turns();
  expect(next.value?.value).toMatchObject({ lsn: 11 });
  await wal.truncateAfter(5);
  for (const each of [follower, begun]) expect(await rejection(each.next())).toMatchObject(cutBack(6));
  await wal.shutdown();
});

test('a cut after the returned events is not reported as damage, however often nothing new was found', async () => {
  const { wal } = await opened();
  for (let lsn = 1; lsn <= 12; lsn++) await wal.commit(`a${lsn}`);
  const follower = wal.follow('first', { durableOnly: false });
  await take(follower, 5);
  await wal.truncateAfter(7);
  expect(await take(follower, 2)).toEqual(['a6', 'a7']);
  const next = watch(follower.next());
  for (let look = 0; look < 40; look++) {
    await wal.flush();
    await turns(3);
  }
  expect(next.state).toBe('pending');
  wal.append('b8');
  await wal.flush();
  await turns();
  expect(next.value?.value).toMatchObject({ lsn: 8 });
  await follower.return();
  await wal.shutdown();
});

describe('an event is returned only', () => {
  test('while it is in the log: none that a finished cut dropped', async () => {
    const { wal } = await opened();
    await fill(wal, 100);
    const follower = wal.follow('first');
    expect(await take(follower, 3)).toEqual(['a1', 'a2', 'a3']);
    await wal.truncateAfter(5);
    await fill(wal, 7, 'b');
    expect(await take(follower, 4)).toEqual(['a4', 'a5', 'b6', 'b7']);
    await follower.return();
    await wal.shutdown();
  });

  test('until its signal is aborted: none after it', async () => {
    const { wal } = await opened();
    await fill(wal, 300);
    const controller = new AbortController();
    const follower = wal.follow('first', { signal: controller.signal });
    await take(follower, 1);
    controller.abort(new Error('enough'));
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_ABORTED' });
    expect(await follower.next()).toEqual({ done: true, value: undefined });
    await wal.shutdown();
  });

  test('until the log is closed', async () => {
    const { wal } = await opened();
    await fill(wal, 300);
    const follower = wal.follow('first');
    await take(follower, 1);
    await wal.shutdown();
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_CLOSED' });
  });

  test('in the order of the calls, however many are made at once', async () => {
    const { wal } = await opened();
    const follower = wal.follow('first');
    const calls = Array.from({ length: 5 }, () => follower.next());
    await fill(wal, 5);
    const values = (await Promise.all(calls)).map(({ value }) => value?.lsn);
    expect(values).toEqual([1, 2, 3, 4, 5]);
    const last = [follower.next(), follower.next(), follower.return(), follower.next()];
    expect((await Promise.all(last)).map(({ done }) => done)).toEqual([true, true, true, true]);
    await wal.shutdown();
  });
});

test('damage in the newest segment of an idle log is reported at once', async () => {
  const { io, wal } = await opened();
  await fill(wal, 10);
  const path = wal.listSegments().at(-1)?.path as string;
  const file = io.open(path);
  const bytes = new Uint8Array(io.size(file));
  await runAsync(io, ioSteps.read(io, file, bytes, 0));
  const at = Buffer.from(bytes).indexOf('a10');
  await runAsync(io, ioSteps.write(io, file, Buffer.from('A'), at));
  io.close(file);
  for (const options of [{}, { durableOnly: false }]) {
    const follower = wal.follow('first', options);
    expect(await take(follower, 9)).toEqual(Array.from({ length: 9 }, (_, index) => `a${index + 1}`));
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_CORRUPT', lsn: 10, path, reason: 'hole' });
  }
  await wal.shutdown();
});

describe('events before one that cannot be returned come first', () => {
  const encoding = {
    encode: (value: string): Uint8Array => Buffer.from(value),
    decode: (bytes: Uint8Array): string => {
      const value = Buffer.from(bytes).toString();
      if (value === 'a6') throw new Error('not this one');
      return value;
    },
  };

  test('one by one', async () => {
    const { wal } = await opened({ encoding });
    await fill(wal, 10);
    const follower = wal.follow('first') as unknown as WalFollower<{ payload: string }>;
    for (let lsn = 1; lsn <= 5; lsn++) expect((await follower.next()).value?.payload).toBe(`a${lsn}`);
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 6 });
    // It remains the next one.
    expect(follower.resumePoint?.lsn).toBe(6);
    expect(await follower.next()).toEqual({ done: true, value: undefined });
    await wal.shutdown();
  });

  test('in arrays', async () => {
    const { wal } = await opened({ encoding });
    await fill(wal, 10);
    const follower = wal.follow('first', { batch: 100 }) as unknown as WalFollower<{ payload: string }[]>;
    expect((await follower.next()).value?.map(({ payload }) => payload)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
    expect(follower.resumePoint?.lsn).toBe(6);
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 6 });
    await wal.shutdown();
  });

  test('and the error is not thrown when the event was cut off since', async () => {
    const { wal } = await opened({ encoding });
    await fill(wal, 10);
    const follower = wal.follow('first', { batch: 100 }) as unknown as WalFollower<{ payload: string }[]>;
    expect((await follower.next()).value).toHaveLength(5);
    await wal.truncateAfter(5);
    await fill(wal, 7, 'b');
    expect((await follower.next()).value?.map(({ payload }) => payload)).toEqual(['b6', 'b7']);
    await follower.return();
    await wal.shutdown();
  });

  test('also when the log cannot decode it', async () => {
    const { wal, others } = await opened({ compression: { codec: 'deflate', thresholdBytes: 100 } });
    await fill(wal, 5);
    await wal.commit('x'.repeat(5000));
    const follower = Wal.follow(DIRECTORY, 'first', { ...others, maxPayloadBytes: 1000 });
    expect(await take(follower, 5)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_TOO_LARGE' });
    expect(follower.resumePoint?.lsn).toBe(6);
    await wal.shutdown();
  });
});

test('an array that ends before an event that cannot be decoded: the next request looks for another one in its place', async () => {
  const { wal, others } = await opened({ compression: { codec: 'deflate' } });
  for (const payload of ['a1', 'a2', 'x'.repeat(50_000)]) wal.append(payload);
  await wal.sync();
  const follower = Wal.follow(DIRECTORY, 1, { ...others, batch: 10, maxPayloadBytes: 1000 });
  const texts = async (): Promise<string[]> =>
    ((await follower.next()).value ?? []).map(({ payload }) => text(payload));
  expect(await texts()).toEqual(['a1', 'a2']);
  await wal.truncateAfter(2);
  await fill(wal, 3, 'b');
  expect(await texts()).toEqual(['b3']);
  // One that stays is reported.
  await wal.commit('y'.repeat(50_000));
  expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_TOO_LARGE' });
  await wal.close();
});

import { KeyRing } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { keyOf, ringOf } from '../../../harness/test-kit/keys.js';
import { DIRECTORY, openIn } from './support/logs.js';

const closed = expect.objectContaining({ code: 'WAL_CLOSED' });
const STILL_WAITS = 'it still waits';

/** Why a promise is rejected that waits for nothing outside of this thread. */
async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  let failure: unknown = STILL_WAITS;
  promise.then(
    () => {
      failure = 'it did not fail';
    },
    (error: unknown) => {
      failure = error;
    },
  );
  await turns();
  return failure;
}

/** A log with a segment under key 1, and one behind it under key 2; with `isPlain` the first one is in the clear. */
function made(isPlain = false): StorageIo {
  const io = createMemoryStorageIo();
  const ring = ringOf(1, 2);
  let wal = openIn(io, isPlain ? {} : { keyRing: ring });
  wal.append('first');
  wal.closeSync();
  ring.use(2);
  wal = openIn(io, { keyRing: ring, allowPlaintext: true });
  wal.append('second');
  wal.closeSync();
  return io;
}

/** A ring whose callback has all keys but one, which it is asked for and never gives. */
function withoutAnswer(missing: number): { readonly ring: KeyRing; readonly asked: Promise<void> } {
  let tell = (): void => {};
  const asked = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const ring = KeyRing.fromCallback(2, (id) => {
    if (id !== missing) return keyOf(id);
    tell();
    return new Promise(() => {});
  });
  return { ring, asked };
}

test('a tail that is closed while it waits for a key waits no more', async () => {
  for (const isPlain of [false, true]) {
    const { ring, asked } = withoutAnswer(isPlain ? 2 : 1);
    const tail = new LogTail(made(isPlain), DIRECTORY, { keyRing: ring });
    const looking = tail.advance();
    await asked;
    tail.close();
    expect(await failureOf(looking)).toEqual(closed);
  }
});

test('a replay of a directory that is aborted while it waits for a key ends, with the reason as its cause', async () => {
  for (const isPlain of [false, true]) {
    const { ring, asked } = withoutAnswer(isPlain ? 2 : 1);
    const giving = new AbortController();
    const options = { keyRing: ring, io: made(isPlain), signal: giving.signal };
    const replay = replayDirectory(DIRECTORY, options).forEach(() => {});
    await asked;
    const cause = new Error('no time left');
    giving.abort(cause);
    expect(await failureOf(replay)).toMatchObject({ code: 'WAL_ABORTED', cause });
  }
});

test('what waits for a key when the log is closed, or cut, waits no more', async () => {
  for (const [end, reason] of [
    [(wal: SegmentedWal) => wal.close(), closed],
    [(wal: SegmentedWal) => wal.resetTo(9), expect.objectContaining({ code: 'WAL_TRUNCATED' })],
  ] as const) {
    const { ring, asked } = withoutAnswer(1);
    const wal = await SegmentedWal.open({ directory: DIRECTORY, io: made(), keyRing: ring });
    const replay = wal.replay().forEach(() => {});
    const reading = wal.read(1);
    await asked;
    const ended = end(wal);
    expect(await Promise.all([failureOf(replay), failureOf(reading)])).toEqual([reason, reason]);
    await ended;
    await wal.close();
  }
});

test('a key that comes after the waiting for it has ended is there for the next one', async () => {
  let answer = (_key: Uint8Array): void => {};
  let isAsked = (): void => {};
  const asked = new Promise<void>((resolve) => {
    isAsked = resolve;
  });
  const ring = KeyRing.fromCallback(2, (id) => {
    if (id === 2) return keyOf(2);
    return new Promise<Uint8Array>((resolve) => {
      answer = resolve;
      isAsked();
    });
  });
  const io = made();
  const given = new LogTail(io, DIRECTORY, { keyRing: ring });
  const looking = given.advance();
  await asked;
  given.close();
  expect(await failureOf(looking)).toEqual(closed);
  answer(keyOf(1));
  const tail = new LogTail(io, DIRECTORY, { keyRing: ring });
  expect(await tail.advance()).toBe(true);
  expect(Buffer.from(tail.next()?.payload ?? []).toString()).toBe('first');
  tail.close();
});

import { setImmediate } from 'node:timers/promises';
import type { Wal, WalError, WalEvent } from '@walstack/wal';

/** A promise whose state can be read without waiting for it. */
export interface Watched<T> {
  state: 'pending' | 'fulfilled' | 'rejected';
  value?: T;
  error?: unknown;
}

/** Follows a promise; its rejection counts as handled. */
export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending' };
  promise.then(
    (value) => Object.assign(watched, { state: 'fulfilled', value }),
    (error: unknown) => Object.assign(watched, { state: 'rejected', error }),
  );
  return watched;
}

/** Lets the event loop turn, so that everything that does not need the disk has run. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<WalError> {
  try {
    await promise;
  } catch (error) {
    return error as WalError;
  }
  throw new Error('it was not rejected');
}

/** What a call throws. */
export function thrown(call: () => unknown): WalError {
  try {
    call();
  } catch (error) {
    return error as WalError;
  }
  throw new Error('nothing was thrown');
}

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** All events of a log from an LSN on. */
export async function eventsOf(wal: Wal, from: number | 'first' = 'first'): Promise<WalEvent[]> {
  const events: WalEvent[] = [];
  await wal.replay(from, (event) => events.push(event));
  return events;
}

/** The payloads of a log, as text. */
export const textsOf = async (wal: Wal, from: number | 'first' = 'first'): Promise<string[]> =>
  (await eventsOf(wal, from)).map(({ payload }) => text(payload));

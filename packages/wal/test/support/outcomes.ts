import type { Wal, WalEvent } from '@walstack/wal';
import { text } from '../../../../harness/test-kit/text.js';

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

/** All events of a log from an LSN on. */
export async function eventsOf(wal: Wal, from: number | 'first' = 'first'): Promise<WalEvent[]> {
  const events: WalEvent[] = [];
  await wal.replay(from, (event) => events.push(event));
  return events;
}

/** The payloads of a log, as text. */
export const textsOf = async (wal: Wal, from: number | 'first' = 'first'): Promise<string[]> =>
  (await eventsOf(wal, from)).map(({ payload }) => text(payload));

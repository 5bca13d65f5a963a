import { setTimeout as delay } from 'node:timers/promises';
import { WalError } from '@walstack/codec';
import type { StreamSettings } from '../options.js';
import { streamError } from './stream-errors.js';

/** The time between two requests, in milliseconds. */
const PAUSE_MS = 50;

/**
 * Asks the servers, again while they have no leader: those that have just been started, or that elect one, say so at once.
 *
 * @param operation - what is asked, for errors
 * @param ask - sends the request
 * @throws `WAL_TIMEOUT` with the reason `no-leader` when there is none in time, and any other error of `ask` as a `WalError`
 */
export async function askLeader<T>(
  { stream, timeoutMs, signal }: Pick<StreamSettings, 'stream' | 'timeoutMs' | 'signal'>,
  operation: string,
  ask: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const known = streamError(error, stream, operation);
      const isElecting = WalError.is(known, 'WAL_TIMEOUT') && known.reason === 'no-leader';
      if (!isElecting || signal?.aborted === true || performance.now() >= until) throw known;
      await delay(PAUSE_MS);
    }
  }
}

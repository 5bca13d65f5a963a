import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';

/** Waits for some milliseconds, by blocking or on the event loop. */
export type Pause = (delayMs: number) => IoRoutine<void>;

/** The first and the longest delay between two attempts to lock, in milliseconds. */
const FIRST_DELAY_MS = 5;
const DELAY_MS_MAX = 250;

/**
 * Locks a path, and retries up to a timeout while another writer holds the lock.
 *
 * @throws `WAL_LOCKED` with its holder after the timeout
 */
export function* lockWithin(
  environment: Environment,
  path: string,
  { lockTimeoutMs, fileMode }: Pick<Settings, 'lockTimeoutMs' | 'fileMode'>,
  pause: Pause,
): IoRoutine<() => void> {
  let delayMs = FIRST_DELAY_MS;
  for (let leftMs = lockTimeoutMs; ; leftMs -= delayMs, delayMs = Math.min(2 * delayMs, DELAY_MS_MAX)) {
    try {
      return environment.io.lock(path, fileMode);
    } catch (error) {
      if (!WalError.is(error, 'WAL_LOCKED') || leftMs <= 0) throw error;
    }
    delayMs = Math.min(delayMs, leftMs);
    yield* pause(delayMs);
  }
}

/** A pause on the event loop, by a timer of the environment. */
export function pauseOf({ setTimer }: Environment): Pause {
  return function* (delayMs) {
    // A timer of the environment does not keep the process alive, but a process that waits for a lock must not exit.
    const alive = setInterval(() => {}, 0x7fff_ffff);
    try {
      yield (resume) => void setTimer(resume, delayMs);
    } finally {
      clearInterval(alive);
    }
  };
}

/** Blocks the thread. */
// biome-ignore lint/correctness/useYield: it blocks and never yields
export function* blockingPause(delayMs: number): IoRoutine<void> {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}

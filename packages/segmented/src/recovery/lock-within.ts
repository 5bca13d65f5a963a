import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { Environment } from '../environment.js';

/** Waits for some milliseconds, in whichever way the caller waits. */
export type Pause = (delayMs: number) => IoRoutine<void>;

/** How long is waited before a lock is tried again, in milliseconds: at first, and at most. */
const FIRST_DELAY_MS = 5;
const LONGEST_DELAY_MS = 250;

/**
 * Locks a path, and tries again for a while when another writer holds it.
 *
 * @throws `WAL_LOCKED` with its holder when the time is over
 */
export function* lockWithin(world: Environment, path: string, timeoutMs: number, pause: Pause): IoRoutine<() => void> {
  let delayMs = FIRST_DELAY_MS;
  for (let leftMs = timeoutMs; ; leftMs -= delayMs, delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
    try {
      return world.io.lock(path);
    } catch (error) {
      if (!WalError.is(error, 'WAL_LOCKED') || leftMs <= 0) throw error;
    }
    delayMs = Math.min(delayMs, leftMs);
    yield* pause(delayMs);
  }
}

/** Waits on the event loop, by a timer of the world. */
export function pauseOf({ setTimer }: Environment): Pause {
  return function* (delayMs) {
    // A timer of the world does not keep the process alive, and nothing else may: whoever waits for a lock is not done.
    const alive = setInterval(() => {}, 0x7fff_ffff);
    try {
      yield (resume) => void setTimer(resume, delayMs);
    } finally {
      clearInterval(alive);
    }
  };
}

/** Blocks the thread. */
// biome-ignore lint/correctness/useYield: it has ended when it has waited
export function* blockingPause(delayMs: number): IoRoutine<void> {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}

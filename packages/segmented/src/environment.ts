import { randomBytes as cryptoRandomBytes } from 'node:crypto';
import type { StorageIo } from '@walstack/storage-io';

/**
 * Everything that comes from outside: the disk, the clock, timers and randomness. Ids and times come from here and
 * nowhere else, so that a simulation with one seed replays a failure.
 */
export interface Environment {
  readonly io: StorageIo;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Calls back once after `delayMs`; returns what cancels it. Must not keep the process alive. */
  readonly setTimer: (callback: () => void, delayMs: number) => () => void;
  /** `bytes` random bytes, fit for ids that must not collide. */
  readonly randomBytes: (bytes: number) => Uint8Array;
}

/** The real clock, timers and randomness. */
export const systemEnvironment: Omit<Environment, 'io'> = {
  now: Date.now,
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  randomBytes: (bytes) => new Uint8Array(cryptoRandomBytes(bytes)),
};

/** The time for a segment's header: whole milliseconds, whatever the clock gives. */
export function createdAt(world: Environment): number {
  const now = Math.floor(world.now());
  return now >= 0 && Number.isSafeInteger(now) ? now : 0;
}

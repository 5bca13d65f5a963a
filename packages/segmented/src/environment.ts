import { randomBytes as cryptoRandomBytes } from 'node:crypto';
import { checkedLength, checkInteger } from '@walstack/codec/internal';
import type { StorageIo } from '@walstack/storage-io';

/**
 * The external dependencies of a log: the disk, the clock, timers and randomness. Ids and times come only from here, so
 * that a simulation with the same seed replays a failure.
 */
export interface Environment {
  readonly io: StorageIo;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Calls back once after `delayMs`; returns a function that cancels it. Must not keep the process alive. */
  readonly setTimer: (callback: () => void, delayMs: number) => () => void;
  /** Returns `bytes` random bytes, good enough for ids that must not collide; may fill the same memory at each call. */
  readonly randomBytes: (bytes: number) => Uint8Array;
}

/** The clock, timers and randomness of the system. */
export const systemEnvironment: Omit<Environment, 'io'> = {
  now: Date.now,
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  randomBytes: (bytes) => new Uint8Array(cryptoRandomBytes(bytes)),
};

/** Bytes of an id. */
const ID_BYTES = 16;

/**
 * A new id. A copy: the source of random bytes may fill the same memory again for the next one.
 *
 * @throws `TypeError`, `RangeError` with Node's codes when the source returns anything else than so many bytes
 */
export function newId(environment: Environment): Uint8Array {
  const bytes = environment.randomBytes(ID_BYTES);
  checkInteger('randomBytes().length', checkedLength('randomBytes()', bytes), ID_BYTES, ID_BYTES);
  return new Uint8Array(bytes);
}

/** The creation time for a segment's header: whole milliseconds, 0 for a time that a header cannot hold. */
export function createdAt(environment: Environment): number {
  const now = Math.floor(environment.now());
  return now >= 0 && Number.isSafeInteger(now) ? now : 0;
}

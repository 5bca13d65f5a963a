import type { Checkpoint, Lsn } from '@walstack/codec';
import { checkLsn, invalidType } from '@walstack/codec/internal';
import { truncated } from './chain-errors.js';

/**
 * Where a reading begins: an LSN, `'first'` for the first record in the log, or `'checkpoint'` for the first one behind the
 * checkpoint of the application.
 *
 * Where the records right behind the checkpoint were removed by the application itself (`truncateBefore`, `resetTo`),
 * `'checkpoint'` is the first record in the log. Where retention has removed them, which it does only with
 * `retainUntilCheckpoint: false`, they are missing: `WAL_TRUNCATED`.
 */
export type ReadFrom = Lsn | 'first' | 'checkpoint';

/** Returns `value` when a reading can begin there. @throws `TypeError`, `RangeError` with Node's codes */
export function checkFrom(name: string, value: unknown): ReadFrom {
  if (value === 'first' || value === 'checkpoint') return value;
  if (typeof value !== 'number') throw invalidType(name, "an LSN, 'first' or 'checkpoint'", value);
  return checkLsn(name, value);
}

/**
 * The first LSN behind the checkpoint.
 *
 * @param firstNumber - the number of the first segment of the log; 0 when there is none yet
 * @param firstLsn - the first LSN of the log
 * @throws `WAL_TRUNCATED` when retention has removed it
 */
export function firstBehindCheckpoint(checkpoint: Checkpoint, firstNumber: number, firstLsn: Lsn): Lsn {
  const wanted = checkpoint.checkpointLsn + 1;
  if (firstLsn > wanted && hasExpired(checkpoint, firstNumber, wanted)) throw truncated(wanted, firstLsn);
  return Math.max(wanted, firstLsn);
}

/**
 * Whether retention has removed a record before the first segment. After a reset, which has dropped everything, that is
 * another segment than the one before which it has.
 */
export function hasExpired(checkpoint: Checkpoint | undefined, firstNumber: number, lsn: Lsn): boolean {
  if (checkpoint === undefined) return false;
  const { firstSegment, expiredLsn = 0 } = checkpoint;
  return firstNumber === firstSegment && lsn <= expiredLsn;
}

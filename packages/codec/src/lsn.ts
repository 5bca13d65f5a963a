import { checkInteger } from './arguments/checks.js';

/**
 * Log sequence number: the number of a record in its log, without gaps, from 1 on unless the log was created with
 * another first LSN. A safe integer.
 */
export type Lsn = number;

/** Returns `value` when it is an LSN. @throws `TypeError`, `RangeError` with Node's codes */
export function checkLsn(name: string, value: unknown): Lsn {
  return checkInteger(name, value, 1);
}

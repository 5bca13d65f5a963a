import { checkInteger } from './arguments.js';

/**
 * Number of a record in its log: counted without gaps, 1 upwards unless the log was told otherwise. A safe integer.
 */
export type Lsn = number;

/** Returns `value` when it is an LSN. @throws `TypeError`, `RangeError` with Node's codes */
export function checkLsn(name: string, value: unknown): Lsn {
  return checkInteger(name, value, 1);
}

import { checkBytes, checkInteger } from './arguments.js';
import { findDurabilityProof as findPass } from './kernels.js';
import type { Lsn } from './lsn.js';

/** Behind the largest safe integer can stand a hole, too, in a file that was forged. */
const BEYOND_EVERY_LSN = 2 ** 54;

/**
 * Behind a hole the next frame can start anywhere. This finds the next place in a range where the fields of a frame
 * would, if its checksum is right, prove that an LSN ≥ `lsn` had been durable. The checksum is the caller's to verify:
 * the frame may reach beyond the range.
 *
 * @param bytes - the memory that holds the range
 * @param start - first place to look at
 * @param end - behind the last byte; a place is looked at when 32 bytes from there are in the range
 * @param bytesLeft - bytes of the file from `bytes[start]` on: the longest frame that fits
 * @param lsn - the first LSN that cannot be read
 * @param lastLsn - the highest LSN that can stand behind the hole
 * @returns the offset in `bytes`, or −1 when there is none
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function findDurabilityProof(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesLeft: number,
  lsn: Lsn,
  lastLsn: Lsn,
): number {
  checkBytes('bytes', bytes);
  checkInteger('end', end, 0, bytes.length);
  checkInteger('start', start, 0, end);
  checkInteger('bytesLeft', bytesLeft);
  checkInteger('lsn', lsn, 0, BEYOND_EVERY_LSN);
  checkInteger('lastLsn', lastLsn, 0, BEYOND_EVERY_LSN);
  return findPass(bytes, start, end, bytesLeft, lsn, lastLsn);
}

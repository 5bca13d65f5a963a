import { checkBytes, checkInteger } from './arguments/checks.js';
import { findDurabilityProof as findKernel } from './kernels.js';
import type { Lsn } from './lsn.js';

/** The limit of the LSN arguments: in a forged file, records may be missing behind the largest safe integer too. */
const BEYOND_EVERY_LSN = 2 ** 54;

/**
 * Behind bytes that cannot be read, the next frame can start at any offset. Finds the next offset in a range where the
 * fields of a frame would, if its checksum is right, prove that an LSN ≥ `lsn` had been durable (a durability proof).
 * The caller has to verify the checksum: the frame may extend beyond the range.
 *
 * @param bytes - the memory that holds the range
 * @param start - first offset to examine
 * @param end - behind the last byte; an offset is examined when 32 bytes from there on are in the range
 * @param bytesLeft - bytes of the file from `bytes[start]` on: the longest frame that fits
 * @param lsn - the first LSN that cannot be read
 * @param lastLsn - the highest LSN that can stand behind the unreadable bytes
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
  return findKernel(bytes, start, end, bytesLeft, lsn, lastLsn);
}

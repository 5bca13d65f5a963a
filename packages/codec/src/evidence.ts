import { checkBytes, checkInteger } from './arguments.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import { getUint64 } from './integers.js';
import type { Lsn } from './lsn.js';
import { fieldsFit, LAG_UNKNOWN, MARK_FRAME_BYTES, RECORD_HEADER_BYTES } from './record.js';

/** Behind the largest safe integer can stand a hole, too, in a file that somebody made up. */
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
export function findEvidence(
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stop = end - MARK_FRAME_BYTES;
  for (let at = start; at <= stop; at++) {
    const length = view.getUint32(at, true);
    if (length < RECORD_HEADER_BYTES || length > bytesLeft - (at - start) - FRAME_HEADER_BYTES) continue;
    const candidate = getUint64(view, at + 8);
    if (candidate < lsn || candidate > lastLsn) continue;
    const lag = view.getUint32(at + 20, true);
    if (lag === LAG_UNKNOWN || candidate - lag < lsn) continue;
    const flags = view.getUint8(at + 26);
    const codec = view.getUint8(at + 27);
    if (flags > 31 || codec > 2) continue;
    if (fieldsFit(length, lag, view.getUint16(at + 24, true), flags, codec)) return at;
  }
  return -1;
}

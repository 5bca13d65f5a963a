import { FRAME_HEADER_BYTES } from '../frames-in-blocks.js';
import { getUint64, viewOf } from '../integers.js';
import type { Lsn } from '../lsn.js';
import { fieldsFit, LAG_UNKNOWN, MARK_FRAME_BYTES, RECORD_HEADER_BYTES } from '../record-layout.js';

/** `findDurabilityProof` without checks of its arguments. */
export function findDurabilityProof(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesLeft: number,
  lsn: Lsn,
  lastLsn: Lsn,
): number {
  const view = viewOf(bytes);
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

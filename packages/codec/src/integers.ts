/** Little-endian 64-bit integers as `number`s: no LSN, position or time of a log is beyond 2^53 − 1. */

const WORD = 0x1_0000_0000;

/** Writes a safe integer ≥ 0 as 8 bytes. */
export function setUint64(view: DataView, offset: number, value: number): void {
  const low = value >>> 0;
  view.setUint32(offset, low, true);
  // The division costs more than the rest of the function: skipped for small values.
  view.setUint32(offset + 4, value === low ? 0 : (value - low) / WORD, true);
}

/**
 * Reads 8 bytes; `Infinity` for a value beyond the safe integers, so that every comparison with an upper bound rejects
 * it.
 */
export function getUint64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  if (high > 0x1f_ffff) return Number.POSITIVE_INFINITY;
  return high * WORD + view.getUint32(offset, true);
}

/** Reads an unsigned 32-bit integer from bytes that have no `DataView`. */
export const uint32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/** A `DataView` of the same bytes. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Little-endian integers as `number`s: what is beyond 2^53 − 1 is no LSN, position or time of ours. */

const WORD = 0x1_0000_0000;

/** Writes a safe integer ≥ 0 as 8 bytes. */
export function setUint64(view: DataView, offset: number, value: number): void {
  const low = value >>> 0;
  view.setUint32(offset, low, true);
  // A division takes longer than all the rest.
  view.setUint32(offset + 4, value === low ? 0 : (value - low) / WORD, true);
}

/** Reads 8 bytes; `Infinity` when it is no safe integer, so that every comparison against a bound refuses it. */
export function getUint64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  if (high > 0x1f_ffff) return Number.POSITIVE_INFINITY;
  return high * WORD + view.getUint32(offset, true);
}

/** Reads an unsigned 32-bit integer from bytes of which there is no view. */
export const uint32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/** The bytes as numbers of several bytes. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

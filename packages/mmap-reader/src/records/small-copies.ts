import { noBytes } from '../frames/no-bytes.js';
import { untransferable } from '../windows/untransferable.js';

/** The size of the memory that small copies share, the same as for small buffers of Node.js. */
export const SHARED_BYTES = 8192;

/** Longer copies have memory of their own. */
export const SMALL_BYTES_MAX = SHARED_BYTES / 4;

/** The shared memory. Allocating an array with a buffer of its own takes several times as long as a small copy. */
let shared = new Uint8Array(0);
let buffer = shared.buffer;
let used = 0;

/** A copy of `bytes`, which may share its buffer with others. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length === 0) return noBytes();
  if (length > SMALL_BYTES_MAX) return bytes.slice();
  if (used + length > shared.length) renew();
  shared.set(bytes, used);
  const copy = new Uint8Array(buffer, used, length);
  // The next copy is aligned for 8-byte numbers.
  used += (length + 7) & ~7;
  return copy;
}

function renew(): void {
  shared = untransferable(SHARED_BYTES);
  buffer = shared.buffer;
  used = 0;
}

import { markAsUntransferable } from 'node:worker_threads';

/** Bytes of memory that small copies share: as many as those of Node's own small buffers. */
const SHARED_BYTES = 8192;

/** Longer ones have memory of their own. */
const MOST_BYTES = SHARED_BYTES / 4;

const NO_BYTES = new Uint8Array(0);

/** Where the next small copy goes. An array with a buffer of its own takes several times as long as the copying. */
let shared = NO_BYTES;
let buffer = shared.buffer;
let used = 0;

/** A copy of `bytes`, which may share its buffer with others. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length === 0) return NO_BYTES;
  if (length > MOST_BYTES) return bytes.slice();
  if (used + length > shared.length) renew();
  shared.set(bytes, used);
  const copy = new Uint8Array(buffer, used, length);
  // The next one begins where a number of 8 bytes may stand.
  used += (length + 7) & ~7;
  return copy;
}

function renew(): void {
  shared = new Uint8Array(SHARED_BYTES);
  buffer = shared.buffer;
  used = 0;
  // Moving one copy to another thread must not take away the others.
  markAsUntransferable(buffer);
}

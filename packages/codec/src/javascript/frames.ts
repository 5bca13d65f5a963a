import { outOfRange } from '../arguments/checks.js';
import { FRAME_HEADER_BYTES } from '../frames-in-blocks.js';
import { viewOf } from '../integers.js';
import { continueCrc32c } from './crc32c.js';

/** `sealFrames` without checks of its arguments. */
export function sealFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
): number {
  const view = viewOf(bytes);
  const mask = blockBytes - 1;
  const skew = (position - start) % blockBytes;
  let count = 0;
  let at = start;
  while (at + FRAME_HEADER_BYTES <= end) {
    const left = blockBytes - ((at + skew) & mask);
    const length = left < FRAME_HEADER_BYTES ? 0 : view.getUint32(at, true);
    if (length === 0) {
      at += left;
      continue;
    }
    const next = at + FRAME_HEADER_BYTES + length;
    if (next > end) throw outOfRange('end', `at least ${next}, where the last frame ends`, end);
    view.setInt32(at + 4, continueCrc32c(view, at + FRAME_HEADER_BYTES, next, seed), true);
    count++;
    at = next;
  }
  return count;
}

/** `scanFrames` without checks of its arguments. */
export function scanFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
  offsets: Uint32Array,
): number {
  const view = viewOf(bytes);
  const most = offsets.length - 1;
  const mask = blockBytes - 1;
  const skew = (position - start) % blockBytes;
  let count = 0;
  let at = start;
  while (count < most && at < end) {
    const left = blockBytes - ((at + skew) & mask);
    if (left >= FRAME_HEADER_BYTES && at + FRAME_HEADER_BYTES > end) break;
    const length = left < FRAME_HEADER_BYTES ? 0 : view.getUint32(at, true);
    if (length === 0) {
      at += left;
      continue;
    }
    const next = at + FRAME_HEADER_BYTES + length;
    if (next > end) break;
    if (continueCrc32c(view, at + FRAME_HEADER_BYTES, next, seed) !== view.getInt32(at + 4, true)) break;
    offsets[count++] = at;
    at = next;
  }
  offsets[count] = Math.min(at, end);
  return count;
}

import { checkBytes, checkInteger, invalidType } from './arguments/checks.js';
import { checkBlockBytes, FRAME_HEADER_BYTES } from './frames-in-blocks.js';
import { uint32At, viewOf } from './integers.js';
import { continueCrc32c, scanFrames as scanKernel, sealFrames as sealKernel } from './kernels.js';

/** Checksum seed of frames in a file without a segment id: the CRC32C of 16 zero bytes. */
export const UNSALTED_SEED = continueCrc32c(new Uint8Array(16), 0, 16, 0);

function checkSeed(seed: unknown): void {
  checkInteger('seed', seed, 0, 0xffff_ffff);
}

function checkRange(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
): void {
  checkBytes('bytes', bytes);
  checkInteger('end', end, 0, bytes.length);
  checkInteger('start', start, 0, end);
  checkInteger('position', position);
  checkBlockBytes('blockBytes', blockBytes);
  checkSeed(seed);
}

/**
 * Fills in the checksums of all frames in a range that was encoded with open checksum words, in one pass.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte of the range: a frame, or zero padding up to the next block
 * @param end - behind the last byte of the range; no frame may extend beyond it
 * @param position - offset in the file of `bytes[start]`; decides where blocks end
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - CRC32C of the segment id, or {@link UNSALTED_SEED}
 * @returns how many frames were sealed
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`, or a frame that extends beyond `end`: then
 * the frames before it are sealed and nothing else is changed
 */
export function sealFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
): number {
  checkRange(bytes, start, end, position, blockBytes, seed);
  return sealKernel(bytes, start, end, position, blockBytes, seed);
}

/**
 * Finds the frames of a range and verifies the length and checksum of each. Padding (a zero length word, or the last 7
 * bytes of a block) is skipped to the next block.
 *
 * The scan stops at the end of the range, when `offsets` is full, or where there is no valid frame. The offset of the
 * stop is stored behind the last frame's offset, so that the next call can continue there. Fewer than 8 bytes before the
 * end of the range are left for the next call, unless they are padding. The content of padding is not checked: a range
 * that is continued by another call should end with a block, else the second part of a split padding is read as a frame.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte: the start of a frame, or padding
 * @param end - behind the last byte; at most 2^32 − 1, so that `offsets` can hold it
 * @param position - offset in the file of `bytes[start]`
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - CRC32C of the segment id, or {@link UNSALTED_SEED}
 * @param offsets - receives the offset in `bytes` of each frame, then that of the stop; has room for at least 2
 * @returns the number of frames; `offsets[count]` is where the scan stopped, at most `end`
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`
 */
export function scanFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
  offsets: Uint32Array,
): number {
  checkRange(bytes, start, end, position, blockBytes, seed);
  checkInteger('end', end, 0, 0xffff_ffff);
  if (!(offsets instanceof Uint32Array)) throw invalidType('offsets', 'a Uint32Array', offsets);
  checkInteger('offsets.length', offsets.length, 2);
  return scanKernel(bytes, start, end, position, blockBytes, seed, offsets);
}

/**
 * Writes one sealed frame.
 *
 * @param target - receives the frame at `offset`: 8 bytes more than `data`
 * @param seed - default {@link UNSALTED_SEED}
 * @returns the offset behind the frame
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for empty data, which would be read as padding, or too little room
 */
export function encodeFrame(
  target: Uint8Array,
  offset: number,
  data: Uint8Array,
  seed: number = UNSALTED_SEED,
): number {
  checkBytes('target', target);
  checkBytes('data', data);
  checkSeed(seed);
  checkInteger('data.length', data.length, 1, 0xffff_ffff);
  checkInteger('offset', offset, 0, target.length - FRAME_HEADER_BYTES - data.length);
  const view = viewOf(target);
  view.setUint32(offset, data.length, true);
  view.setUint32(offset + 4, continueCrc32c(data, 0, data.length, seed), true);
  target.set(data, offset + FRAME_HEADER_BYTES);
  return offset + FRAME_HEADER_BYTES + data.length;
}

/**
 * The data of the frame at `offset` as a view, or `undefined` when there is no valid one.
 *
 * @param seed - default {@link UNSALTED_SEED}
 */
export function decodeFrame(bytes: Uint8Array, offset = 0, seed: number = UNSALTED_SEED): Uint8Array | undefined {
  checkBytes('bytes', bytes);
  checkSeed(seed);
  checkInteger('offset', offset, 0, bytes.length);
  if (offset + FRAME_HEADER_BYTES > bytes.length) return undefined;
  const length = uint32At(bytes, offset);
  const start = offset + FRAME_HEADER_BYTES;
  if (length === 0 || start + length > bytes.length) return undefined;
  if (continueCrc32c(bytes, start, start + length, seed) !== uint32At(bytes, offset + 4)) return undefined;
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
}

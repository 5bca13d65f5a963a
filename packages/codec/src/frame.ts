import { checkBytes, checkInteger, invalidType, outOfRange } from './arguments.js';
import { continueCrc32c } from './crc32c.js';

/** Bytes of a frame before its data: length and checksum, four each. */
export const FRAME_HEADER_BYTES = 8;

/** Default size of a block, in bytes. */
export const DEFAULT_BLOCK_BYTES = 4096;

/** The smallest and the largest block, in bytes. */
export const MINIMUM_BLOCK_BYTES = 512;
export const MAXIMUM_BLOCK_BYTES = 65_536;

/** What frames of a file without a segment id have before their data for the checksum: 16 zero bytes. */
export const UNSALTED_SEED = continueCrc32c(new Uint8Array(16), 0, 16, 0);

/** Returns `blockBytes` when it is a power of two from 512 to 65,536. @throws `RangeError` (`ERR_OUT_OF_RANGE`) */
export function checkBlockBytes(name: string, blockBytes: unknown): number {
  const value = checkInteger(name, blockBytes, MINIMUM_BLOCK_BYTES, MAXIMUM_BLOCK_BYTES);
  if ((value & (value - 1)) !== 0) throw outOfRange(name, 'a power of two from 512 to 65536', value);
  return value;
}

/**
 * Where the next frame starts at or behind `position`: no frame starts in the last 7 bytes of a block, so that a reader
 * at any block boundary can tell "no frame here" from the rest of a header.
 *
 * @param position - offset in the file, in bytes
 * @param blockBytes - a power of two
 */
export function frameStart(position: number, blockBytes: number): number {
  const left = blockBytes - (position % blockBytes);
  return left < FRAME_HEADER_BYTES ? position + left : position;
}

/** The first block boundary at or behind `position`. */
export function blockEnd(position: number, blockBytes: number): number {
  const used = position % blockBytes;
  return used === 0 ? position : position + blockBytes - used;
}

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

const lengthAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/**
 * Fills in the checksums of all frames in a range that was encoded with open checksum words: one pass over everything
 * that is about to be written.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte of the range: a frame, or the zeros behind which the next block begins
 * @param end - behind the last byte of the range; no frame reaches over it
 * @param position - offset in the file of `bytes[start]`; decides where blocks end
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - CRC32C of the segment id, or {@link UNSALTED_SEED}
 * @returns how many frames were sealed
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`, or a frame that reaches over `end`: then
 * the frames before it are sealed and nothing else was changed
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
  const mask = blockBytes - 1;
  const skew = (position - start) % blockBytes;
  let count = 0;
  let at = start;
  while (at + FRAME_HEADER_BYTES <= end) {
    const left = blockBytes - ((at + skew) & mask);
    const length = left < FRAME_HEADER_BYTES ? 0 : lengthAt(bytes, at);
    if (length === 0) {
      at += left;
      continue;
    }
    const next = at + FRAME_HEADER_BYTES + length;
    if (next > end) throw outOfRange('end', `at least ${next}, where the last frame ends`, end);
    const crc = continueCrc32c(bytes, at + FRAME_HEADER_BYTES, next, seed);
    bytes[at + 4] = crc;
    bytes[at + 5] = crc >>> 8;
    bytes[at + 6] = crc >>> 16;
    bytes[at + 7] = crc >>> 24;
    count++;
    at = next;
  }
  return count;
}

/**
 * Finds the frames of a range and verifies each one's length and checksum. Padding (a zero length word, or the last 7
 * bytes of a block) is skipped to the next block.
 *
 * It stops at the end of the range, where `offsets` is full, or where a frame should be and is not. Where it stopped is
 * put behind the last offset, so that it goes on from there. Fewer than 8 bytes before the end of the range are left for
 * the next call, unless they are padding. Padding is not looked at: a range that is followed by another should end with
 * a block, or what stands in padding that is cut in two is taken for a frame.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte: where a frame starts, or padding
 * @param end - behind the last byte
 * @param position - offset in the file of `bytes[start]`
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - CRC32C of the segment id, or {@link UNSALTED_SEED}
 * @param offsets - receives the offset in `bytes` of each frame, then that of the stop; has room for at least 2
 * @returns how many frames there are; `offsets[count]` is where the scan stopped, at most `end`
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
  if (!(offsets instanceof Uint32Array)) throw invalidType('offsets', 'a Uint32Array', offsets);
  const most = checkInteger('offsets.length', offsets.length, 2) - 1;
  const mask = blockBytes - 1;
  const skew = (position - start) % blockBytes;
  let count = 0;
  let at = start;
  while (count < most && at < end) {
    const left = blockBytes - ((at + skew) & mask);
    if (left >= FRAME_HEADER_BYTES && at + FRAME_HEADER_BYTES > end) break;
    const length = left < FRAME_HEADER_BYTES ? 0 : lengthAt(bytes, at);
    if (length === 0) {
      at += left;
      continue;
    }
    const next = at + FRAME_HEADER_BYTES + length;
    if (next > end) break;
    if (continueCrc32c(bytes, at + FRAME_HEADER_BYTES, next, seed) !== lengthAt(bytes, at + 4)) break;
    offsets[count++] = at;
    at = next;
  }
  offsets[count] = Math.min(at, end);
  return count;
}

/**
 * Writes one sealed frame.
 *
 * @param target - receives the frame at `offset`: 8 bytes more than `data`
 * @param seed - default {@link UNSALTED_SEED}
 * @returns the offset behind the frame
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for empty data, which would read as padding, or too little room
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
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
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
  const length = lengthAt(bytes, offset);
  const start = offset + FRAME_HEADER_BYTES;
  if (length === 0 || start + length > bytes.length) return undefined;
  if (continueCrc32c(bytes, start, start + length, seed) !== lengthAt(bytes, offset + 4)) return undefined;
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
}

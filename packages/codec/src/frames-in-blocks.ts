import { checkInteger, outOfRange } from './arguments/checks.js';

/** Bytes of a frame before its data: length and checksum, four each. */
export const FRAME_HEADER_BYTES = 8;

/** Default size of a block, in bytes. */
export const DEFAULT_BLOCK_BYTES = 4096;

/** The smallest block size, in bytes. */
export const BLOCK_BYTES_MIN = 512;

/** The largest block size, in bytes. */
export const BLOCK_BYTES_MAX = 65_536;

/** Returns `blockBytes` when it is a power of two from 512 to 65,536. @throws `RangeError` (`ERR_OUT_OF_RANGE`) */
export function checkBlockBytes(name: string, blockBytes: unknown): number {
  const value = checkInteger(name, blockBytes, BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
  if ((value & (value - 1)) !== 0) throw outOfRange(name, 'a power of two from 512 to 65536', value);
  return value;
}

/**
 * Where the next frame starts, at or behind `position`: no frame starts in the last 7 bytes of a block, so that a frame
 * header never crosses a block boundary, and a reader that starts at a block boundary never starts inside a header.
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

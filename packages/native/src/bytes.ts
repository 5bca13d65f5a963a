import { requireBinding } from './load.js';

/**
 * CRC32C (Castagnoli, as in iSCSI, RFC 3720), by the processor's instruction where it has one: that of `123456789` is
 * `0xe3069283`.
 *
 * @param bytes - the memory that contains the range
 * @param seed - the CRC of the preceding bytes, to continue it; an integer from 0 to 2^32 − 1, default 0
 * @param start - first byte, default 0
 * @param end - after the last byte, default the length
 * @returns an unsigned 32-bit integer
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`;
 * `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) where the binary is missing
 */
export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end?: number): number {
  // If `bytes` is no Uint8Array, the binary throws the right error.
  const stop = end === undefined && bytes instanceof Uint8Array ? bytes.length : end;
  return requireBinding().crc32c(bytes, seed, start, stop);
}

/**
 * Fills in the checksums of all frames in a range, in place: one pass over everything that is about to be written.
 * A frame is `[length u32][crc32c u32][data: length bytes]`, little-endian; none starts in the last 7 bytes of a block.
 * Where the length is zero, the next frame starts at the next block.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte of the range: a frame, or zeros up to the next block
 * @param end - after the last byte of the range; no frame extends beyond it
 * @param position - offset in the file of `bytes[start]`, from which block boundaries follow
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - the seed of each frame's checksum: the CRC32C of the segment's id
 * @returns how many frames were sealed
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`, or a
 * frame that extends beyond `end`: then the frames before it are sealed and nothing else was changed; `Error`
 * (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) where the binary is missing
 */
export function sealFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
): number {
  return requireBinding().sealFrames(bytes, start, end, position, blockBytes, seed);
}

/**
 * Finds the frames of a range and verifies each one's length and checksum. Padding (a zero length word, or the last 7
 * bytes of a block) is skipped to the next block. It stops at the end of the range, where `offsets` is full, or where a
 * frame should be and is not. Fewer than 8 bytes before the end of the range are left for the next call, unless they
 * are padding.
 *
 * The bytes may be anything. They may even change while they are read (a mapped file, shared memory): then the result
 * may be wrong, but nothing outside of the range is accessed.
 *
 * @param bytes - the memory that holds the range
 * @param start - first byte: where a frame starts, or padding
 * @param end - after the last byte, at most 2^32 − 1
 * @param position - offset in the file of `bytes[start]`
 * @param blockBytes - block size of the file, a power of two from 512 to 65,536
 * @param seed - the seed of each frame's checksum: the CRC32C of the segment's id
 * @param offsets - receives the offset in `bytes` of each frame, then where the scan stopped; has room for at least 2
 * @returns how many frames there are; `offsets[count]` is where the scan stopped, at most `end`
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`; `Error`
 * (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) where the binary is missing
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
  return requireBinding().scanFrames(bytes, start, end, position, blockBytes, seed, offsets);
}

/**
 * Finds the next offset in a range where the fields of a frame of a log would, if its checksum is valid, prove that an
 * LSN ≥ `lsn` had been durable. Every offset is examined. The caller has to verify the checksum: the frame may extend
 * beyond the range.
 *
 * @param bytes - the memory that holds the range
 * @param start - first offset to examine
 * @param end - after the last byte; an offset is examined when 32 bytes from there are in the range
 * @param bytesLeft - bytes of the file from `bytes[start]` on: the longest frame that fits
 * @param lsn - the first LSN that cannot be read
 * @param lastLsn - the highest LSN that a frame after the unreadable one can have
 * @returns the offset in `bytes`, or −1 when there is none
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`); `Error`
 * (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) where the binary is missing
 */
export function findDurabilityProof(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesLeft: number,
  lsn: number,
  lastLsn: number,
): number {
  return requireBinding().findDurabilityProof(bytes, start, end, bytesLeft, lsn, lastLsn);
}

import { checkBytes, checkInteger, invalidType, outOfRange } from './arguments/checks.js';
import { combine, notePrefixes } from './javascript/crc32c.js';
import { continueCrc32c } from './kernels.js';

/**
 * CRC32C (Castagnoli, as in iSCSI, RFC 3720): `123456789` gives `0xe3069283`. Uses the processor's instruction when the
 * native addon is loaded and the range is long enough to be worth the call.
 *
 * @param bytes - the memory that holds the range
 * @param seed - the CRC of the preceding bytes, to continue it; 0 to begin
 * @param start - first byte, default 0
 * @param end - behind the last byte, default the length
 * @returns an unsigned 32-bit integer
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for a range outside of `bytes`
 */
export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end?: number): number {
  checkBytes('bytes', bytes);
  checkInteger('seed', seed, 0, 0xffff_ffff);
  const stop = end === undefined ? bytes.length : checkInteger('end', end, 0, bytes.length);
  checkInteger('start', start, 0, stop);
  return continueCrc32c(bytes, start, stop, seed);
}

/**
 * The CRC32C of every prefix of a range, in one pass. From these, {@link crc32cCombine} computes the CRC of any subrange
 * without reading it again, so that many overlapping subranges cost one pass.
 *
 * @param bytes - the memory that holds the range
 * @param seed - the CRC of the preceding bytes; 0 to begin
 * @param start - first byte
 * @param end - behind the last byte
 * @param into - receives the CRC of the first 0, 1, 2 … bytes, each continuing `seed`: one entry more than the range has bytes
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function crc32cOfPrefixes(bytes: Uint8Array, seed: number, start: number, end: number, into: Uint32Array): void {
  checkBytes('bytes', bytes);
  checkInteger('seed', seed, 0, 0xffff_ffff);
  checkInteger('end', end, 0, bytes.length);
  checkInteger('start', start, 0, end);
  if (!(into instanceof Uint32Array)) throw invalidType('into', 'a Uint32Array', into);
  if (into.length <= end - start) throw outOfRange('into', `at least ${end - start + 1} long`, into.length);
  notePrefixes(bytes, start, end, seed, into);
}

/**
 * The CRC32C of two adjacent ranges, from their CRCs alone. Continuing a seed is the same operation: for a range of `n`
 * bytes whose CRC from 0 on is `own`, `crc32cCombine(seed, own, n)` is its CRC continuing `seed`.
 *
 * @param first - the CRC of the first range
 * @param second - the CRC of the second range, from 0 on
 * @param secondBytes - the length of the second range, in bytes
 * @returns an unsigned 32-bit integer
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function crc32cCombine(first: number, second: number, secondBytes: number): number {
  checkInteger('first', first, 0, 0xffff_ffff);
  checkInteger('second', second, 0, 0xffff_ffff);
  checkInteger('secondBytes', secondBytes);
  return combine(first, second, secondBytes) >>> 0;
}

import { checkBytes, checkInteger } from './arguments.js';
import { continueCrc32c } from './passes.js';

/**
 * CRC32C (Castagnoli, as in iSCSI, RFC 3720): `123456789` gives `0xe3069283`. By the processor's own instruction where
 * the native addon is loaded and the range is long enough to be worth the call.
 *
 * @param bytes - what to check
 * @param seed - the CRC of what stands before, to continue it; 0 to begin
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

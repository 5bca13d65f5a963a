import { checkInteger, outOfRange } from './arguments.js';
import { requireBinding } from './load.js';

const ALIGNMENT_MAX = 2 * 1024 * 1024;

/**
 * Allocates zeroed memory at an address that is a multiple of `alignment`, as direct I/O needs it. It is ordinary
 * JavaScript memory, a little larger than the view that is returned: it is managed by the garbage collector, and can be
 * transferred to a worker thread.
 *
 * @param bytes - its length, an integer from 0 upwards
 * @param alignment - a power of two, up to 2,097,152
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`), also without a code where there is no
 * memory left; `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary
 */
export function allocateAligned(bytes: number, alignment: number): Uint8Array<ArrayBuffer> {
  const { alignedOffset } = requireBinding();
  checkInteger('bytes', bytes, 0, Number.MAX_SAFE_INTEGER - ALIGNMENT_MAX);
  checkInteger('alignment', alignment, 1, ALIGNMENT_MAX);
  if ((alignment & (alignment - 1)) !== 0) throw outOfRange('alignment', 'a power of two', alignment);
  const buffer = new ArrayBuffer(bytes + alignment - 1);
  return new Uint8Array(buffer, alignedOffset(buffer, alignment), bytes);
}

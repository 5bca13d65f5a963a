import { FRAME_HEADER_BYTES, WalError } from '@walstack/codec';
import type { FrameScanner } from './frame-scanner.js';

/** The longest frame, header included, of a file whose torn tail is at most `maxUnsyncedBytes` long. */
export const longestFrame = (maxUnsyncedBytes: number, blockBytes: number): number => maxUnsyncedBytes - blockBytes;

/**
 * What stands behind the last readable frame may be the rest of a write that a crash has torn. It is not when there is
 * more of it than is ever written and not yet durable, or when it begins with a length that no frame has: then something
 * durable is damaged.
 *
 * @throws `WAL_CORRUPT`
 */
export function throwUnlessTorn(path: string, scanner: FrameScanner, maxUnsyncedBytes: number): void {
  const { end, stop, lengthAtStop, range } = scanner;
  const tail = range.limit - stop;
  if (tail > maxUnsyncedBytes) {
    const what = `the frames end at ${end}, and ${tail} bytes at ${stop} are more than the ${maxUnsyncedBytes} that a crash can tear`;
    throw corrupt('long-tail', path, stop, what, tail, maxUnsyncedBytes);
  }
  const frameBytes = FRAME_HEADER_BYTES + lengthAtStop;
  if (frameBytes > range.frameBytesMax) {
    const what = `at ${stop} a frame of ${frameBytes} bytes is announced, and none is longer than ${range.frameBytesMax}`;
    throw corrupt('impossible-length', path, stop, what, frameBytes, range.frameBytesMax);
  }
}

function corrupt(reason: string, path: string, offset: number, what: string, actual: number, limit: number): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path}: ${what}. Nothing was changed. If it was written with a larger maxUnsyncedBytes, give that; if it is no ` +
      `file of frames, open it without framed; else it is damaged: readFrames gives what stands before ${offset}`,
    { path, offset, reason, actual, limit },
  );
}

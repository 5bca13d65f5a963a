import { FRAME_HEADER_BYTES, WalError } from '@walstack/codec';
import type { FileScanner } from './file-scanner.js';

/** The longest frame, header included, of a file whose torn tail is at most `maxUnsyncedBytes` long. */
export const longestFrame = (maxUnsyncedBytes: number, blockBytes: number): number => maxUnsyncedBytes - blockBytes;

/**
 * The bytes after the last readable frame may be the rest of a write that a crash has torn. They are not when there are
 * more of them than are ever written and not yet durable, or when they begin with a length that no frame can have: then
 * something durable is damaged.
 *
 * @throws `WAL_CORRUPT`
 */
export function throwUnlessTorn(path: string, scanner: FileScanner, maxUnsyncedBytes: number): void {
  const { end, stop, lengthAtStop, range } = scanner;
  const tail = range.limit - stop;
  if (tail > maxUnsyncedBytes) {
    const what = `the frames end at ${end}, and ${tail} bytes at ${stop} are more than the ${maxUnsyncedBytes} that a crash can tear`;
    throw corrupt('long-tail', path, stop, what, tail, maxUnsyncedBytes);
  }
  const frameBytes = FRAME_HEADER_BYTES + lengthAtStop;
  if (frameBytes > range.frameBytesMax) {
    const what = `at ${stop} the length of a frame is ${frameBytes} bytes, and none is longer than ${range.frameBytesMax}`;
    throw corrupt('impossible-length', path, stop, what, frameBytes, range.frameBytesMax);
  }
}

function corrupt(reason: string, path: string, offset: number, what: string, actual: number, limit: number): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path}: ${what}. Nothing was changed. If it was written with a larger maxUnsyncedBytes, set that; if it is no ` +
      `file of frames, open it without framed; otherwise it is damaged: readFrames returns the frames before ${offset}`,
    { path, offset, reason, actual, limit },
  );
}

import { blockEnd, WalError } from '@walstack/codec';
import type { IoRoutine } from '../io-routine.js';
import type { IoFile } from '../storage-io.js';
import type { CountedIo } from './counted-io.js';
import { FrameScanner } from './frame-scanner.js';
import { longestFrame, throwUnlessTorn } from './torn-tail.js';

/** What opening a file of frames found and did. */
export interface FrameRecovery {
  /** Frames that are in the file, all of them durable. */
  readonly frames: number;
  /** Bytes behind the last of them that were no frame, and were cut off. */
  readonly bytesCut: number;
}

/** A file of frames that can be gone on with. */
export interface RecoveredFrames {
  readonly report: FrameRecovery;
  /** The size of the file, and where the next frame may go. */
  readonly end: number;
}

/** What is known of a file of frames before it is read. */
export interface FrameFile {
  /** Not opened for direct I/O. */
  readonly file: IoFile;
  readonly blockBytes: number;
  readonly maxUnsyncedBytes: number;
  /** Whether the next frame has to start with a block. */
  readonly pad: boolean;
}

const COPY_BYTES = 1024 * 1024;

/**
 * Finds the frames of a file that can be read, makes them durable, and cuts off what stands behind them: that it is gone
 * is durable on return. Every step can be repeated after a crash in it.
 *
 * @throws `WAL_CORRUPT` when something durable is damaged: nothing is changed then
 */
export function* recoverFrames(steps: CountedIo, frameFile: FrameFile): IoRoutine<RecoveredFrames> {
  const { file, blockBytes, maxUnsyncedBytes, pad } = frameFile;
  const size = steps.io.size(file);
  const frameBytesMax = longestFrame(maxUnsyncedBytes, blockBytes);
  const scanner = new FrameScanner(steps, { file, blockBytes, limit: size, frameBytesMax });
  let frames = 0;
  do {
    while (scanner.next()) frames++;
  } while (yield* scanner.fill());
  throwUnlessTorn(file.path, scanner, maxUnsyncedBytes);
  const { end, stop } = scanner;
  yield* writeAgain(steps, file, Math.max(0, end - maxUnsyncedBytes), end);
  const padded = blockEnd(end, blockBytes);
  // Padding that reaches to the end of its block and of the file is left as it is.
  const isWhole = stop === size && (size === padded || (size === end && !pad));
  if (!isWhole) yield* cutBehind(steps, file, size, end, pad ? padded : end);
  if (size > 0) yield* steps.datasync(file);
  const report = Object.freeze({ frames, bytesCut: isWhole ? 0 : size - end });
  return { report, end: isWhole ? size : pad ? padded : end };
}

/**
 * Writes what is kept and nothing proves durable, in place and with the same bytes: after a sync that failed, the page
 * cache may show bytes that the disk never got, and another sync alone would write nothing.
 */
function* writeAgain(steps: CountedIo, file: IoFile, from: number, to: number): IoRoutine<void> {
  const memory = new Uint8Array(Math.min(COPY_BYTES, to - from));
  for (let position = from; position < to; ) {
    const bytes = memory.subarray(0, Math.min(memory.length, to - position));
    const count = yield* steps.read(file, bytes, position);
    if (count < bytes.length) throw shrunk(file.path, position + count);
    yield* steps.write(file, bytes, position);
    position += count;
  }
}

/** Cuts a file at `end`; where it has to go on at `next`, zeros lead there. */
function* cutBehind(steps: CountedIo, file: IoFile, size: number, end: number, next: number): IoRoutine<void> {
  if (size > end) yield* steps.truncate(file, end);
  if (next > end) yield* steps.truncate(file, next);
}

function shrunk(path: string, offset: number): WalError {
  return new WalError('WAL_BUSY', `${path} has become shorter while it was opened: another writer has it open`, {
    path,
    offset,
    operation: 'open',
  });
}

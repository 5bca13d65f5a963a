import { blockEnd, WalError } from '@walstack/codec';
import type { IoRoutine } from '../routines/routine.js';
import type { IoFile } from '../storage-io.js';
import type { CountedIo } from './counted-io.js';
import { FrameScanner } from './frame-scanner.js';
import { fillWithPadding } from './padding.js';
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
 * @throws `WAL_CORRUPT` when something durable is damaged, and nothing is changed then; also when what is read is something
 * else each time
 */
export function* recoverFrames(steps: CountedIo, frameFile: FrameFile): IoRoutine<RecoveredFrames> {
  const { file, blockBytes, pad } = frameFile;
  let found = yield* findFrames(steps, frameFile);
  while (!(yield* writeFramesAgain(steps, frameFile, found))) {
    const before = found;
    found = yield* findFrames(steps, frameFile);
    // What was only in memory can be lost once.
    if (found.frames >= before.frames) throw unsteady(file.path, found.end);
  }
  const { frames, size, end, stop } = found;
  const padded = blockEnd(end, blockBytes);
  // Padding that reaches to the end of its block and of the file is left as it is.
  const isWhole = stop === size && (size === padded || (size === end && !pad));
  const next = isWhole ? size : pad ? padded : end;
  if (!isWhole) yield* cutBehind(steps, file, size, end, next);
  // Also where it is there: what says that it is padding may not be durable.
  if (next > end) yield* writePadding(steps, file, end, next);
  if (size > 0) yield* steps.datasync(file);
  const report = Object.freeze({ frames, bytesCut: isWhole ? 0 : size - end });
  return { report, end: next };
}

/** A place where a frame starts, and how many stand before it. */
interface FrameStart {
  readonly position: number;
  readonly frames: number;
}

/** What a file of frames holds. */
interface FoundFrames {
  readonly frames: number;
  readonly size: number;
  /** Where the last frame ends, and where there is no further one. */
  readonly end: number;
  readonly stop: number;
  /** A frame before which everything is durable. */
  readonly durableTo: FrameStart;
}

/** @throws `WAL_CORRUPT` when something durable is damaged */
function* findFrames(steps: CountedIo, { file, blockBytes, maxUnsyncedBytes }: FrameFile): IoRoutine<FoundFrames> {
  const size = steps.io.size(file);
  const frameBytesMax = longestFrame(maxUnsyncedBytes, blockBytes);
  const scanner = new FrameScanner(steps, { file, blockBytes, limit: size, frameBytesMax });
  let frames = 0;
  // One for each piece that was read, from the last one on that lies before all that may not be durable.
  let starts: FrameStart[] = [{ position: 0, frames: 0 }];
  while (yield* scanner.fill()) {
    starts.push({ position: scanner.foundAt, frames });
    while (scanner.next()) frames++;
    const needed = starts.findLastIndex(({ position }) => position <= scanner.end - maxUnsyncedBytes);
    if (needed > 0) starts = starts.slice(needed);
  }
  throwUnlessTorn(file.path, scanner, maxUnsyncedBytes);
  return { frames, size, end: scanner.end, stop: scanner.stop, durableTo: starts[0] as FrameStart };
}

/**
 * Writes the frames that nothing proves durable again, in place and with the same bytes: after a sync that failed, the page
 * cache may show bytes that the disk never got, and another sync alone would write nothing. A page that was dropped since the
 * frames were found is not there any more: so what is written are bytes whose checksums were verified where they are written
 * from.
 *
 * @returns whether all of them could be read again
 */
function* writeFramesAgain(
  steps: CountedIo,
  { file, blockBytes, maxUnsyncedBytes }: FrameFile,
  { frames, end, durableTo }: FoundFrames,
): IoRoutine<boolean> {
  const frameBytesMax = longestFrame(maxUnsyncedBytes, blockBytes);
  const scanner = new FrameScanner(steps, { file, blockBytes, from: durableTo.position, limit: end, frameBytesMax });
  let count = durableTo.frames;
  for (let written = scanner.end; yield* scanner.fill(); written = scanner.end) {
    while (scanner.next()) count++;
    if (scanner.end === written) break;
    if (scanner.foundAt > written) yield* writePadding(steps, file, written, scanner.foundAt);
    yield* steps.write(file, scanner.foundBytes(), scanner.foundAt);
  }
  return count === frames && scanner.end === end;
}

/** Writes a range again, in place and with the bytes that are read: whatever these are, they are what the file holds. */
export function* writeAgain(steps: CountedIo, file: IoFile, from: number, to: number): IoRoutine<void> {
  const memory = new Uint8Array(Math.min(COPY_BYTES, to - from));
  for (let position = from; position < to; ) {
    const bytes = memory.subarray(0, Math.min(memory.length, to - position));
    const count = yield* steps.read(file, bytes, position);
    if (count < bytes.length) throw shrunk(file.path, position + count);
    yield* steps.write(file, bytes, position);
    position += count;
  }
}

/** Writes the padding behind a frame. */
function* writePadding(steps: CountedIo, file: IoFile, from: number, to: number): IoRoutine<void> {
  const bytes = new Uint8Array(to - from);
  fillWithPadding(bytes, 0, bytes.length);
  yield* steps.write(file, bytes, from);
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

function unsteady(path: string, offset: number): WalError {
  return new WalError('WAL_CORRUPT', `${path}: what can be read of it is something else each time that it is read`, {
    path,
    offset,
    reason: 'unsteady',
  });
}

import { blockEnd, WalError } from '@walstack/codec';
import type { IoRoutine } from '../routines/routine.js';
import type { IoFile } from '../storage-io.js';
import type { CountedIo } from './counted-io.js';
import { FileScanner } from './file-scanner.js';
import { longestFrame, throwUnlessTorn } from './file-tail.js';
import { fillWithPadding } from './padding.js';

/** What opening a file of frames found and did. */
export interface FrameRecovery {
  /** Frames in the file, all of them durable. */
  readonly frames: number;
  /** Bytes after the last frame that were no frame, and were cut off. */
  readonly bytesCut: number;
}

/** A file of frames that can be appended to. */
export interface RecoveredFrames {
  readonly report: FrameRecovery;
  /** The size of the file, where the next frame may start. */
  readonly end: number;
}

/** A file of frames that is to be recovered. */
export interface FrameFile {
  /** Not opened for direct I/O. */
  readonly file: IoFile;
  readonly blockBytes: number;
  readonly maxUnsyncedBytes: number;
  /** Whether the next frame has to start at the beginning of a block. */
  readonly pad: boolean;
}

const COPY_BYTES = 1024 * 1024;

/**
 * Finds the readable frames of a file, makes them durable, and cuts off the bytes after them, durably on return. Every
 * step can be repeated after a crash.
 *
 * @throws `WAL_CORRUPT` when something durable is damaged, with nothing changed; also when repeated reads return
 * different bytes
 */
export function* recoverFrames(steps: CountedIo, frameFile: FrameFile): IoRoutine<RecoveredFrames> {
  const { file, blockBytes, pad } = frameFile;
  let found = yield* findFrames(steps, frameFile);
  while (!(yield* writeFramesAgain(steps, frameFile, found))) {
    const before = found;
    found = yield* findFrames(steps, frameFile);
    // Pages that were only in memory can be dropped once; more than once is something else.
    if (found.frames >= before.frames) throw unsteady(file.path, found.end);
  }
  const { frames, size, end, stop } = found;
  const padded = blockEnd(end, blockBytes);
  // Padding that reaches to the end of its block and of the file is kept.
  const isWhole = stop === size && (size === padded || (size === end && !pad));
  const next = isWhole ? size : pad ? padded : end;
  if (!isWhole) yield* cutBehind(steps, file, size, end, next);
  // Also where it is there already: its mark may not be durable.
  if (next > end) yield* writePadding(steps, file, end, next);
  if (size > 0) yield* steps.datasync(file);
  const report = Object.freeze({ frames, bytesCut: isWhole ? 0 : size - end });
  return { report, end: next };
}

/** The start of a frame, and how many frames are before it. */
interface FrameStart {
  readonly position: number;
  readonly frames: number;
}

/** What was found in a file of frames. */
interface FoundFrames {
  readonly frames: number;
  readonly size: number;
  /** Where the last frame ends, and where no further frame starts. */
  readonly end: number;
  readonly stop: number;
  /** The start of a frame before which everything is durable. */
  readonly durableTo: FrameStart;
}

/** @throws `WAL_CORRUPT` when something durable is damaged */
function* findFrames(steps: CountedIo, { file, blockBytes, maxUnsyncedBytes }: FrameFile): IoRoutine<FoundFrames> {
  const size = steps.io.size(file);
  const frameBytesMax = longestFrame(maxUnsyncedBytes, blockBytes);
  const scanner = new FileScanner(steps, { file, blockBytes, limit: size, frameBytesMax });
  let frames = 0;
  // One for each piece that was read, beginning with the last one before everything that may not be durable.
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
 * Rewrites the frames that are not proven durable, in place and with the same bytes: after a failed sync, the page
 * cache may contain bytes that the disk never got, and another sync alone would write nothing. A page may have been
 * dropped since the frames were found: so the bytes written come from the buffer in which their checksums were
 * verified.
 *
 * @returns whether all of them could be read once more
 */
function* writeFramesAgain(
  steps: CountedIo,
  { file, blockBytes, maxUnsyncedBytes }: FrameFile,
  { frames, end, durableTo }: FoundFrames,
): IoRoutine<boolean> {
  const frameBytesMax = longestFrame(maxUnsyncedBytes, blockBytes);
  const scanner = new FileScanner(steps, { file, blockBytes, from: durableTo.position, limit: end, frameBytesMax });
  let count = durableTo.frames;
  for (let written = scanner.end; yield* scanner.fill(); written = scanner.end) {
    while (scanner.next()) count++;
    if (scanner.end === written) break;
    if (scanner.foundAt > written) yield* writePadding(steps, file, written, scanner.foundAt);
    yield* steps.write(file, scanner.foundBytes(), scanner.foundAt);
  }
  return count === frames && scanner.end === end;
}

/** Rewrites a range in place with the bytes that are read from it, whatever they are. */
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

/** Writes the padding after a frame. */
function* writePadding(steps: CountedIo, file: IoFile, from: number, to: number): IoRoutine<void> {
  const bytes = new Uint8Array(to - from);
  fillWithPadding(bytes, 0, bytes.length);
  yield* steps.write(file, bytes, from);
}

/** Truncates a file at `end`, and extends it with zeros to `next`. */
function* cutBehind(steps: CountedIo, file: IoFile, size: number, end: number, next: number): IoRoutine<void> {
  if (size > end) yield* steps.truncate(file, end);
  if (next > end) yield* steps.truncate(file, next);
}

function shrunk(path: string, offset: number): WalError {
  return new WalError('WAL_BUSY', `${path} became shorter while it was being opened: another writer has it open`, {
    path,
    offset,
    operation: 'open',
  });
}

function unsteady(path: string, offset: number): WalError {
  return new WalError('WAL_CORRUPT', `${path}: repeated reads return different bytes`, {
    path,
    offset,
    reason: 'unsteady',
  });
}

import {
  blockEnd,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  MarkType,
  sealFrames,
  WalError,
  writeMark,
} from '@walstack/codec';
import { FrameSummary, openStreamed, type Segment, seedOf, withWritableFile } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import { cutToSize } from '../segments/segment-file.js';
import type { LogAnalysis } from './analyze-log.js';

/**
 * Repairs the file of the newest segment: writes the unproven part of the kept records again, writes a mark behind it, and
 * cuts off the rest.
 *
 * @returns `undefined` when a kept record cannot be read any more
 */
export function* repairTail(
  environment: Environment,
  newest: Segment,
  analysis: LogAnalysis,
): IoRoutine<Segment | undefined> {
  if (analysis.cleanlyClosed) return newest;
  const { provenLsn, unprovenFrom, endsWithMark, endsClosed } = analysis;
  return yield* withWritableFile(environment.io, newest.path, function* (file) {
    const range = { from: unprovenFrom ?? newest.end, nextLsn: provenLsn + 1 };
    if (unprovenFrom !== undefined && !(yield* rewrite(environment, file, newest, range))) return undefined;
    const end = endsWithMark || isShared(environment.io, file) ? newest.end : yield* markEnd(environment, file, newest);
    try {
      yield* cutToSize(environment.io, file, end, newest.header.blockBytes);
    } catch (error) {
      // Closing the log had no room to cut it either: what is behind the mark are earlier contents of the file.
      if (!endsClosed || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
    }
    return { ...newest, end };
  });
}

/**
 * Writes the kept part of a segment again with the same bytes, and syncs it: after a failed sync, the page cache may show
 * bytes that never reached the disk, and another sync alone would write nothing. The kernel may drop such a page after the
 * segment was analyzed: so each range is read and its checksums verified once more right before it is written.
 *
 * @param file - of the segment, open for writing
 * @param range - from where on; default the whole segment
 * @returns whether all of it could be read again
 */
export function* rewrite(
  environment: Environment,
  file: IoFile,
  segment: Segment,
  range: { readonly from?: number; readonly nextLsn?: Lsn } = {},
): IoRoutine<boolean> {
  const { io } = environment;
  const scanner = yield* openStreamed(io, segment, { ...range, limit: segment.end });
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    for (let written = frames.end; yield* scanner.fill(); written = frames.end) {
      frames.skip(summary);
      if (frames.end === written) break;
      // The padding before these frames: it only has to contain no frame.
      if (frames.foundAt > written) yield* ioSteps.write(io, file, new Uint8Array(frames.foundAt - written), written);
      yield* ioSteps.write(io, file, frames.foundBytes, frames.foundAt);
    }
    if (frames.end !== segment.end || frames.nextLsn !== segment.nextLsn) return false;
  } finally {
    scanner.close();
  }
  yield* ioSteps.datasync(io, file);
  return true;
}

/** Whether a file has another name: in a backup, which is not to change. The next segment proves what the mark would. */
const isShared = (io: StorageIo, file: IoFile): boolean => (io.links?.(file) ?? 1) > 1;

/** {@link writeEndMark}, durable on return. On a full disk the mark is omitted. */
function* markEnd(environment: Environment, file: IoFile, newest: Segment): IoRoutine<number> {
  try {
    const end = yield* writeEndMark(environment, file, newest);
    yield* ioSteps.datasync(environment.io, file);
    return end;
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return newest.end;
    throw error;
  }
}

/**
 * Writes the mark of recovery behind the kept records, with zeros to the end of its block, and returns the end of the mark. Not
 * durable on return.
 */
export function* writeEndMark(environment: Environment, file: IoFile, newest: Segment): IoRoutine<number> {
  const { header, end, nextLsn } = newest;
  const start = frameStart(end, header.blockBytes);
  const markEndsAt = start + MARK_FRAME_BYTES;
  const bytes = new Uint8Array(blockEnd(markEndsAt, header.blockBytes) - end);
  const elapsedMs = environment.now() - header.createdAtMs;
  writeMark(new DataView(bytes.buffer), start - end, nextLsn, MarkType.recovered, elapsedMs);
  sealFrames(bytes, start - end, bytes.length, start, header.blockBytes, seedOf(header));
  yield* ioSteps.write(environment.io, file, bytes, end);
  return markEndsAt;
}

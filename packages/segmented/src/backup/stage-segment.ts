import { join } from 'node:path';
import { blockEnd, FileName, WalError } from '@walstack/codec';
import { FrameSummary, openStreamed, type Segment } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';
import { writeEndMark } from '../recovery/repair-tail.js';
import { isEmpty } from '../segments/segment.js';
import { dropNextSegment } from '../segments/segment-file.js';
import { isSameSegment, listed } from './backup-list.js';

/** Bytes that are read and written at a time. */
const PIECE_BYTES = 1024 * 1024;

/** How a segment is copied. */
export interface Copying {
  /** The directory of the backup. */
  readonly directory: string;
  /** The permissions of the copy. */
  readonly fileMode: number;
  /** Called after each piece: what it throws ends the copying. */
  readonly copied: (bytes: number) => IoRoutine<void>;
  /** Called before each piece of the copy that is verified: what it throws ends that. */
  readonly beforePiece: () => void;
}

/**
 * Whether a file has nothing behind the last block of its segment. Else it may have records that were cut off, or given up by a
 * salvage, and a backup has nothing that shows which.
 */
export const endsWithSegment = ({ io }: Environment, { end, header }: Segment, path: string): boolean =>
  io.stat(path).size <= blockEnd(end, header.blockBytes);

/**
 * Gives the file of a sealed segment a second name in a backup. It is never written again: the log reuses no file with a second
 * name.
 *
 * @returns `false` where the file system cannot, with nothing changed
 * @throws `WAL_NOT_FOUND` when the file is gone, `WAL_NO_SPACE`
 */
export function linkSegment({ io }: Environment, segment: Segment, path: string): boolean {
  try {
    if (io.link === undefined) return false;
    io.link(segment.path, path);
    return true;
  } catch (error) {
    if (WalError.is(error, 'WAL_UNSUPPORTED') || WalError.is(error, 'WAL_IO_FAILED')) return false;
    throw error;
  }
}

/**
 * Copies a segment, up to its end, into a file of a backup. The copy is verified, and durable when it has its name; the name
 * is once the directory is synced.
 *
 * @param isNewest - the log has no later segment: a mark behind the last record of the copy states that all of it is durable
 * @throws `WAL_CORRUPT` when a record cannot be read, `WAL_TRUNCATED` when the file was reused meanwhile
 */
export function* copySegment(
  environment: Environment,
  segment: Segment,
  name: string,
  isNewest: boolean,
  { directory, fileMode, copied, beforePiece }: Copying,
): IoRoutine<void> {
  const { io } = environment;
  const draft = join(directory, FileName.nextSegment);
  try {
    const file = io.open(draft, { create: true, exclusive: true, mode: fileMode });
    try {
      yield* copyBytes(environment, segment, file, copied);
      yield* verifyAndEnd(environment, segment, file, isNewest, beforePiece);
      yield* ioSteps.datasync(io, file);
    } finally {
      closeFile(io, file);
    }
  } catch (error) {
    yield* dropNextSegment(environment.io, directory);
    throw error;
  }
  io.rename(draft, join(directory, name));
}

/** Copies a file up to the last frame of its segment, and zeros behind it up to the end of the block. */
function* copyBytes(
  { io }: Environment,
  { path, end, header }: Segment,
  file: IoFile,
  copied: Copying['copied'],
): IoRoutine<void> {
  const source = io.open(path, { readOnly: true });
  try {
    const whole = blockEnd(end, header.blockBytes);
    const piece = io.allocateBuffer(Math.min(PIECE_BYTES, whole));
    for (let at = 0; at < whole; at += piece.length) {
      const bytes = piece.subarray(0, Math.min(piece.length, whole - at));
      const length = yield* ioSteps.read(io, source, bytes, at);
      // A file may end behind its last frame; where it ends before it, the copy is refused when it is verified.
      bytes.fill(0, Math.min(length, Math.max(0, end - at)));
      yield* ioSteps.write(io, file, bytes, at);
      yield* copied(bytes.length);
    }
  } finally {
    closeFile(io, source);
  }
}

/** Verifies every checksum of a copy, and writes a mark at its end. */
function* verifyAndEnd(
  environment: Environment,
  segment: Segment,
  file: IoFile,
  isNewest: boolean,
  beforePiece: () => void,
): IoRoutine<void> {
  const { io } = environment;
  const scanner = yield* openStreamed(io, { path: file.path, header: segment.header });
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    for (beforePiece(); yield* scanner.fill(); beforePiece()) frames.skip(summary);
    // A cut may have been in a hole.
    const isCutHole = (summary.holes.at(-1)?.lastLsn ?? 0) >= segment.nextLsn;
    if (frames.nextLsn !== segment.nextLsn && !isCutHole) throw unreadable(segment, frames.end, frames.nextLsn);
    if (!isNewest || isEmpty(segment) || summary.markType !== undefined) return;
    yield* writeEndMark(environment, file, { ...segment, end: frames.end });
  } catch (error) {
    // It names the copy, which is removed.
    if (WalError.is(error, 'WAL_CORRUPT') && error.path !== segment.path) {
      throw unreadable(segment, error.offset ?? frames.end, frames.nextLsn, error);
    }
    throw error;
  } finally {
    scanner.close();
  }
}

/**
 * Whether every record of a segment can be read in a file of a backup that has its id, as opening the backup reads it, and was written
 * in the same sessions: another copy of the log may have gone on differently in the same segment.
 *
 * @param beforePiece - called before each piece that is read: what it throws ends the reading
 */
export function* isIntact(
  { io }: Environment,
  segment: Segment,
  path: string,
  beforePiece: () => void,
): IoRoutine<boolean> {
  const { header, nextLsn } = segment;
  const scanner = yield* openStreamed(io, { path, header });
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    do beforePiece();
    while ((yield* scanner.fill()) && frames.skip(summary, nextLsn));
    const { holes, sessions } = summary;
    return frames.nextLsn >= nextLsn && isSameSegment(listed({ ...segment, holes, sessions }), listed(segment));
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return false;
    throw error;
  } finally {
    scanner.close();
  }
}

function unreadable({ path }: Segment, offset: number, lsn: number, cause?: WalError): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path}: LSN ${lsn} at offset ${offset} cannot be read, and is not backed up; the earlier backup is unchanged`,
    { path, offset, lsn, reason: 'backup' },
    cause === undefined ? undefined : { cause },
  );
}

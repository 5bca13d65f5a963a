import { join } from 'node:path';
import { decodeSegmentHeader, FileName, type SegmentHeader } from '@walstack/codec';
import { type Segment, withFile, withWritableFile } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { closeFile, kindOf } from '@walstack/storage-io/internal';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import { rewrite } from '../../recovery/repair-tail.js';
import { makeNextSegment } from '../../segments/segment-file.js';
import type { Move } from '../quarantine.js';
import { type Piece, piecesOf } from './gap.js';
import type { Repair } from './repair.js';

/** Bytes that are copied at a time. */
const PIECE_BYTES = 1024 * 1024;

/** The changes that are made, for undoing them. */
interface Done {
  readonly moved: Move[];
  readonly made: string[];
}

/**
 * Makes segments again around their damage: each is written as `next.seg` from the damaged file, which is then moved to quarantine,
 * before the new one gets its name. It can be repeated after a crash: the damaged file is where it was, or in quarantine under
 * the name that was decided. Durable on return.
 *
 * @param quarantine - the directory of this salvage, below that of the log
 */
export function* makeRepairs(
  environment: Environment,
  settings: Settings,
  quarantine: string,
  repairs: readonly Repair[],
  done?: Done,
): IoRoutine<void> {
  for (const repair of repairs) yield* makeRepair(environment, settings, quarantine, repair, done);
}

function* makeRepair(
  environment: Environment,
  settings: Settings,
  quarantine: string,
  repair: Repair,
  done: Done | undefined,
): IoRoutine<void> {
  const { io } = environment;
  const { directory } = settings;
  const path = join(directory, repair.name);
  const draft = join(directory, FileName.nextSegment);
  const hidden = repair.original === undefined ? undefined : join(directory, quarantine, repair.original);
  const isMoved = hidden === undefined || kindOf(io, hidden) !== undefined;
  const header = decodeSegmentHeader(repair.header, path);
  // The crash that interrupted the salvage came later: the segment is there, and may not be durable.
  if (isMoved && kindOf(io, path) === 'file' && (yield* isThere(environment, path, header, repair))) return;
  done?.made.push(draft);
  yield* writeDraft(io, settings, header, repair, isMoved ? hidden : path);
  if (hidden !== undefined && !isMoved) {
    io.rename(path, hidden);
    done?.moved.push({ from: path, to: hidden });
    // The new name is durable before the removal of the old one is.
    yield* ioSteps.syncDirectory(io, join(directory, quarantine));
    yield* ioSteps.syncDirectory(io, directory);
  }
  io.rename(draft, path);
  done?.made.push(path);
  yield* ioSteps.syncDirectory(io, directory);
}

/** Whether a segment was made already: then all of it is written again, as a sync of it may have failed. */
function* isThere(environment: Environment, path: string, header: SegmentHeader, repair: Repair): IoRoutine<boolean> {
  const { io } = environment;
  const bytes = new Uint8Array(repair.header.length);
  yield* withFile(io, path, (file) => ioSteps.read(io, file, bytes, 0));
  if (Buffer.compare(bytes, repair.header) !== 0) return false;
  const { end, nextLsn } = repair;
  const segment: Segment = { path, header, end, nextLsn };
  const isWhole = yield* withWritableFile(io, path, (file) => rewrite(environment, file, segment));
  if (isWhole) yield* ioSteps.syncDirectory(io, join(path, '..'));
  return isWhole;
}

/** Writes the new segment; durable on return. */
function* writeDraft(
  io: StorageIo,
  settings: Settings,
  header: SegmentHeader,
  repair: Repair,
  source: string | undefined,
): IoRoutine<void> {
  const file = yield* makeNextSegment(io, { ...settings, directIo: false });
  try {
    if (source === undefined || !repair.isCopied) yield* copyAround(io, header, repair, undefined, file);
    else yield* withFile(io, source, (from) => copyAround(io, header, repair, from, file));
    yield* ioSteps.datasync(io, file);
  } finally {
    closeFile(io, file);
  }
}

function* copyAround(
  io: StorageIo,
  header: SegmentHeader,
  repair: Repair,
  source: IoFile | undefined,
  file: IoFile,
): IoRoutine<void> {
  const { gaps, size } = repair;
  const pieces = [{ at: 0, bytes: repair.header }, ...gaps.flatMap((gap) => piecesOf(gap, header))];
  const buffer = io.allocateBuffer(Math.min(PIECE_BYTES, size));
  for (let at = 0; at < size; at += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, size - at));
    const filled = source === undefined ? 0 : yield* ioSteps.read(io, source, bytes, at);
    bytes.fill(0, filled);
    for (const { from, to } of gaps) zero(bytes, at, from, to ?? size);
    if (repair.isLast) zero(bytes, at, repair.end, size);
    for (const piece of pieces) lay(bytes, at, piece);
    yield* ioSteps.write(io, file, bytes, at);
  }
}

/** Zeros in the part of a range that is in `bytes`, which are at `at` in the file. */
function zero(bytes: Uint8Array, at: number, from: number, to: number): void {
  const start = Math.max(from - at, 0);
  const end = Math.min(to - at, bytes.length);
  if (start < end) bytes.fill(0, start, end);
}

function lay(bytes: Uint8Array, at: number, piece: Piece): void {
  const start = Math.max(piece.at, at);
  const end = Math.min(piece.at + piece.bytes.length, at + bytes.length);
  if (start < end) bytes.set(piece.bytes.subarray(start - piece.at, end - piece.at), start - at);
}

import {
  FRAME_HEADER_BYTES,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  recordProblem,
  type SegmentHeader,
} from '@walstack/codec';
import { checksumOf, seedOf } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';

/** Bytes that are examined in one step. */
export const STEP_BYTES = 256 * 1024;

/**
 * How many bytes of checksums are computed for each byte that is searched, and in any case. A payload can have any number of
 * positions that look like the beginning of a long frame: beyond this, no frame is looked for there any more.
 */
const CHECKSUMS_PER_BYTE = 64;
const CHECKSUMS_ANYWAY = 256 * 1024 * 1024;

/** A valid frame behind damage. */
export interface FoundFrame {
  readonly offset: number;
  readonly record: RecordHeader;
}

/** Where a frame is looked for. */
export interface FrameSearch {
  readonly io: StorageIo;
  readonly file: IoFile;
  readonly header: SegmentHeader;
  readonly size: number;
  /** The end of the frames before, and the LSN that is expected there. */
  readonly from: number;
  readonly nextLsn: Lsn;
  /** The first LSN that is not looked for: the one with which the successor begins. */
  readonly limit: Lsn;
}

/**
 * Finds the next valid frame behind damage: one with the checksum of this segment, whose LSN is no larger than the bytes before
 * it have room for, and smaller than the first one of the successor. The damaged frame is trusted as far as a valid frame with
 * the next LSN is where it says that it ends; otherwise every byte is examined as the beginning of a frame.
 */
export function* nextFrame(search: FrameSearch): IoRoutine<FoundFrame | undefined> {
  return (yield* behindDamagedFrame(search)) ?? (yield* anyFrame(search));
}

/** The frame behind the damaged one, if the header of that one, which may be right, leads to it. */
function* behindDamagedFrame(search: FrameSearch): IoRoutine<FoundFrame | undefined> {
  const { header, from, nextLsn } = search;
  const start = frameStart(from, header.blockBytes);
  const damaged = yield* headerAt(search, start);
  if (damaged === undefined || damaged.lsn !== nextLsn || !isPossible(search, start, damaged)) return undefined;
  const end = start + FRAME_HEADER_BYTES + damaged.length;
  for (const offset of startsBehind(end, header.blockBytes)) {
    const record = yield* headerAt(search, offset);
    if (record === undefined || !isCandidate(search, offset, record)) continue;
    if (record.lsn - nextLsn <= 1 && (yield* isValid(search, offset, record))) return { offset, record };
  }
  return undefined;
}

/** Where a frame may start behind one that ends here: right behind it, or behind padding. */
export function startsBehind(end: number, blockBytes: number): readonly number[] {
  const next = frameStart(end, blockBytes);
  const padded = Math.ceil(end / blockBytes) * blockBytes;
  return next === padded ? [next] : [next, padded];
}

function* anyFrame(search: FrameSearch): IoRoutine<FoundFrame | undefined> {
  const { io, file, from, size } = search;
  const bytes = new Uint8Array(STEP_BYTES + MARK_FRAME_BYTES - 1);
  const view = new DataView(bytes.buffer);
  const record = new RecordHeader();
  let left = CHECKSUMS_ANYWAY + CHECKSUMS_PER_BYTE * (size - from);
  for (let position = from; position + MARK_FRAME_BYTES <= size; position += STEP_BYTES) {
    if (isTurnDue()) yield TURN;
    const filled = yield* ioSteps.read(io, file, bytes.subarray(0, Math.min(bytes.length, size - position)), position);
    const stop = Math.min(STEP_BYTES, filled - MARK_FRAME_BYTES + 1);
    for (let at = 0; at < stop; at++) {
      const length = view.getUint32(at, true);
      if (length < RECORD_HEADER_BYTES || length > size - position - at - FRAME_HEADER_BYTES) continue;
      readRecordHeader(view, at, record);
      if (!isCandidate(search, position + at, record)) continue;
      left -= length;
      if (left < 0) return undefined;
      if (yield* isValid(search, position + at, record)) return { offset: position + at, record };
    }
  }
  return undefined;
}

/** Whether a frame of this log can be here, judging by its fields. */
function isCandidate(search: FrameSearch, offset: number, record: RecordHeader): boolean {
  const { header, from, nextLsn, limit } = search;
  const room = offset - frameStart(from, header.blockBytes);
  if (record.lsn < nextLsn || record.lsn >= limit || record.lsn - nextLsn > room / MARK_FRAME_BYTES) return false;
  if (!isPossible(search, offset, record)) return false;
  // Nothing is lost but padding, which ends with its block, or a frame without a record.
  return record.lsn > nextLsn || offset % header.blockBytes === 0 || room >= MARK_FRAME_BYTES;
}

function isPossible({ header, size }: FrameSearch, offset: number, record: RecordHeader): boolean {
  return (
    record.length >= RECORD_HEADER_BYTES &&
    offset + FRAME_HEADER_BYTES + record.length <= size &&
    frameStart(offset, header.blockBytes) === offset &&
    recordProblem(record) === undefined &&
    ((record.flags & RecordFlag.encrypted) === 0 || header.encrypted)
  );
}

function* isValid({ io, file, header }: FrameSearch, offset: number, { length }: RecordHeader): IoRoutine<boolean> {
  const checksum = new Uint8Array(4);
  yield* ioSteps.read(io, file, checksum, offset + 4);
  const expected = new DataView(checksum.buffer).getUint32(0, true);
  return (yield* checksumOf(io, file, offset + FRAME_HEADER_BYTES, length, seedOf(header))) === expected;
}

export function* headerAt({ io, file, size }: FrameSearch, offset: number): IoRoutine<RecordHeader | undefined> {
  if (offset + MARK_FRAME_BYTES > size) return undefined;
  const bytes = new Uint8Array(MARK_FRAME_BYTES);
  yield* ioSteps.read(io, file, bytes, offset);
  const record = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer), 0, record);
  return record;
}

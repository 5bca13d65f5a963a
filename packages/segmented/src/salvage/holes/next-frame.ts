import {
  blockEnd,
  crc32c,
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
import { setUint64 } from '@walstack/codec/internal';
import { checksumOf, seedOf } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import { singleDamage } from './single-damage.js';

/** Bytes that are examined in one step. */
const STEP_BYTES = 256 * 1024;

/**
 * How many bytes of checksums are computed for each byte that is searched, and in any case. A payload can have any number of
 * positions that look like the beginning of a long frame: beyond this, no frame is looked for there any more.
 */
const CHECKSUMS_PER_BYTE = 64;
const CHECKSUMS_ANYWAY = 256 * 1024 * 1024;

/** The longest damaged frame whose flags are proven by its checksum. */
const GUESSED_BYTES_MAX = 64 * 1024 * 1024;

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
function startsBehind(end: number, blockBytes: number): readonly number[] {
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

function* headerAt({ io, file, size }: FrameSearch, offset: number): IoRoutine<RecordHeader | undefined> {
  if (offset + MARK_FRAME_BYTES > size) return undefined;
  const bytes = new Uint8Array(MARK_FRAME_BYTES);
  yield* ioSteps.read(io, file, bytes, offset);
  const record = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer), 0, record);
  return record;
}

/**
 * Whether a frame behind damage may be in a batch that began before it. A frame does not say whether a batch begins with it; the one
 * before it says whether its batch goes on. So that one is looked for: where only one byte of it is damaged, its checksum shows which,
 * and proves the flags. Where nothing proves them, only a frame that proves the one before it durable
 * is certainly not in its batch.
 */
export function* continuesBatch(search: FrameSearch, { offset, record }: FoundFrame): IoRoutine<boolean> {
  const isNoRecord = (record.flags & (RecordFlag.mark | RecordFlag.hole)) !== 0;
  if (isNoRecord || record.durableLag === 1) return false;
  const restored = yield* continuedByRestored(search, offset, record.lsn - 1);
  if (restored !== undefined) return restored;
  for (const before of yield* damagedBefore(search, offset, record.lsn - 1)) {
    const isProven = yield* isContinued(search, before);
    if (isProven !== undefined) return isProven;
  }
  return true;
}

/**
 * Whether the batch of the only lost record goes on behind it, where its checksum is right with the length and the LSN that it must
 * have had: then nothing else of it is damaged. `undefined` where that is not so.
 */
function* continuedByRestored(search: FrameSearch, end: number, lsn: Lsn): IoRoutine<boolean | undefined> {
  const { io, file, header, from, nextLsn } = search;
  if (lsn !== nextLsn) return undefined;
  for (const start of new Set([frameStart(from, header.blockBytes), blockEnd(from, header.blockBytes)])) {
    const frameBytes = end - start;
    if (frameBytes < MARK_FRAME_BYTES || frameBytes > GUESSED_BYTES_MAX) continue;
    const bytes = new Uint8Array(frameBytes);
    yield* ioSteps.read(io, file, bytes, start);
    const view = new DataView(bytes.buffer);
    setUint64(view, FRAME_HEADER_BYTES, lsn);
    const said = FRAME_HEADER_BYTES + view.getUint32(0, true);
    for (const length of lengthsUpTo(frameBytes, said, end % header.blockBytes === 0 ? header.blockBytes : 1)) {
      if (crc32c(bytes, seedOf(header), FRAME_HEADER_BYTES, length) !== view.getUint32(4, true)) continue;
      return ((bytes[FLAGS_OFFSET] as number) & RecordFlag.batchContinues) !== 0;
    }
  }
  return undefined;
}

/** The lengths that a frame can have had: the whole, less the last bytes of a block, or what it says where padding can follow. */
function lengthsUpTo(whole: number, said: number, padding: number): readonly number[] {
  const least = Math.max(MARK_FRAME_BYTES, whole - Math.min(padding, FRAME_HEADER_BYTES) + 1);
  const lengths = Array.from({ length: whole - least + 1 }, (_, index) => whole - index);
  return said >= MARK_FRAME_BYTES && said < least && said > whole - padding ? [...lengths, said] : lengths;
}

/** Damaged frames with an LSN that end where a valid one begins. */
function* damagedBefore(search: FrameSearch, offset: number, lsn: Lsn): IoRoutine<readonly FoundFrame[]> {
  const { io, file, header, from } = search;
  const found: FoundFrame[] = [];
  const bytes = new Uint8Array(STEP_BYTES + MARK_FRAME_BYTES - 1);
  const view = new DataView(bytes.buffer);
  const low = lsn % 2 ** 32;
  for (let position = from; position + MARK_FRAME_BYTES <= offset; position += STEP_BYTES) {
    if (isTurnDue()) yield TURN;
    const filled = yield* ioSteps.read(
      io,
      file,
      bytes.subarray(0, Math.min(bytes.length, offset - position)),
      position,
    );
    const stop = Math.min(STEP_BYTES, filled - MARK_FRAME_BYTES + 1);
    for (let at = 0; at < stop; at++) {
      if (view.getUint32(at + FRAME_HEADER_BYTES, true) !== low) continue;
      const end = position + at + FRAME_HEADER_BYTES + view.getUint32(at, true);
      if (end > offset || !startsBehind(end, header.blockBytes).includes(offset)) continue;
      const record = new RecordHeader();
      readRecordHeader(view, at, record);
      if (record.lsn === lsn) found.push({ offset: position + at, record });
    }
  }
  return found;
}

/** Whether the batch of a damaged record goes on behind it; `undefined` when more than one byte is damaged: it may be the flags. */
function* isContinued(
  { io, file, header }: FrameSearch,
  { offset, record }: FoundFrame,
): IoRoutine<boolean | undefined> {
  const frameBytes = FRAME_HEADER_BYTES + record.length;
  if (frameBytes > GUESSED_BYTES_MAX || frameBytes < MARK_FRAME_BYTES) return undefined;
  const bytes = new Uint8Array(frameBytes);
  yield* ioSteps.read(io, file, bytes, offset);
  const damage = yield* singleDamage(bytes, seedOf(header));
  if (damage === undefined) return undefined;
  const flags = damage.offset === FLAGS_OFFSET ? record.flags ^ damage.change : record.flags;
  return (flags & RecordFlag.batchContinues) !== 0;
}

/** Offset of the flags in a frame. */
const FLAGS_OFFSET = 26;

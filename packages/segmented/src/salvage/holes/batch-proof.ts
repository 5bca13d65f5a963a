import {
  blockEnd,
  FRAME_HEADER_BYTES,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
} from '@walstack/codec';
import { HOLE_RECORDS_MAX, HoleReason, setUint64 } from '@walstack/codec/internal';
import { seedOf } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import { ONE_FRAME_MAX, piecesOf } from './gap.js';
import { type FoundFrame, type FrameSearch, headerAt, STEP_BYTES, startsBehind } from './next-frame.js';
import { continuedChecksum, isByChance, PROVEN_BYTES_MAX, singleDamage } from './single-damage.js';

/** The longest damaged frame that is compared with its checksum. */
const RESTORED_BYTES_MAX = 64 * 1024 * 1024;

/** Offset of the flags in a frame. */
const FLAGS_OFFSET = 26;

/**
 * Whether a frame behind damage may be in a batch that began before it. A frame does not say whether a batch begins with it; the one
 * before it says whether its batch goes on. So that one is looked for, and believed as far as its checksum, which begins with the
 * random id of the segment, proves it. Where nothing does, only a frame that proves the one before it durable is certainly not in its
 * batch.
 */
export function* continuesBatch(search: FrameSearch, found: FoundFrame): IoRoutine<boolean> {
  const { offset, record } = found;
  const isNoRecord = (record.flags & (RecordFlag.mark | RecordFlag.hole)) !== 0;
  if (isNoRecord || record.durableLag === 1) return false;
  if (yield* isBehindHole(search, found)) return false;
  const last = record.lsn - 1;
  const restored = yield* continuedByRestored(search, offset, last);
  if (restored !== undefined) return restored;
  const damaged = yield* damagedBefore(search, offset, last);
  let bytes = 0;
  for (const { record: each } of damaged) bytes += FRAME_HEADER_BYTES + each.length;
  if (bytes > PROVEN_BYTES_MAX) return true;
  for (const before of damaged) {
    const isProven = yield* isContinued(search, before, bytes);
    if (isProven !== undefined) return isProven;
  }
  return true;
}

/** Whether what is lost is a damaged hole: its bytes are known but for the reason, and so is its checksum. No batch goes on behind it. */
function* isBehindHole(search: FrameSearch, { offset, record }: FoundFrame): IoRoutine<boolean> {
  const { io, file, header, from, nextLsn } = search;
  const { lsn } = record;
  const start = frameStart(from, header.blockBytes);
  if (lsn === nextLsn || lsn - nextLsn > HOLE_RECORDS_MAX || offset - start < MARK_FRAME_BYTES) return false;
  const said = FRAME_HEADER_BYTES + ((yield* headerAt(search, start))?.length ?? 0);
  // It may end before the last bytes of a block, or before padding.
  const padding = paddingBefore(offset, header.blockBytes);
  for (const length of lengthsUpTo(offset - start, padding, (each) => each === said)) {
    const gap = { from: start, to: start + length, firstLsn: nextLsn, nextLsn: lsn };
    for (const reason of Object.values(HoleReason)) {
      const [hole] = piecesOf({ ...gap, reason }, header);
      if (hole === undefined) return false;
      const bytes = new Uint8Array(hole.bytes.length);
      yield* ioSteps.read(io, file, bytes, hole.at);
      if (isSame(bytes, hole.bytes, 4, FRAME_HEADER_BYTES)) return true;
      if (!isSame(bytes, hole.bytes, 0, 4) || !isSame(bytes, hole.bytes, FRAME_HEADER_BYTES, bytes.length)) continue;
      // One byte of the checksum is damaged, and nothing else.
      if ([4, 5, 6, 7].filter((at) => bytes[at] !== hole.bytes[at]).length === 1) return true;
    }
  }
  return yield* isHoleOfAnyLength(search, lsn, offset - start, padding);
}

/** Whether only the length of a hole is damaged: its checksum is right with one that it can have had. */
function* isHoleOfAnyLength(
  { io, file, header, from, nextLsn }: FrameSearch,
  lsn: Lsn,
  whole: number,
  padding: number,
): IoRoutine<boolean> {
  const start = frameStart(from, header.blockBytes);
  const bytes = new Uint8Array(Math.min(whole, ONE_FRAME_MAX));
  yield* ioSteps.read(io, file, bytes, start);
  const gap = { from: start, to: start + MARK_FRAME_BYTES, firstLsn: nextLsn, nextLsn: lsn };
  const isHole = Object.values(HoleReason).some((reason) => {
    const [hole] = piecesOf({ ...gap, reason }, header);
    return hole !== undefined && isSame(bytes, hole.bytes, FRAME_HEADER_BYTES, MARK_FRAME_BYTES);
  });
  if (!isHole) return false;
  const stored = new DataView(bytes.buffer).getUint32(4, true);
  let [checksum, done] = [seedOf(header), FRAME_HEADER_BYTES];
  for (const length of lengthsUpTo(whole, padding, () => true)) {
    if (length > bytes.length) return false;
    checksum = yield* continuedChecksum(bytes, checksum, done, length);
    done = length;
    if (checksum === stored) return true;
  }
  return false;
}

/** Up to how many bytes between the end of a frame and another one can be padding, and one more. */
const paddingBefore = (offset: number, blockBytes: number): number => (offset % blockBytes === 0 ? blockBytes : 1);

const isSame = (one: Uint8Array, other: Uint8Array, start: number, end: number): boolean =>
  Buffer.compare(one.subarray(start, end), other.subarray(start, end)) === 0;

/** Where the first lost frame began: right behind the frames before it, or behind padding. */
const startsAt = ({ from, header }: FrameSearch): Iterable<number> =>
  new Set([frameStart(from, header.blockBytes), blockEnd(from, header.blockBytes)]);

/**
 * Whether the batch of the only lost record goes on behind it, where its checksum is right with the length and the LSN that it must
 * have had: then nothing else of it is damaged. `undefined` where that is not so.
 */
function* continuedByRestored(search: FrameSearch, end: number, lsn: Lsn): IoRoutine<boolean | undefined> {
  const { io, file, header, nextLsn } = search;
  if (lsn !== nextLsn) return undefined;
  for (const start of startsAt(search)) {
    const frameBytes = end - start;
    if (frameBytes < MARK_FRAME_BYTES || frameBytes > RESTORED_BYTES_MAX) continue;
    const bytes = new Uint8Array(frameBytes);
    yield* ioSteps.read(io, file, bytes, start);
    const view = new DataView(bytes.buffer);
    setUint64(view, FRAME_HEADER_BYTES, lsn);
    const said = FRAME_HEADER_BYTES + view.getUint32(0, true);
    let [checksum, done] = [seedOf(header), FRAME_HEADER_BYTES];
    const padding = paddingBefore(end, header.blockBytes);
    for (const length of lengthsUpTo(frameBytes, padding, (each) => isByteApart(each, said))) {
      checksum = yield* continuedChecksum(bytes, checksum, done, length);
      done = length;
      if (checksum !== view.getUint32(4, true)) continue;
      return ((bytes[FLAGS_OFFSET] as number) & RecordFlag.batchContinues) !== 0;
    }
  }
  return undefined;
}

/**
 * The lengths that a frame can have had, in ascending order: the whole, less the last bytes of a block, and where padding can follow
 * those of which `isPossible` says so.
 */
function lengthsUpTo(whole: number, padding: number, isPossible: (length: number) => boolean): readonly number[] {
  const least = Math.max(MARK_FRAME_BYTES, whole - padding + 1);
  const sure = whole - Math.min(padding, FRAME_HEADER_BYTES) + 1;
  const lengths = Array.from({ length: whole - least + 1 }, (_, index) => least + index);
  return lengths.filter((length) => length >= sure || isPossible(length));
}

/** Whether two lengths of frames are stored with at most one byte that differs. */
function isByteApart(one: number, other: number): boolean {
  const change = (one - FRAME_HEADER_BYTES) ^ (other - FRAME_HEADER_BYTES);
  return [0, 8, 16, 24].some((shift) => (change & ~(0xff << shift)) === 0);
}

/**
 * Damaged frames with an LSN that end where a valid one begins. The only lost one began where the frames before it end. Where several
 * are lost, a payload can have any number of them: no more are looked for than can be proven.
 */
function* damagedBefore(search: FrameSearch, offset: number, lsn: Lsn): IoRoutine<readonly FoundFrame[]> {
  if (lsn > search.nextLsn) return yield* damagedAnywhere(search, offset, lsn);
  const found: FoundFrame[] = [];
  for (const start of startsAt(search)) {
    const record = start < offset ? yield* headerAt(search, start) : undefined;
    if (record !== undefined && isDamagedBefore(search, offset, lsn, { offset: start, record })) {
      found.push({ offset: start, record });
    }
  }
  return found;
}

function* damagedAnywhere(search: FrameSearch, offset: number, lsn: Lsn): IoRoutine<readonly FoundFrame[]> {
  const { io, file, from } = search;
  const found: FoundFrame[] = [];
  const bytes = new Uint8Array(STEP_BYTES + MARK_FRAME_BYTES - 1);
  const view = new DataView(bytes.buffer);
  const low = lsn % 2 ** 32;
  let foundBytes = 0;
  for (let position = from; position + MARK_FRAME_BYTES <= offset; position += STEP_BYTES) {
    if (isTurnDue()) yield TURN;
    const part = bytes.subarray(0, Math.min(bytes.length, offset - position));
    const stop = Math.min(STEP_BYTES, (yield* ioSteps.read(io, file, part, position)) - MARK_FRAME_BYTES + 1);
    for (let at = 0; at < stop; at++) {
      if (view.getUint32(at + FRAME_HEADER_BYTES, true) !== low) continue;
      const record = new RecordHeader();
      readRecordHeader(view, at, record);
      const frame = { offset: position + at, record };
      if (!isDamagedBefore(search, offset, lsn, frame)) continue;
      found.push(frame);
      foundBytes += FRAME_HEADER_BYTES + record.length;
      if (foundBytes > PROVEN_BYTES_MAX) return found;
    }
  }
  return found;
}

function isDamagedBefore(
  search: FrameSearch,
  offset: number,
  lsn: Lsn,
  { offset: start, record }: FoundFrame,
): boolean {
  const { blockBytes } = search.header;
  const end = start + FRAME_HEADER_BYTES + record.length;
  const isFrame = record.lsn === lsn && record.length >= MARK_FRAME_BYTES - FRAME_HEADER_BYTES && end <= offset;
  return isFrame && frameStart(start, blockBytes) === start && startsBehind(end, blockBytes).includes(offset);
}

/**
 * Whether the batch of a damaged record goes on behind it; `undefined` when more than one byte is damaged, which may be its flags.
 *
 * @param bytes - of all damaged frames of which one is to be proven
 */
function* isContinued(
  { io, file, header }: FrameSearch,
  { offset, record }: FoundFrame,
  bytes: number,
): IoRoutine<boolean | undefined> {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + record.length);
  yield* ioSteps.read(io, file, frame, offset);
  const damage = yield* singleDamage(frame, seedOf(header), (change) => !isByChance(change, bytes));
  if (damage === undefined) return undefined;
  const flags = damage.offset === FLAGS_OFFSET ? record.flags ^ damage.change : record.flags;
  return (flags & RecordFlag.batchContinues) !== 0;
}

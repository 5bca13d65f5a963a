import { blockEnd, frameStart, type Lsn, MARK_FRAME_BYTES, type SegmentHeader, sealFrames } from '@walstack/codec';
import { HOLE_RECORDS_MAX, writeHole } from '@walstack/codec/internal';
import { seedOf } from '@walstack/mmap-reader/internal';

/** A range of a segment file that is replaced, as it cannot be read, or belongs to a batch of which a part is lost. */
export interface Gap {
  /** Where the frames before it end. */
  readonly from: number;
  /** Where the frames behind it begin; `undefined` at the end of the file. */
  readonly to: number | undefined;
  /** The first LSN that is lost. */
  readonly firstLsn: Lsn;
  /** The LSN behind the last one that is lost: `firstLsn` where only a mark or padding was damaged. */
  readonly nextLsn: Lsn;
  /** One of `HoleReason`. */
  readonly reason: number;
}

/** Bytes in the place of a gap; everything else of it is zeros. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A longer gap has a hole at its beginning, padding, and a frame before its end. */
export const ONE_FRAME_MAX = 128 * 1024;

/** The frames that replace a gap: the reader passes them, and continues behind the gap with its `nextLsn`. */
export function piecesOf({ from, to, firstLsn, nextLsn, reason }: Gap, header: SegmentHeader): readonly Piece[] {
  const { blockBytes } = header;
  const start = frameStart(from, blockBytes);
  if (to === undefined) return holesAt(start, firstLsn, nextLsn, reason, header);
  // Padding is padding again.
  if (nextLsn === firstLsn && to % blockBytes === 0) return [];
  if (to - start <= ONE_FRAME_MAX) {
    return [frameAt(start, to - start, firstLsn, nextLsn - firstLsn, reason, header)];
  }
  // What fills the rest of the last block has at least the bytes of a frame.
  const fill = Math.floor((to - MARK_FRAME_BYTES) / blockBytes) * blockBytes;
  return [
    frameAt(start, MARK_FRAME_BYTES, firstLsn, nextLsn - firstLsn, reason, header),
    ...(to % blockBytes === 0 ? [] : [frameAt(fill, to - fill, nextLsn, 0, reason, header)]),
  ];
}

/** Holes behind each other: one has room for 2³² − 1 records. */
function holesAt(start: number, firstLsn: Lsn, nextLsn: Lsn, reason: number, header: SegmentHeader): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = start;
  for (let lsn = firstLsn; lsn < nextLsn; ) {
    const count = Math.min(nextLsn - lsn, HOLE_RECORDS_MAX);
    pieces.push(frameAt(at, MARK_FRAME_BYTES, lsn, count, reason, header));
    at = frameStart(at + MARK_FRAME_BYTES, header.blockBytes);
    lsn += count;
  }
  return pieces;
}

function frameAt(
  at: number,
  frameBytes: number,
  firstLsn: Lsn,
  count: number,
  reason: number,
  header: SegmentHeader,
): Piece {
  const bytes = new Uint8Array(frameBytes);
  writeHole(new DataView(bytes.buffer), 0, frameBytes, firstLsn, count, reason);
  sealFrames(bytes, 0, frameBytes, at, header.blockBytes, seedOf(header));
  return { at, bytes };
}

/** Where the frames of a gap at the end of a file end. */
export function endOf(gap: Gap, header: SegmentHeader): number {
  const last = piecesOf(gap, header).at(-1);
  return last === undefined ? gap.from : last.at + last.bytes.length;
}

/** The size of a file that ends behind its last frame. */
export const sizeBehind = (end: number, { blockBytes }: SegmentHeader): number => blockEnd(end, blockBytes);

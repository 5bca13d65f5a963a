import { type Lsn, type SegmentHeader, segmentSeed } from '@walstack/codec';
import type { Hole } from '../frames/holes.js';
import type { Sessions } from './sessions.js';
import type { SparseIndex } from './sparse-index.js';

/** One segment of the chain, after it was scanned. */
export interface Segment {
  readonly header: SegmentHeader;
  readonly path: string;
  /** Offset after the last frame that is kept: where the writer is, or where the readable part ends. */
  readonly end: number;
  /** The LSN after the last kept record; `header.firstLsn` when there is none. */
  readonly nextLsn: Lsn;
  /** The positions of some of its records. */
  readonly sparseIndex?: SparseIndex;
  /** Which opening has written which of its records. */
  readonly sessions?: Sessions;
  /** The records of it that are lost, where the log was salvaged around them. */
  readonly holes?: readonly Hole[];
}

/** CRC32C of a segment's id: the seed of the checksums of its frames. */
export function seedOf(header: SegmentHeader): number {
  return segmentSeed(header.segmentId);
}

/** Whether two ids are the same. */
export function sameId(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

import { type Lsn, type SegmentHeader, segmentSeed } from '@walstack/codec';
import type { SparseIndex } from './sparse-index.js';

/** What is known of one segment of the chain. */
export interface Segment {
  readonly header: SegmentHeader;
  readonly path: string;
  /** Offset behind the last frame that is kept: the writer's, or where the readable part ends. */
  readonly end: number;
  /** The LSN behind the last kept record; `header.firstLsn` when there is none. */
  readonly nextLsn: Lsn;
  /** Where some of its records stand. */
  readonly sparseIndex?: SparseIndex;
}

/** CRC32C of a segment's id: what the checksums of its frames continue. */
export function seedOf(header: SegmentHeader): number {
  return segmentSeed(header.segmentId);
}

/** Whether two ids are the same. */
export function sameId(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

import type { SegmentHeader } from '@walstack/codec';

/** A segment that a worker is to find the frames of. */
export interface ScanJob {
  readonly job: number;
  readonly path: string;
  readonly header: SegmentHeader;
}

/** Frames that a worker has found, whose checksums are right. */
export interface FoundFrames {
  readonly job: number;
  /** Position in the file that the offsets are counted from. */
  readonly base: number;
  /** Of each frame, and behind them where the pass stopped. Moved from thread to thread, not copied. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /**
   * The memory that the frames were verified in, moved as well: where the file is not mapped, and so may get a new life before
   * anything else is read of it. `undefined` where the reader maps the same bytes.
   */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

/** That there is no more of a segment: the worker came to the end of its frames, or something kept it from reading. */
interface ScanEnd {
  readonly job: number;
  readonly offsets: undefined;
}

export type ScanAnswer = FoundFrames | ScanEnd;

/** What a worker is given when it is made. */
export interface ScanWorkerData {
  /** For each job, modulo {@link COUNTERS}: how many of its answers were used up. */
  readonly used: SharedArrayBuffer;
}

/** More than jobs are given out at a time. */
export const COUNTERS = 128;

/** Answers of one job that were not used yet, at most: a worker goes no further ahead. */
export const MOST_AHEAD = 32;

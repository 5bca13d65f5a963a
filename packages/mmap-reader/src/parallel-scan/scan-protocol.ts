import type { SegmentHeader } from '@walstack/codec';

/** A segment whose frames a worker is to find. */
export interface ScanJob {
  readonly job: number;
  readonly path: string;
  readonly header: SegmentHeader;
}

/** Frames that a worker has found, whose checksums are valid. */
export interface FoundFrames {
  readonly job: number;
  /** Position in the file to which the offsets are relative. */
  readonly base: number;
  /** The offset of each frame, and at the end where the scan stopped. Transferred between threads, not copied. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /**
   * The memory in which the frames were verified, transferred as well: when the file is not mapped, and so may be
   * reused before it is read again. `undefined` when the reader maps the same bytes.
   */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

/** The end of a segment: the worker reached the end of its frames, or could not read it. */
interface ScanEnd {
  readonly job: number;
  readonly offsets: undefined;
}

export type ScanAnswer = FoundFrames | ScanEnd;

/** The `workerData` of a worker. */
export interface ScanWorkerData {
  /** For each job, modulo {@link COUNTERS}: how many of its answers were used. */
  readonly used: SharedArrayBuffer;
}

/** More than the number of jobs at a time. */
export const COUNTERS = 128;

/** The maximum number of unused answers of one job: a worker does not scan further ahead. */
export const ANSWERS_AHEAD_MAX = 32;

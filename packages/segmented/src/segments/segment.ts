import { blockEnd, type Lsn, type Predecessor, type SegmentHeader, segmentFileName } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';

/** Description of a segment, as `listSegments` returns it. */
export interface SegmentMeta {
  /** Segment number: 1, 2, 3 … within the log. */
  readonly number: number;
  readonly path: string;
  readonly state: 'active' | 'sealed';
  readonly firstLsn: Lsn;
  /** The LSN of the last record; `undefined` when there is no record. */
  readonly lastLsn: Lsn | undefined;
  /** Bytes of the file that hold header, frames and padding. */
  readonly sizeBytes: number;
  /** When it was created, milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** Segment id, 32 hexadecimal digits. */
  readonly id: string;
  /** Position in the log of its first frame, in bytes. */
  readonly firstPosition: number;
  /** Id of the key that it is encrypted with; 0 when it is not. */
  readonly keyId: number;
}

/** Whether a segment has no kept record; marks are not records. */
export function isEmpty(segment: Segment): boolean {
  return segment.nextLsn === segment.header.firstLsn;
}

/** The header fields that chain a new segment to the one before it. */
export interface ChainLink {
  readonly firstPosition: number;
  readonly predecessor: Predecessor | undefined;
  /**
   * Whether the files that the new segment supersedes go to quarantine: salvage creates it, or created the empty one
   * that it replaces.
   */
  readonly salvaged: boolean;
}

/** The chain link of the first segment of a log. */
export const BEGINNING: ChainLink = { firstPosition: 0, predecessor: undefined, salvaged: false };

/**
 * The chain link of the segment behind `last`: its predecessor is `last`, or, when `last` is empty and will be replaced,
 * the predecessor of `last`.
 */
export function linkBehind(last: Segment): ChainLink {
  const { header } = last;
  if (isEmpty(last)) {
    const { firstPosition, predecessor, salvaged } = header;
    return { firstPosition, predecessor, salvaged };
  }
  return {
    firstPosition: header.firstPosition + blockEnd(last.end, header.blockBytes) - header.blockBytes,
    predecessor: { number: header.number, id: header.segmentId },
    salvaged: false,
  };
}

/**
 * The position in the log behind the last byte of a segment. Marks in an empty segment are not counted: the segment that
 * replaces it begins at the same position.
 */
export function positionAt({ header, end, nextLsn }: Pick<Segment, 'header' | 'end' | 'nextLsn'>): number {
  return nextLsn === header.firstLsn ? header.firstPosition : header.firstPosition + end - header.blockBytes;
}

/** The header fields of a new segment, except its chain link. */
export interface SegmentPlan {
  readonly logId: Uint8Array;
  readonly number: number;
  readonly firstLsn: Lsn;
  readonly blockBytes: number;
  readonly createdAtMs: number;
  readonly segmentId: Uint8Array;
  /** `undefined` in a log that belongs to no core. */
  readonly coreId: number | undefined;
  /** Id of the key that it is encrypted with; 0 when it is not. */
  readonly keyId: number;
  /** The LSN from which on the log is encrypted, if this segment is. */
  readonly encryptedFrom: Lsn;
}

/** The header of a new segment. */
export function headerOf(plan: SegmentPlan, from: ChainLink): SegmentHeader {
  // Field by field: with object spread, V8 gives the headers different shapes, and every roll would deoptimise the
  // append
  // path (measured).
  return {
    blockBytes: plan.blockBytes,
    encrypted: plan.keyId !== 0,
    salvaged: from.salvaged,
    keyId: plan.keyId,
    encryptedFrom: plan.keyId === 0 ? 0 : plan.encryptedFrom,
    firstLsn: plan.firstLsn,
    number: plan.number,
    logId: plan.logId,
    segmentId: plan.segmentId,
    createdAtMs: plan.createdAtMs,
    coreId: plan.coreId,
    firstPosition: from.firstPosition,
    predecessor: from.predecessor,
  };
}

/** The file name of a segment. */
export function nameOf(header: SegmentHeader): string {
  return segmentFileName(header.number, header.firstLsn);
}

/** An id in hexadecimal digits. */
function hex(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
}

/** The public description of a segment. */
export function metaOf(segment: Segment, state: SegmentMeta['state']): SegmentMeta {
  const { header } = segment;
  return Object.freeze({
    number: header.number,
    path: segment.path,
    state,
    firstLsn: header.firstLsn,
    lastLsn: isEmpty(segment) ? undefined : segment.nextLsn - 1,
    sizeBytes: segment.end,
    createdAtMs: header.createdAtMs,
    id: hex(header.segmentId),
    firstPosition: header.firstPosition,
    keyId: header.keyId,
  });
}

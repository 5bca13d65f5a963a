import { isHole, RecordFlag, type SegmentHeader } from '@walstack/codec';
import { sameId } from '../chain/segment.js';
import type { LogTailOptions } from '../directory/log-tail-options.js';
import type { Frames } from '../frames/frames.js';
import type { WalRecord } from './wal-record.js';

/** A frame as it is in its segment file. */
export interface StoredFrame {
  /** Offset in the file, in bytes. */
  readonly position: number;
  /** Length and checksum included; a copy. */
  readonly bytes: Uint8Array;
}

/** What a segment has behind its last record, where records are lost. */
export interface SegmentEnd {
  readonly segment: SegmentHeader;
  /** Marks, and at least one hole. */
  readonly frames: readonly StoredFrame[];
}

/** A record with its frame: encrypted and compressed where that is, so meta and payload are what the frame contains. */
export interface StoredRecord extends WalRecord, StoredFrame {
  readonly segment: SegmentHeader;
  /** The marks, and holes that are skipped, between the record before and this one, in the same segment. */
  readonly marks: readonly StoredFrame[];
  /** The ends of the segments between the record before and this one that have holes, which are skipped. */
  readonly ends: readonly SegmentEnd[];
  /** Whether the batch continues in the next record. */
  readonly isContinued: boolean;
}

const NONE: readonly never[] = Object.freeze([]);

/** Copies the frames of a walk that returns records as they are stored. */
export class StoredFrames {
  #segment: SegmentHeader | undefined;
  #marks: StoredFrame[] = [];
  /** Whether a hole is among the marks. */
  #hasHole = false;
  #ends: SegmentEnd[] = [];

  /** Called when a segment is entered, maybe the one that was read before, further on. */
  enter(segment: SegmentHeader): void {
    const before = this.#segment;
    this.#segment = segment;
    if (before !== undefined && sameId(before.segmentId, segment.segmentId)) return;
    if (before !== undefined && this.#hasHole) this.#ends.push({ segment: before, frames: this.#marks });
    this.#dropMarks();
  }

  /** Keeps a mark for the record behind it. A mark may be read twice. */
  passMark(frames: Frames): void {
    const { position } = frames;
    if (position <= (this.#marks.at(-1)?.position ?? 0)) return;
    this.#marks.push({ position, bytes: frames.frame().slice() });
    this.#hasHole ||= isHole(frames.record);
  }

  /** A record is skipped: what was before it is not needed. */
  skip(): void {
    if (this.#marks.length > 0) this.#dropMarks();
    if (this.#ends.length > 0) this.#ends = [];
  }

  #dropMarks(): void {
    this.#marks = [];
    this.#hasHole = false;
  }

  /** The current record. @throws `WAL_CORRUPT` when the memory could not be read */
  record(frames: Frames): StoredRecord {
    const { lsn, type, scope, timestampMs, position, flags, metaLength, header: segment } = frames;
    const bytes = frames.frame().slice();
    const body = bytes.subarray(bytes.length - frames.body().length);
    frames.checkRead();
    const marks = this.#marks.length === 0 ? NONE : this.#marks;
    const ends = this.#ends.length === 0 ? NONE : this.#ends;
    if (marks.length > 0) this.#dropMarks();
    if (ends.length > 0) this.#ends = [];
    const isContinued = (flags & RecordFlag.batchContinues) !== 0;
    const content = { meta: body.subarray(0, metaLength), payload: body.subarray(metaLength) };
    return { lsn, type, scope, timestampMs, ...content, segment, position, bytes, marks, ends, isContinued };
  }
}

const storedOptions = new WeakSet<object>();

/** Options of a tail that returns {@link StoredRecord}s, and needs no keys. */
export function asStored(options: LogTailOptions): LogTailOptions {
  const marked = { ...options };
  storedOptions.add(marked);
  return marked;
}

/** Whether options were made by {@link asStored}. */
export const isStored = (options: LogTailOptions): boolean => storedOptions.has(options);

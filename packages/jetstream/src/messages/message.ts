import {
  decodeFrame,
  decodeSegmentHeader,
  encodeSegmentHeader,
  isHole,
  isMark,
  type Lsn,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentSeed,
  WalError,
} from '@walstack/codec';
import { getUint64, setUint64 } from '@walstack/codec/internal';
import type { StoredFrame, StoredRecord } from '@walstack/mmap-reader/internal';

/** Bytes before each frame of a message: its position in the segment file. */
const POSITION_BYTES = 8;

/** The beginning of a segment, in a stream: its header. */
export interface SegmentMessage {
  readonly kind: 'segment';
  readonly header: SegmentHeader;
}

/** A record in a stream, with the marks before it in its segment. */
export interface RecordMessage {
  readonly kind: 'record';
  readonly lsn: Lsn;
  readonly timestampMs: number;
  /** The last one is the record. */
  readonly frames: readonly StoredFrame[];
  /** Whether the batch continues in the next record. */
  readonly isContinued: boolean;
}

/** What a segment has behind its last record, in a stream, where records are lost. */
export interface EndMessage {
  readonly kind: 'end';
  /** Marks, and at least one hole. */
  readonly frames: readonly StoredFrame[];
}

/** The bytes of a message with the header of a segment. */
export function encodeSegmentMessage(header: SegmentHeader): Uint8Array {
  const block = new Uint8Array(SEGMENT_HEADER_BYTES);
  encodeSegmentHeader(block, header);
  return block;
}

/** The bytes of a message with a record. */
export const encodeRecordMessage = (record: StoredRecord): Uint8Array =>
  encodeFrames(record.marks.length === 0 ? [record] : [...record.marks, record]);

/** The bytes of a message with frames: for each one its position in the segment file, and its bytes as they are there. */
export function encodeFrames(frames: readonly StoredFrame[]): Uint8Array {
  let length = 0;
  for (const { bytes } of frames) length += POSITION_BYTES + bytes.length;
  const message = new Uint8Array(length);
  const view = new DataView(message.buffer);
  let at = 0;
  for (const { position, bytes } of frames) {
    setUint64(view, at, position);
    message.set(bytes, at + POSITION_BYTES);
    at += POSITION_BYTES + bytes.length;
  }
  return message;
}

/** Whether a message has the header of a segment: no position is as large as the text that it begins with. */
export function isSegmentMessage(bytes: Uint8Array): boolean {
  return (
    bytes.length === SEGMENT_HEADER_BYTES &&
    Buffer.from(bytes.buffer, bytes.byteOffset, 8).toString('latin1') === 'WALSTACK'
  );
}

/** @throws `WAL_CORRUPT` */
export function decodeSegmentMessage(bytes: Uint8Array, where: string): SegmentMessage {
  try {
    return { kind: 'segment', header: decodeSegmentHeader(bytes, where) };
  } catch (cause) {
    throw damaged(where, 'header', 'the header of a segment in it cannot be read', { cause });
  }
}

/**
 * Reads a record or the end of a segment, and verifies the checksum of each of its frames.
 *
 * @param header - of the segment that the record belongs to
 * @throws `WAL_CORRUPT`
 */
export function decodeFramesMessage(
  bytes: Uint8Array,
  header: SegmentHeader,
  where: string,
): RecordMessage | EndMessage {
  const seed = segmentSeed(header.segmentId);
  const frames = framesIn(bytes, where);
  for (const { bytes: frame } of frames) {
    const data = decodeFrame(frame, 0, seed);
    if (data === undefined || data.length !== frame.length - 8)
      throw damaged(where, 'checksum', 'a frame in it is damaged');
  }
  const record = headerIn(frames.at(-1) as StoredFrame);
  if (isMark(record) || isHole(record)) return { kind: 'end', frames };
  return {
    kind: 'record',
    lsn: record.lsn,
    timestampMs: header.createdAtMs + record.elapsedMs,
    frames,
    isContinued: (record.flags & RecordFlag.batchContinues) !== 0,
  };
}

/** The header of the record, mark or hole in a frame. */
export function headerIn({ bytes }: StoredFrame): RecordHeader {
  const record = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, record);
  return record;
}

/**
 * The frame of the record in a message, and its LSN; `undefined` where that has the end of a segment. Nothing is verified but lengths.
 *
 * @throws `WAL_CORRUPT`
 */
export function recordFrameIn(
  bytes: Uint8Array,
  where: string,
): { readonly lsn: Lsn; readonly frame: StoredFrame } | undefined {
  const frame = framesIn(bytes, where).at(-1) as StoredFrame;
  const record = headerIn(frame);
  return isMark(record) || isHole(record) ? undefined : { lsn: record.lsn, frame };
}

function framesIn(bytes: Uint8Array, where: string): StoredFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: StoredFrame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + POSITION_BYTES;
    if (start + 32 > bytes.length) throw damaged(where, 'length', 'a frame in it is cut off');
    const end = start + 8 + view.getUint32(start, true);
    if (end > bytes.length || end < start + 32) throw damaged(where, 'length', 'a frame in it is cut off');
    frames.push({ position: getUint64(view, at), bytes: bytes.subarray(start, end) });
    at = end;
  }
  if (frames.length === 0) throw damaged(where, 'length', 'it is empty');
  return frames;
}

/** The error for a message that is none of a log. */
export function damaged(where: string, reason: string, what: string, options?: ErrorOptions): WalError {
  return new WalError('WAL_CORRUPT', `${where}: ${what}`, { path: where, reason }, options);
}

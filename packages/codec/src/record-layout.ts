import { outOfRange } from './arguments/checks.js';
import { FRAME_HEADER_BYTES } from './frames-in-blocks.js';
import { getUint64, setUint64 } from './integers.js';
import type { Lsn } from './lsn.js';

/** Bytes of a record header, the part of a frame's data before scope, meta and payload. */
export const RECORD_HEADER_BYTES = 24;

/** Bytes of the scope of a record that has one. */
export const SCOPE_BYTES = 24;

/** Bytes of the authentication tag behind the ciphertext of an encrypted record. */
export const ENCRYPTION_TAG_BYTES = 16;

/** Bytes of a mark, its frame header included. */
export const MARK_FRAME_BYTES = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;

/** The longest meta, in bytes. */
export const META_BYTES_MAX = 0xffff;

/** A durable lag that proves nothing. */
export const LAG_UNKNOWN = 0xffff_ffff;

/** Bits of a record's flags. */
export const RecordFlag = {
  /** The batch continues in the next record. */
  batchContinues: 1,
  /** The payload is compressed; the codec says how. */
  compressed: 2,
  /** Meta and payload are encrypted. */
  encrypted: 4,
  /** The record has a scope, before the meta. */
  scoped: 8,
  /** The frame holds a mark, not a record. */
  mark: 16,
  /** The frame stands for records that are lost: see `writeHole`. */
  hole: 32,
} as const;

const KNOWN_FLAGS = 63;
const LAST_CODEC = 2;

/** Why a mark was written: the type of its frame. */
export const MarkType = {
  /** Nothing was appended for a while. */
  idle: 0,
  /** The log was closed. */
  closed: 1,
  /** Recovery wrote it behind the last record that it kept. */
  recovered: 2,
  /** A log that had been closed goes on behind it, in the same segment. */
  opened: 3,
} as const;

/** Why records are lost: the time field of a hole. */
export const HoleReason = {
  /** Their bytes cannot be read. */
  unreadable: 1,
  /** The header of their segment cannot be read. */
  header: 2,
  /** The file of their segment is missing. */
  missing: 3,
  /** Nothing is left of them: the checkpoint, a hold, or a name shows that they were there. */
  end: 4,
} as const;

/** The largest number of records that one hole stands for. */
export const HOLE_RECORDS_MAX = 0xffff_ffff;

/** Marks of this type, and higher ones, begin a session: the rest of the type, and the time, are its id. */
const SESSION_MARK = 0x8000_0000;

/** The tenant, database and shard that a record belongs to. */
export interface RecordScope {
  /** Unsigned, 64 bits. */
  readonly tenantId: bigint;
  /** Unsigned, 64 bits. */
  readonly databaseId: bigint;
  /** Unsigned, 32 bits. */
  readonly vshardId: number;
}

/** The header of a record and the length of its frame. Readers reuse one object for all records. */
export class RecordHeader {
  /** Bytes of the frame's data: header, scope, meta and payload. */
  length = 0;
  lsn: Lsn = 0;
  /** The application's own number, unsigned 32 bits. */
  type = 0;
  /** LSN minus the highest LSN known durable when the record was encoded; {@link LAG_UNKNOWN} proves nothing. */
  durableLag = 0;
  /** In bytes. */
  metaLength = 0;
  /** Bits of {@link RecordFlag}. */
  flags = 0;
  /** 0 none, 1 deflate-raw, 2 zstd. */
  codec = 0;
  /** Milliseconds since the segment was created; saturates at 2^32 − 1. */
  elapsedMs = 0;
}

/** Bytes of a record's frame in the file. */
export function recordFrameBytes(payloadLength: number, metaLength: number, scoped: boolean): number {
  return FRAME_HEADER_BYTES + RECORD_HEADER_BYTES + (scoped ? SCOPE_BYTES : 0) + metaLength + payloadLength;
}

/**
 * Writes the header of a record and its frame's length at `offset`, and leaves the checksum word open for
 * {@link sealFrames}. Scope, meta and payload stand behind it, from `offset + 32` on.
 *
 * @param frameBytes - as {@link recordFrameBytes} gives it
 * @param durableLsn - highest LSN known durable
 * @param elapsedMs - since the segment was created; saturates, and is written as 0 when the clock went back
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) when `durableLsn` is not below `lsn`: readers reject such a record
 */
export function writeRecordHeader(
  view: DataView,
  offset: number,
  frameBytes: number,
  lsn: Lsn,
  type: number,
  durableLsn: Lsn,
  metaLength: number,
  flags: number,
  codec: number,
  elapsedMs: number,
): void {
  const lag = lsn - durableLsn;
  if (!(lag >= 1)) throw outOfRange('durableLsn', `below the record's LSN, ${lsn}`, durableLsn);
  view.setUint32(offset, frameBytes - FRAME_HEADER_BYTES, true);
  view.setUint32(offset + 4, 0, true);
  setUint64(view, offset + 8, lsn);
  view.setUint32(offset + 16, type, true);
  view.setUint32(offset + 20, Math.min(lag, LAG_UNKNOWN), true);
  // As one word: the length of the meta, the flags and the codec.
  view.setUint32(offset + 24, metaLength | (flags << 16) | (codec << 24), true);
  view.setUint32(offset + 28, Math.max(0, Math.min(elapsedMs, 0xffff_ffff)), true);
}

/** Writes a scope at `offset`. */
export function writeScope(view: DataView, offset: number, scope: RecordScope): void {
  view.setBigUint64(offset, scope.tenantId, true);
  view.setBigUint64(offset + 8, scope.databaseId, true);
  view.setUint32(offset + 16, scope.vshardId, true);
  view.setUint32(offset + 20, 0, true);
}

/** Reads a scope at `offset`. */
export function readScope(view: DataView, offset: number): RecordScope {
  return {
    tenantId: view.getBigUint64(offset, true),
    databaseId: view.getBigUint64(offset + 8, true),
    vshardId: view.getUint32(offset + 16, true),
  };
}

/**
 * Writes a mark at `offset`, its checksum word open. A mark states that everything before `nextLsn` is durable.
 *
 * @param nextLsn - the LSN of the next record; the mark does not consume it
 * @param type - one of {@link MarkType}
 */
export function writeMark(view: DataView, offset: number, nextLsn: Lsn, type: number, elapsedMs: number): void {
  writeRecordHeader(view, offset, MARK_FRAME_BYTES, nextLsn, type, nextLsn - 1, 0, RecordFlag.mark, 0, elapsedMs);
}

/**
 * Writes the mark that begins a session, its checksum word open: what an opening appends to a segment that an earlier one
 * has written.
 *
 * @param id - random bytes, of which 63 bits are used
 */
export function writeSessionMark(view: DataView, offset: number, nextLsn: Lsn, id: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = id;
  const random = new DataView(buffer, byteOffset, byteLength);
  const type = (random.getUint32(0, true) | SESSION_MARK) >>> 0;
  writeMark(view, offset, nextLsn, type, random.getUint32(4, true));
}

/**
 * Writes a hole at `offset`, its checksum word open: a frame in the place of records that are lost. With a count of 0 it
 * only fills bytes in which no record was.
 *
 * @param frameBytes - of the frame, at least {@link MARK_FRAME_BYTES}; what is behind its header stays as it is
 * @param firstLsn - of the lost records; the frame behind it has the LSN `firstLsn + count`
 * @param count - how many records are lost, 0 to {@link HOLE_RECORDS_MAX}
 * @param reason - one of {@link HoleReason}
 */
export function writeHole(
  view: DataView,
  offset: number,
  frameBytes: number,
  firstLsn: Lsn,
  count: number,
  reason: number,
): void {
  writeRecordHeader(view, offset, frameBytes, firstLsn, count, firstLsn - 1, 0, RecordFlag.hole, 0, reason);
}

/** The id of the session that a mark begins, 16 hexadecimal digits; `undefined` for any other mark. */
export function sessionOf({ type, elapsedMs }: RecordHeader): string | undefined {
  if (type < SESSION_MARK) return undefined;
  return type.toString(16) + elapsedMs.toString(16).padStart(8, '0');
}

/** Reads the header of the frame at `offset`, whose data has at least 24 bytes, into `header`. */
export function readRecordHeader(view: DataView, offset: number, header: RecordHeader): void {
  header.length = view.getUint32(offset, true);
  header.lsn = getUint64(view, offset + 8);
  header.type = view.getUint32(offset + 16, true);
  header.durableLag = view.getUint32(offset + 20, true);
  header.metaLength = view.getUint16(offset + 24, true);
  header.flags = view.getUint8(offset + 26);
  header.codec = view.getUint8(offset + 27);
  header.elapsedMs = view.getUint32(offset + 28, true);
}

/** Whether a header is that of a mark. */
export function isMark(header: RecordHeader): boolean {
  return (header.flags & RecordFlag.mark) !== 0;
}

/** Whether a header is that of a hole. */
export function isHole(header: RecordHeader): boolean {
  return (header.flags & RecordFlag.hole) !== 0;
}

/** What is wrong with the fields of a record whose checksum is right. */
export type RecordProblem = 'unknown-flags' | 'unknown-codec' | 'impossible-fields';

/**
 * The problem with the fields of a record, or `undefined` when they are valid together. With a right checksum, a problem
 * is never a torn write: unknown bits come from a later version of the format, the rest from corruption or an attack.
 */
export function recordProblem(header: RecordHeader): RecordProblem | undefined {
  if (header.flags > KNOWN_FLAGS) return 'unknown-flags';
  if (header.codec > LAST_CODEC) return 'unknown-codec';
  if (isHole(header) && header.lsn + header.type > Number.MAX_SAFE_INTEGER) return 'impossible-fields';
  return fieldsFit(header.length, header.durableLag, header.metaLength, header.flags, header.codec)
    ? undefined
    : 'impossible-fields';
}

/** Whether the fields of a frame with known flags and codec are valid together. */
export function fieldsFit(
  length: number,
  durableLag: number,
  metaLength: number,
  flags: number,
  codec: number,
): boolean {
  if (durableLag === 0) return false;
  if ((flags & RecordFlag.mark) !== 0) {
    return (
      flags === RecordFlag.mark && length === RECORD_HEADER_BYTES && metaLength === 0 && codec === 0 && durableLag === 1
    );
  }
  if ((flags & RecordFlag.hole) !== 0) {
    return flags === RecordFlag.hole && metaLength === 0 && codec === 0 && durableLag === 1;
  }
  if (((flags & RecordFlag.compressed) !== 0) !== (codec !== 0)) return false;
  const fixed =
    RECORD_HEADER_BYTES +
    ((flags & RecordFlag.scoped) !== 0 ? SCOPE_BYTES : 0) +
    ((flags & RecordFlag.encrypted) !== 0 ? ENCRYPTION_TAG_BYTES : 0);
  return fixed + metaLength <= length;
}

/** The highest LSN that a valid frame proves durable; 0 when it proves none. */
export function provenDurable(lsn: Lsn, durableLag: number): Lsn {
  return durableLag === LAG_UNKNOWN ? 0 : lsn - durableLag;
}

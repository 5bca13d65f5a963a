import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import {
  decodeFrame,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  isHole,
  isMark,
  type Lsn,
  MarkType,
  provenDurable,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  readScope,
  SCOPE_BYTES,
  type SegmentHeader,
  scanFrames,
  segmentSeed,
} from '@walstack/codec';
import { findDurabilityProof } from '@walstack/codec/internal';

/** A frame of a segment, with the fields of its record header. */
export interface FrameView {
  readonly offset: number;
  /** Bytes of the frame, its header included. */
  readonly bytes: number;
  readonly kind: 'record' | 'mark' | 'hole';
  readonly lsn: Lsn;
  readonly type: number;
  /** LSN minus the highest LSN that was durable when the frame was written. */
  readonly durableLag: number;
  /** Everything up to this LSN was durable when the frame was written; 0 when it proves nothing. */
  readonly provenLsn: Lsn;
  readonly flags: readonly string[];
  readonly codec: number;
  readonly metaBytes: number;
  readonly elapsedMs: number;
}

/** A segment file in memory. */
export interface SegmentBytes {
  readonly path: string;
  readonly name: string;
  readonly header: SegmentHeader;
  readonly bytes: Uint8Array;
}

/** Not more is read by a call: a segment may be longer than `readFileSync` reads. */
const PIECE_BYTES = 1024 * 1024 * 1024;

/** Reads a segment file as a whole. @throws `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION`, what `node:fs` throws */
export function readSegment(path: string): SegmentBytes {
  const bytes = bytesOf(path);
  return { path, name: basename(path), header: decodeSegmentHeader(bytes, path), bytes };
}

function bytesOf(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(fstatSync(file).size);
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(file, bytes, at, Math.min(PIECE_BYTES, bytes.length - at), at);
      // It was cut off meanwhile.
      if (count === 0) return bytes.subarray(0, at);
      at += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

const MARK_NAMES = new Map<number, string>(Object.entries(MarkType).map(([name, type]) => [type, name]));

/** Why a mark was written. */
export const markName = (type: number): string => MARK_NAMES.get(type) ?? 'session';

/** The fields of the frame at an offset. */
export function frameAt(bytes: Uint8Array, offset: number): FrameView {
  const header = new RecordHeader();
  readRecordHeader(viewOf(bytes), offset, header);
  const names = Object.entries(RecordFlag).filter(([, bit]) => (header.flags & bit) !== 0);
  return {
    offset,
    bytes: header.length + FRAME_HEADER_BYTES,
    kind: isMark(header) ? 'mark' : isHole(header) ? 'hole' : 'record',
    lsn: header.lsn,
    type: header.type,
    durableLag: header.durableLag,
    provenLsn: provenDurable(header.lsn, header.durableLag),
    flags: names.map(([name]) => name),
    codec: header.codec,
    metaBytes: header.metaLength,
    elapsedMs: header.elapsedMs,
  };
}

const OFFSETS = 16_384;

/**
 * Walks over the frames of a segment whose checksums are right, from its beginning.
 *
 * @param visit - called with the offset of each frame
 * @returns where the walk ended: behind the last frame and the padding that it read
 */
export function walkFrames({ bytes, header }: SegmentBytes, visit: (offset: number) => void): number {
  const seed = segmentSeed(header.segmentId);
  const offsets = new Uint32Array(OFFSETS);
  let at = header.blockBytes;
  while (at < bytes.length) {
    const count = scanFrames(bytes, at, bytes.length, at, header.blockBytes, seed, offsets);
    for (let index = 0; index < count; index++) visit(offsets[index] as number);
    const stop = offsets[count] as number;
    if (count < OFFSETS - 1) return lastEnd(bytes, offsets, count, at);
    at = stop;
  }
  return at;
}

/** Where the last frame of a scan ends; what is behind is padding, or no frame. */
function lastEnd(bytes: Uint8Array, offsets: Uint32Array, count: number, from: number): number {
  if (count === 0) return from;
  const last = offsets[count - 1] as number;
  return last + FRAME_HEADER_BYTES + viewOf(bytes).getUint32(last, true);
}

/** What is around the place where the frames of a segment end. */
export interface Surroundings {
  /** The last frames before it. */
  readonly before: readonly FrameView[];
  /** Where the last frame before it ends. */
  readonly end: number;
  /** The LSN of the next record. */
  readonly nextLsn: Lsn;
  /** Bytes from `end` to the last byte that is not zero. */
  readonly bytesBehind: number;
  /** The first frame behind it that proves that a record from `nextLsn` on had been durable; `undefined` when there is none. */
  readonly proof: FrameView | undefined;
}

const FRAMES_SHOWN = 3;

/** Reads the surroundings of the place where the readable frames of a segment end. */
export function surroundings(segment: SegmentBytes): Surroundings {
  const { bytes, header } = segment;
  const last: number[] = [];
  const end = walkFrames(segment, (offset) => {
    last.push(offset);
    if (last.length > FRAMES_SHOWN) last.shift();
  });
  const before = last.map((offset) => frameAt(bytes, offset));
  const latest = before.at(-1);
  const nextLsn = latest === undefined ? header.firstLsn : behind(latest);
  let lastByte = bytes.length;
  while (lastByte > end && bytes[lastByte - 1] === 0) lastByte--;
  return { before, end, nextLsn, bytesBehind: lastByte - end, proof: proofBehind(segment, end, nextLsn, lastByte) };
}

const behind = ({ kind, lsn, type }: FrameView): Lsn =>
  kind === 'mark' ? lsn : kind === 'hole' ? lsn + type : lsn + 1;

/** More is not searched for what is only shown: whether a log is refused was decided by its recovery. */
const BYTES_VERIFIED_MAX = 1024 * 1024 * 1024;

function proofBehind({ bytes, header }: SegmentBytes, end: number, lsn: Lsn, lastByte: number): FrameView | undefined {
  const seed = segmentSeed(header.segmentId);
  const lastLsn = lsn + Math.floor((lastByte - end) / (FRAME_HEADER_BYTES + RECORD_HEADER_BYTES));
  let verified = 0;
  for (let at = end; verified < BYTES_VERIFIED_MAX; at++) {
    at = findDurabilityProof(bytes, at, bytes.length, bytes.length - at, lsn, lastLsn);
    if (at < 0) return undefined;
    const data = decodeFrame(bytes, at, seed);
    verified += viewOf(bytes).getUint32(at, true);
    if (data !== undefined) return frameAt(bytes, at);
  }
  return undefined;
}

/** A named part of a frame's bytes. */
export interface FramePart {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Its value, where it is a number or a list of flags. */
  readonly value: string;
}

/** The bytes of a frame with their names, as the format describes them. */
export function partsOf(bytes: Uint8Array, offset: number): FramePart[] {
  const frame = frameAt(bytes, offset);
  const view = viewOf(bytes);
  const parts: FramePart[] = [];
  let at = offset;
  const add = (name: string, length: number, value: string): void => {
    parts.push({ name, offset: at, bytes: bytes.subarray(at, at + length), value });
    at += length;
  };
  add('length', 4, String(frame.bytes - FRAME_HEADER_BYTES));
  add(
    'checksum',
    4,
    `0x${view
      .getUint32(offset + 4, true)
      .toString(16)
      .padStart(8, '0')}`,
  );
  add('lsn', 8, String(frame.lsn));
  add('type', 4, frame.kind === 'mark' ? `${frame.type} (${markName(frame.type)})` : String(frame.type));
  add('durable lag', 4, `${frame.durableLag} (proves ${frame.provenLsn === 0 ? 'nothing' : `LSN ${frame.provenLsn}`})`);
  add('meta length', 2, String(frame.metaBytes));
  add('flags', 1, frame.flags.join(', ') || 'none');
  add('codec', 1, ['none', 'deflate', 'zstd'][frame.codec] ?? String(frame.codec));
  add('elapsed', 4, `${frame.elapsedMs} ms`);
  if (frame.flags.includes('scoped')) {
    const { tenantId, databaseId, vshardId } = readScope(view, at);
    add('scope', SCOPE_BYTES, `tenant ${tenantId}, database ${databaseId}, shard ${vshardId}`);
  }
  const isEncrypted = frame.flags.includes('encrypted');
  if (frame.metaBytes > 0) add('meta', frame.metaBytes, isEncrypted ? 'encrypted' : '');
  add(isEncrypted ? 'payload, tag' : 'payload', offset + frame.bytes - at, isEncrypted ? 'encrypted' : '');
  return parts;
}

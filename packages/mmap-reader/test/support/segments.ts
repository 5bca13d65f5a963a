import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  blockEnd,
  encodeSegmentHeader,
  frameStart,
  MARK_FRAME_BYTES,
  MarkType,
  RecordFlag,
  type RecordScope,
  recordFrameBytes,
  type SegmentHeader,
  sealFrames,
  segmentFileName,
  segmentSeed,
  writeMark,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';

/** A record of a made segment. */
export interface MadeRecord {
  readonly payload: string;
  readonly type?: number;
  readonly meta?: string;
  readonly scope?: RecordScope;
  readonly flags?: number;
  /** Begin at the next block. */
  readonly padded?: boolean;
  /** Put a mark behind it. */
  readonly marked?: boolean;
  /** Instead of the one that counts on. */
  readonly lsn?: number;
  /** The last LSN that was durable when it was encoded. Default: the one before. */
  readonly durableLsn?: number;
}

/** What a segment is made of. */
export interface Recipe {
  readonly records: readonly MadeRecord[];
  readonly firstLsn?: number;
  readonly number?: number;
  readonly blockBytes?: number;
  readonly predecessor?: SegmentHeader['predecessor'];
  /** Bytes behind the last frame. */
  readonly tail?: Uint8Array;
}

/** A segment as it was made. */
export interface MadeSegment {
  readonly name: string;
  readonly header: SegmentHeader;
  readonly bytes: Uint8Array;
  /** Where each frame of a record begins. */
  readonly offsets: readonly number[];
  /** Where the last frame ends. */
  readonly end: number;
}

const encoder = new TextEncoder();
const LOG_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
export const CREATED_AT = 1_700_000_000_000;

const idOf = (number: number): Uint8Array => Uint8Array.from({ length: 16 }, (_, index) => number * 17 + index * 5 + 1);

/** Makes a segment as a writer would, byte for byte. */
export function makeSegment(recipe: Recipe): MadeSegment {
  const { firstLsn = 1, number = 1, blockBytes = 512, records, predecessor } = recipe;
  const header: SegmentHeader = {
    blockBytes,
    encrypted: false,
    salvaged: false,
    keyId: 0,
    encryptedFrom: 0,
    firstLsn,
    number,
    logId: LOG_ID,
    segmentId: idOf(number),
    createdAtMs: CREATED_AT,
    coreId: undefined,
    firstPosition: 0,
    predecessor,
  };
  const room = records.reduce((sum, record) => sum + boundOf(record, blockBytes), 2 * blockBytes);
  const bytes = new Uint8Array(room);
  const view = new DataView(bytes.buffer);
  encodeSegmentHeader(bytes.subarray(0, blockBytes), header);
  const offsets: number[] = [];
  let at = blockBytes;
  let next = firstLsn;
  for (const record of records) {
    if (record.padded === true) at = blockEnd(at, blockBytes);
    at = frameStart(at, blockBytes);
    offsets.push(at);
    const lsn = record.lsn ?? next;
    at = writeRecord(bytes, view, at, record, lsn);
    next = lsn + 1;
    if (record.marked === true) {
      at = frameStart(at, blockBytes);
      writeMark(view, at, next, MarkType.idle, 5);
      at += MARK_FRAME_BYTES;
    }
  }
  sealFrames(bytes, blockBytes, at, blockBytes, blockBytes, segmentSeed(header.segmentId));
  const whole = bytes.slice(0, blockEnd(at, blockBytes));
  const { tail } = recipe;
  const file = tail === undefined ? whole : concatenated(whole.subarray(0, at), tail);
  return { name: segmentFileName(number, firstLsn), header, bytes: file, offsets, end: at };
}

function writeRecord(bytes: Uint8Array, view: DataView, at: number, record: MadeRecord, lsn: number): number {
  const { scope, type = 0, flags = 0 } = record;
  const payload = encoder.encode(record.payload);
  const meta = encoder.encode(record.meta ?? '');
  const frameBytes = recordFrameBytes(payload.length, meta.length, scope !== undefined);
  const bits = flags | (scope === undefined ? 0 : RecordFlag.scoped);
  writeRecordHeader(view, at, frameBytes, lsn, type, record.durableLsn ?? lsn - 1, meta.length, bits, 0, 3);
  let body = at + 32;
  if (scope !== undefined) {
    writeScope(view, body, scope);
    body += 24;
  }
  bytes.set(meta, body);
  bytes.set(payload, body + meta.length);
  return at + frameBytes;
}

const boundOf = ({ payload, meta = '' }: MadeRecord, blockBytes: number): number =>
  3 * payload.length + 3 * meta.length + 128 + 2 * blockBytes;

function concatenated(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Segments of a chain, so many records in each. */
export function makeChain(counts: readonly number[], record: (lsn: number) => MadeRecord = plain): MadeSegment[] {
  const chain: MadeSegment[] = [];
  let firstLsn = 1;
  for (const [index, count] of counts.entries()) {
    const before = chain.at(-1)?.header;
    chain.push(
      makeSegment({
        number: index + 1,
        firstLsn,
        records: Array.from({ length: count }, (_, step) => record(firstLsn + step)),
        ...(before === undefined ? {} : { predecessor: { number: before.number, id: before.segmentId } }),
      }),
    );
    firstLsn += count;
  }
  return chain;
}

/** The record that tests expect under an LSN. */
export const plain = (lsn: number): MadeRecord => ({ payload: textOf(lsn), type: lsn % 5 });

export const textOf = (lsn: number): string => `payload of ${lsn}${'.'.repeat(lsn % 40)}`;

/** Writes segments into a directory. @returns their paths */
export function writeSegments(directory: string, segments: readonly MadeSegment[]): string[] {
  return segments.map(({ name, bytes }) => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return path;
  });
}

/** A segment that has a successor, so that it is sealed, in a directory of its own. @returns its path */
export function sealedFile(segment: MadeSegment): string {
  const { header } = segment;
  const successor = makeSegment({
    number: header.number + 1,
    firstLsn: header.firstLsn + segment.offsets.length,
    records: [],
    predecessor: { number: header.number, id: header.segmentId },
  });
  return writeSegments(temporaryDirectory(), [segment, successor])[0] as string;
}

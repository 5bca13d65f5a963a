import { readFileSync } from 'node:fs';
import {
  frameStart,
  MARK_FRAME_BYTES,
  RecordFlag,
  type RecordHeader,
  type RecordScope,
  recordFrameBytes,
  SCOPE_BYTES,
  type SegmentHeader,
  writeMark,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';

/** Bytes in a vector file: text is hex, a number is that many zero bytes. */
export type Runs = readonly (string | number)[];

export interface VectorScope {
  readonly tenant: string;
  readonly database: string;
  readonly shard: number;
}

export interface RecordVector {
  readonly lsn: number;
  readonly type: number;
  readonly lag: number;
  readonly timeMs: number;
  readonly flags: number;
  readonly scope: VectorScope | null;
  readonly meta: Runs;
  readonly payload: Runs;
}

export interface HeaderVector {
  readonly name: string;
  readonly blockSize: number;
  readonly firstLsn: number;
  readonly segmentNumber: number;
  readonly logId: string;
  readonly segmentId: string;
  readonly createdAtMs: number;
  readonly encrypted: boolean;
  readonly salvaged: boolean;
  readonly keyId: number;
  readonly encryptedFrom: number;
  readonly coreId: number | null;
  readonly firstPosition: number;
  readonly previousNumber: number;
  readonly previousId: string;
  readonly bytes: Runs;
}

/** The vectors of a file in `vectors/`, which `make-vectors.py` wrote. */
export function readVectors<Vector>(name: string): readonly Vector[] {
  const text = readFileSync(new URL(`./vectors/${name}`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly vectors: readonly Vector[] }).vectors;
}

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

export const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

export function fromRuns(runs: Runs): Uint8Array {
  return new Uint8Array(
    Buffer.concat(runs.map((run) => (typeof run === 'number' ? Buffer.alloc(run) : Buffer.from(run, 'hex')))),
  );
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Header and scope of a record, and what stands behind them, of the frame at an offset. */
export function partsOf(bytes: Uint8Array, offset: number, record: RecordHeader): [head: Uint8Array, body: Uint8Array] {
  const body = offset + 32 + ((record.flags & RecordFlag.scoped) === 0 ? 0 : SCOPE_BYTES);
  return [bytes.subarray(offset + 8, body), bytes.subarray(body, offset + 8 + record.length)];
}

export const toScope = (scope: VectorScope): RecordScope => ({
  tenantId: BigInt(scope.tenant),
  databaseId: BigInt(scope.database),
  vshardId: scope.shard,
});

export function toHeader(vector: HeaderVector): SegmentHeader {
  return {
    blockBytes: vector.blockSize,
    encrypted: vector.encrypted,
    salvaged: vector.salvaged,
    keyId: vector.keyId,
    encryptedFrom: vector.encryptedFrom,
    firstLsn: vector.firstLsn,
    number: vector.segmentNumber,
    logId: fromHex(vector.logId),
    segmentId: fromHex(vector.segmentId),
    createdAtMs: vector.createdAtMs,
    coreId: vector.coreId ?? undefined,
    firstPosition: vector.firstPosition,
    predecessor:
      vector.previousNumber === 0 ? undefined : { number: vector.previousNumber, id: fromHex(vector.previousId) },
  };
}

/** What a record is made of. */
export interface RecordParts {
  readonly lsn: number;
  readonly type: number;
  readonly durableLsn: number;
  readonly elapsedMs: number;
  readonly flags: number;
  readonly scope: RecordScope | undefined;
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
}

/** Encodes a record at `offset`, its checksum open, and returns the offset behind it. */
export function putRecord(target: Uint8Array, offset: number, parts: RecordParts): number {
  const view = viewOf(target);
  const { scope, meta, payload } = parts;
  const frameBytes = recordFrameBytes(payload.length, meta.length, scope !== undefined);
  const flags = parts.flags | (scope === undefined ? 0 : RecordFlag.scoped);
  writeRecordHeader(
    view,
    offset,
    frameBytes,
    parts.lsn,
    parts.type,
    parts.durableLsn,
    meta.length,
    flags,
    0,
    parts.elapsedMs,
  );
  let at = offset + MARK_FRAME_BYTES;
  if (scope !== undefined) {
    writeScope(view, at, scope);
    at += SCOPE_BYTES;
  }
  target.set(meta, at);
  target.set(payload, at + meta.length);
  return offset + frameBytes;
}

/** Encodes a mark at `offset`, its checksum open, and returns the offset behind it. */
export function putMark(target: Uint8Array, offset: number, nextLsn: number, type: number, elapsedMs: number): number {
  writeMark(viewOf(target), offset, nextLsn, type, elapsedMs);
  return offset + MARK_FRAME_BYTES;
}

/** Frames of raw data, laid out as a writer does, with open checksums. */
export interface Layout {
  readonly bytes: Uint8Array;
  /** Offset in `bytes` of each frame. */
  readonly starts: readonly number[];
  /** Offset in `bytes` behind each frame. */
  readonly ends: readonly number[];
  /** Position in the file of `bytes[0]`. */
  readonly position: number;
  readonly blockBytes: number;
}

export interface LayoutInput {
  readonly blockBytes: number;
  /** Of the first byte. */
  readonly position: number;
  /** The data of each frame, and whether its group ends with it: then zeros fill its block. */
  readonly frames: readonly { readonly data: Uint8Array; readonly padded: boolean }[];
}

export function layOut(input: LayoutInput): Layout {
  const { blockBytes, position } = input;
  const starts: number[] = [];
  const ends: number[] = [];
  let at = position;
  for (const { data, padded } of input.frames) {
    at = frameStart(at, blockBytes);
    starts.push(at - position);
    at += 8 + data.length;
    ends.push(at - position);
    if (padded) at = Math.ceil(at / blockBytes) * blockBytes;
  }
  const bytes = new Uint8Array(at - position);
  const view = viewOf(bytes);
  input.frames.forEach(({ data }, index) => {
    const start = starts[index] as number;
    view.setUint32(start, data.length, true);
    bytes.set(data, start + 8);
  });
  return { bytes, starts, ends, position, blockBytes };
}

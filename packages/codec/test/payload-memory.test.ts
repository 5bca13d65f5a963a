import { deflateRawSync } from 'node:zlib';
import {
  ENCRYPTION_TAG_BYTES,
  KeyRing,
  PayloadDecoder,
  type RecordContent,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  recordFrameBytes,
  SegmentCipher,
  type SegmentHeader,
  writeRecordHeader,
} from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { partsOf, viewOf } from './support.js';

const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
const header: SegmentHeader = {
  blockBytes: 512,
  encrypted: true,
  salvaged: false,
  keyId: 1,
  encryptedFrom: 1,
  firstLsn: 1,
  number: 1,
  logId: new Uint8Array(16).fill(1),
  segmentId: new Uint8Array(16).fill(2),
  createdAtMs: 0,
  coreId: undefined,
  firstPosition: 0,
  predecessor: undefined,
};

/** What comes back of a record. */
function decoded(
  metaBytes: number,
  payloadBytes: number,
  transforms: { encrypts: boolean; compresses: boolean },
): RecordContent {
  const { encrypts, compresses } = transforms;
  const payload = new Uint8Array(payloadBytes).fill(112);
  const stored = compresses ? deflateRawSync(payload) : payload;
  const frame = new Uint8Array(
    recordFrameBytes(stored.length, metaBytes, false) + (encrypts ? ENCRYPTION_TAG_BYTES : 0),
  );
  const flags = (encrypts ? RecordFlag.encrypted : 0) | (compresses ? RecordFlag.compressed : 0);
  writeRecordHeader(viewOf(frame), 0, frame.length, 1, 0, 0, metaBytes, flags, compresses ? 1 : 0, 0);
  frame.fill(109, 32, 32 + metaBytes);
  frame.set(stored, 32 + metaBytes);
  if (encrypts) SegmentCipher.forSegment(header, keyRing, 'x').encrypt(frame, 0, frame.length, false, 1);
  const record = new RecordHeader();
  readRecordHeader(viewOf(frame), 0, record);
  const decoder = encrypts
    ? new PayloadDecoder(header, 'x', { keyRing })
    : new PayloadDecoder({ ...header, encrypted: false, keyId: 0, encryptedFrom: 0 }, 'x');
  return decoder.decode(record, ...partsOf(frame, 0, record), 0);
}

const SIZES = [
  [0, 600],
  [5, 600],
  [600, 5],
  [600, 0],
  [0, 0],
  [300, 300_000],
] as const;

describe.each([
  { encrypts: true, compresses: false },
  { encrypts: false, compresses: true },
  { encrypts: true, compresses: true },
])('what is decoded (%o)', (transforms) => {
  it.each(SIZES)('of %i bytes of meta and %i of payload has memory of its own', (metaBytes, payloadBytes) => {
    const { meta, payload } = decoded(metaBytes, payloadBytes, transforms);
    expect(Buffer.compare(meta, new Uint8Array(metaBytes).fill(109))).toBe(0);
    expect(Buffer.compare(payload, new Uint8Array(payloadBytes).fill(112))).toBe(0);
    expect([meta.constructor, payload.constructor]).toEqual([Uint8Array, Uint8Array]);
    expect(meta.buffer).not.toBe(payload.buffer);
    // Never more than both together, and what stands around it in the file.
    expect(meta.buffer.byteLength).toBeLessThanOrEqual(metaBytes + payloadBytes);
    expect(payload.buffer.byteLength).toBeLessThanOrEqual(metaBytes + payloadBytes);
    structuredClone(payload, { transfer: [payload.buffer as ArrayBuffer] });
    expect(meta).toHaveLength(metaBytes);
  });
});

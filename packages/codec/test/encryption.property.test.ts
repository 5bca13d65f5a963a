import {
  Compressor,
  ENCRYPTION_TAG_BYTES,
  KeyRing,
  PayloadDecoder,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  recordFrameBytes,
  recordProblem,
  SegmentCipher,
  type SegmentHeader,
  WalError,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partsOf, viewOf } from './support.js';

const PATH = 'a segment';
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const headers = fc.record({
  blockBytes: fc.constantFrom(512, 4096),
  encrypted: fc.constant(true),
  salvaged: fc.boolean(),
  keyId: fc.integer({ min: 1, max: 0xffff_ffff }),
  encryptedFrom: fc.constant(1),
  firstLsn: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  number: fc.integer({ min: 1, max: 9_999_999_999 }),
  logId: bytes(16),
  segmentId: bytes(16),
  createdAtMs: fc.integer({ min: 0, max: 2 ** 45 }),
  coreId: fc.option(fc.integer({ min: 0, max: 63 }), { nil: undefined }),
  firstPosition: fc.integer({ min: 0, max: 2 ** 50 }),
  predecessor: fc.constant(undefined),
}) satisfies fc.Arbitrary<SegmentHeader>;

const records = fc.record({
  lsn: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  type: fc.integer({ min: 0, max: 0xffff_ffff }),
  scope: fc.option(
    fc.record({
      tenantId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      databaseId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      vshardId: fc.integer({ min: 0, max: 0xffff_ffff }),
    }),
    { nil: undefined },
  ),
  meta: fc.uint8Array({ maxLength: 40 }),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ minLength: 1, maxLength: 8 }).map((text) => new TextEncoder().encode(text.repeat(60))),
  ),
});

type Input = typeof records extends fc.Arbitrary<infer T> ? T : never;

/** A record as a writer encodes it, at an offset of a larger memory. */
function encode(input: Input, offset: number, cipher: SegmentCipher | undefined, compressor: Compressor): Uint8Array {
  const { lsn, type, scope, meta, payload } = input;
  const compressed = compressor.compress(payload);
  const stored = compressed ?? payload;
  const flags =
    (compressed === undefined ? 0 : RecordFlag.compressed) |
    (cipher === undefined ? 0 : RecordFlag.encrypted) |
    (scope === undefined ? 0 : RecordFlag.scoped);
  const tag = cipher === undefined ? 0 : ENCRYPTION_TAG_BYTES;
  const frameBytes = recordFrameBytes(stored.length, meta.length, scope !== undefined) + tag;
  const memory = new Uint8Array(offset + frameBytes + 5);
  const codec = compressed === undefined ? 0 : compressor.codec;
  writeRecordHeader(viewOf(memory), offset, frameBytes, lsn, type, lsn - 1, meta.length, flags, codec, 7);
  if (scope !== undefined) writeScope(viewOf(memory), offset + 32, scope);
  const body = offset + 32 + (scope === undefined ? 0 : 24);
  memory.set(meta, body);
  memory.set(stored, body + meta.length);
  cipher?.encrypt(memory, offset, frameBytes, scope !== undefined, lsn);
  return memory;
}

const recordAt = (memory: Uint8Array, offset: number): RecordHeader => {
  const record = new RecordHeader();
  readRecordHeader(viewOf(memory), offset, record);
  return record;
};

describe('records that are compressed and encrypted', () => {
  const compressor = Compressor.of({ codec: 'deflate', thresholdBytes: 0 }) as Compressor;

  it('come back as they were, and nothing of them is seen', () => {
    fc.assert(
      fc.property(headers, bytes(32), records, fc.nat(9), fc.boolean(), (header, key, input, offset, encrypts) => {
        const keyRing = KeyRing.of({ id: header.keyId, key });
        const cipher = encrypts ? SegmentCipher.forSegment(header, keyRing, PATH) : undefined;
        const memory = encode(input, offset, cipher, compressor);
        const record = recordAt(memory, offset);
        expect(recordProblem(record)).toBeUndefined();
        const decoder = new PayloadDecoder({ ...header, encrypted: encrypts }, PATH, encrypts ? { keyRing } : {});
        const { meta, payload } = decoder.decode(record, ...partsOf(memory, offset, record), offset);
        expect(Buffer.compare(meta, input.meta)).toBe(0);
        expect(Buffer.compare(payload, input.payload)).toBe(0);
        if (encrypts && input.meta.length >= 8)
          expect(Buffer.from(memory).includes(Buffer.from(input.meta))).toBe(false);
        if (encrypts && input.payload.length >= 8)
          expect(Buffer.from(memory).includes(Buffer.from(input.payload))).toBe(false);
      }),
    );
  });

  it('are refused after any change behind their checksum', () => {
    fc.assert(
      fc.property(
        headers,
        bytes(32),
        records,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (header, key, input, at, mask) => {
          const keyRing = KeyRing.of({ id: header.keyId, key });
          const memory = encode(input, 0, SegmentCipher.forSegment(header, keyRing, PATH), compressor);
          const record = recordAt(memory, 0);
          const place = 8 + (at % record.length);
          memory[place] = (memory[place] as number) ^ mask;
          const decoder = new PayloadDecoder(header, PATH, { keyRing });
          expect(() => decoder.decode(record, ...partsOf(memory, 0, record), 0)).toThrow(
            expect.objectContaining({ code: 'WAL_BAD_KEY', reason: 'wrong-key' }),
          );
        },
      ),
    );
  });

  it('with forged contents are a WalError, or no more than the limit', () => {
    const limit = 1000;
    const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32) });
    const header = { ...(fc.sample(headers, { numRuns: 1, seed: 1 })[0] as SegmentHeader), keyId: 1 };
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(2, 4, 6),
        fc.nat(200),
        (body, flags, metaLength) => {
          const frameBytes = 32 + body.length;
          const memory = new Uint8Array(frameBytes);
          const codec = (flags & RecordFlag.compressed) === 0 ? 0 : 1;
          writeRecordHeader(viewOf(memory), 0, frameBytes, 9, 0, 8, metaLength, flags, codec, 0);
          memory.set(body, 32);
          const record = recordAt(memory, 0);
          fc.pre(recordProblem(record) === undefined);
          const decoder = new PayloadDecoder(header, PATH, { keyRing, allowPlaintext: true, maxPayloadBytes: limit });
          try {
            const { meta, payload } = decoder.decode(record, ...partsOf(memory, 0, record), 0);
            expect([meta.length, payload.length <= limit]).toEqual([metaLength, true]);
          } catch (error) {
            expect(WalError.is(error)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

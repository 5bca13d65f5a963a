import {
  crc32c,
  decodeSegmentHeader,
  ENCRYPTION_TAG_BYTES,
  KeyRing,
  PayloadDecoder,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  readScope,
  recordFrameBytes,
  SegmentCipher,
  type SegmentHeader,
  sealFrames,
  segmentSeed,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { fromHex, partsOf, readVectors, toHex, toScope, type VectorScope, viewOf } from './support.js';

interface EncryptionVector {
  readonly name: string;
  readonly masterKey: string;
  readonly header: string;
  readonly lsn: number;
  readonly scope: VectorScope | null;
  readonly meta: string;
  readonly stored: string;
  readonly payload: string;
  readonly frame: string;
}

const PATH = 'wal-0000000001-00000000000000000001.seg';
const vectors = readVectors<EncryptionVector>('encryption.json');
const usual = vectors[1] as EncryptionVector;

const headerOf = (vector: EncryptionVector): SegmentHeader => decodeSegmentHeader(fromHex(vector.header), PATH);

const ringOf = (vector: EncryptionVector, header = headerOf(vector)): KeyRing =>
  KeyRing.of({ id: header.keyId, key: fromHex(vector.masterKey) });

const recordOf = (frame: Uint8Array): RecordHeader => {
  const record = new RecordHeader();
  readRecordHeader(viewOf(frame), 0, record);
  return record;
};

/** The header of these bytes with the right checksum; `undefined` when it cannot be one. */
function reread(bytes: Uint8Array): SegmentHeader | undefined {
  viewOf(bytes).setUint32(124, crc32c(bytes, 0, 0, 124), true);
  try {
    return decodeSegmentHeader(bytes, PATH);
  } catch {
    return undefined;
  }
}

/** Encodes the record of a vector at offset 11 of a larger memory, which is handed back as the frame alone. */
function encode(vector: EncryptionVector, cipher: SegmentCipher): Uint8Array {
  const { lsn, type, durableLag, flags, codec, elapsedMs } = recordOf(fromHex(vector.frame));
  const meta = fromHex(vector.meta);
  const payload = fromHex(vector.stored);
  const scoped = vector.scope !== null;
  const frameBytes = recordFrameBytes(payload.length, meta.length, scoped) + ENCRYPTION_TAG_BYTES;
  const memory = new Uint8Array(frameBytes + 31).fill(0xee);
  const view = viewOf(memory);
  // A lag that proves nothing is one that is too large.
  const durableLsn = durableLag === 0xffff_ffff ? lsn - 2 ** 40 : lsn - durableLag;
  writeRecordHeader(view, 11, frameBytes, lsn, type, durableLsn, meta.length, flags, codec, elapsedMs);
  if (vector.scope !== null) writeScope(view, 43, toScope(vector.scope));
  memory.set(meta, scoped ? 67 : 43);
  memory.set(payload, (scoped ? 67 : 43) + meta.length);
  cipher.encrypt(memory, 11, frameBytes, scoped, lsn);
  sealFrames(memory, 11, 11 + frameBytes, 0, 65_536, segmentSeed(headerOf(vector).segmentId));
  expect(memory.subarray(0, 11).every((byte) => byte === 0xee)).toBe(true);
  expect(memory.subarray(11 + frameBytes).every((byte) => byte === 0xee)).toBe(true);
  return memory.subarray(11, 11 + frameBytes);
}

describe('encrypted records', () => {
  it.each(vectors)('are encrypted as the vector says: $name', (vector) => {
    const cipher = SegmentCipher.forSegment(headerOf(vector), ringOf(vector), PATH);
    expect(toHex(encode(vector, cipher))).toBe(vector.frame);
  });

  it.each(vectors)('are decoded as the vector says: $name', (vector) => {
    const bytes = fromHex(`eeeeee${vector.frame}ee`);
    const frame = fromHex(vector.frame);
    const decoder = new PayloadDecoder(headerOf(vector), PATH, { keyRing: ringOf(vector) });
    const record = recordOf(frame);
    expect(decoder.transforms(record.flags)).toBe(true);
    const { meta, payload } = decoder.decode(record, ...partsOf(bytes, 3, record), 3);
    expect([toHex(meta), toHex(payload)]).toEqual([vector.meta, vector.payload]);
    if (vector.scope !== null) expect(readScope(viewOf(frame), 32)).toEqual(toScope(vector.scope));
  });

  it('have the same key from a header that was made and one that was read', () => {
    const read = headerOf(usual);
    const made = { ...read };
    expect(made.encoded).toBeUndefined();
    expect(read.encoded).toHaveLength(124);
    const decoder = new PayloadDecoder(made, PATH, { keyRing: ringOf(usual) });
    const frame = fromHex(usual.frame);
    expect(toHex(decoder.decode(recordOf(frame), ...partsOf(frame, 0, recordOf(frame)), 0).payload)).toBe(
      usual.payload,
    );
  });

  it('are not opened under any other header, reserved bytes included', () => {
    const frame = fromHex(usual.frame);
    const keyRing = ringOf(usual);
    for (let offset = 8; offset < 124; offset++) {
      const bytes = fromHex(usual.header);
      bytes[offset] = (bytes[offset] as number) ^ 2;
      const header = reread(bytes);
      if (header === undefined || !header.encrypted) continue;
      keyRing.add({ id: header.keyId, key: fromHex(usual.masterKey) });
      const decoder = new PayloadDecoder(header, PATH, { keyRing });
      expect(() => decoder.decode(recordOf(frame), ...partsOf(frame, 0, recordOf(frame)), 0), `byte ${offset}`).toThrow(
        expect.objectContaining({ code: 'WAL_BAD_KEY', reason: 'wrong-key' }),
      );
    }
  });

  it('are refused with any byte flipped, of header, scope, meta, payload or tag', () => {
    for (const vector of [usual, vectors[4] as EncryptionVector, vectors[2] as EncryptionVector]) {
      const decoder = new PayloadDecoder(headerOf(vector), PATH, { keyRing: ringOf(vector) });
      const good = fromHex(vector.frame);
      const record = recordOf(good);
      for (let offset = 8; offset < good.length; offset++) {
        for (const mask of [1, 0x80, 0xff]) {
          const frame = new Uint8Array(good);
          frame[offset] = (frame[offset] as number) ^ mask;
          expect(() => decoder.decode(record, ...partsOf(frame, 0, record), 777), `byte ${offset}`).toThrow(
            expect.objectContaining({
              code: 'WAL_BAD_KEY',
              reason: 'wrong-key',
              keyId: 1,
              lsn: record.lsn,
              offset: 777,
              path: PATH,
            }),
          );
        }
      }
    }
  });

  it('of an LSN are encrypted once, in ascending order', () => {
    const cipher = SegmentCipher.forSegment(headerOf(usual), ringOf(usual), PATH);
    encode(usual, cipher);
    expect(() => encode(usual, cipher)).toThrow('LSN 2 was encrypted before');
    expect(() => encode(vectors[0] as EncryptionVector, cipher)).toThrow('LSN 1 was encrypted before');
  });
});

describe('a decoder', () => {
  const frame = fromHex(usual.frame);
  const record = recordOf(frame);
  const badKey = (facts: object) => expect.objectContaining({ code: 'WAL_BAD_KEY', keyId: 1, path: PATH, ...facts });

  it('without a ring, or whose ring has not the key, names the key', () => {
    const header = headerOf(usual);
    for (const keyRing of [undefined, KeyRing.of({ id: 2, key: fromHex(usual.masterKey) })]) {
      const decoder = new PayloadDecoder(header, PATH, { keyRing });
      expect(() => decoder.decode(record, ...partsOf(frame, 0, record), 0)).toThrow(badKey({ reason: 'missing-key' }));
    }
  });

  it('with another key under the same id opens nothing', () => {
    const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
    const decoder = new PayloadDecoder(headerOf(usual), PATH, { keyRing });
    expect(() => decoder.decode(record, ...partsOf(frame, 0, record), 0)).toThrow(
      badKey({ reason: 'wrong-key', lsn: 2 }),
    );
  });

  it('rejects a plaintext record in an encrypted segment, unless allowPlaintext is set', () => {
    const payload = new TextEncoder().encode('planted');
    const plain = new Uint8Array(32 + payload.length);
    writeRecordHeader(viewOf(plain), 0, plain.length, 2, 0, 1, 0, 0, 0, 0);
    plain.set(payload, 32);
    const planted = recordOf(plain);
    const keyRing = ringOf(usual);
    const strict = new PayloadDecoder(headerOf(usual), PATH, { keyRing });
    expect(strict.transforms(planted.flags)).toBe(true);
    expect(() => strict.decode(planted, ...partsOf(plain, 0, planted), 0)).toThrow(
      badKey({ reason: 'plaintext', lsn: 2 }),
    );
    const lenient = new PayloadDecoder(headerOf(usual), PATH, { keyRing, allowPlaintext: true });
    expect(lenient.transforms(planted.flags)).toBe(false);
    expect(new TextDecoder().decode(lenient.decode(planted, ...partsOf(plain, 0, planted), 0).payload)).toBe('planted');
    // Without a ring, plaintext is accepted.
    expect(new PayloadDecoder(headerOf(usual), PATH).transforms(planted.flags)).toBe(false);
    expect(strict.transforms(RecordFlag.mark)).toBe(false);
  });

  it('refuses records of a segment that is not encrypted, unless it is older than encryption, or plaintext is allowed', () => {
    const plain = new Uint8Array(33);
    writeRecordHeader(viewOf(plain), 0, plain.length, 2, 0, 1, 0, 0, 0, 0);
    const planted = recordOf(plain);
    const header = { ...headerOf(usual), encrypted: false, keyId: 0, encryptedFrom: 0 };
    const options = { keyRing: ringOf(usual) };
    const strict = new PayloadDecoder(header, PATH, options);
    expect([strict.transforms(planted.flags), strict.transforms(RecordFlag.mark)]).toEqual([true, false]);
    expect(() => strict.decode(planted, ...partsOf(plain, 0, planted), 0)).toThrow(
      expect.objectContaining({ code: 'WAL_BAD_KEY', reason: 'plaintext', lsn: 2, path: PATH }),
    );
    expect(new PayloadDecoder(header, PATH, { ...options, allowPlaintext: true }).transforms(0)).toBe(false);
    expect(new PayloadDecoder(header, PATH, { ...options, predatesEncryption: true }).transforms(0)).toBe(false);
    const encrypted = new PayloadDecoder(headerOf(usual), PATH, { ...options, predatesEncryption: true });
    expect(encrypted.transforms(0)).toBe(true);
  });

  it('leaves records alone that nothing was done to', () => {
    const header = { ...headerOf(usual), encrypted: false, keyId: 0, encryptedFrom: 0 };
    const decoder = new PayloadDecoder(header, PATH);
    expect(decoder.transforms(RecordFlag.scoped)).toBe(false);
  });
});

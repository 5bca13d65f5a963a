import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import {
  CodecNumber,
  type CompressionOptions,
  Compressor,
  PayloadDecoder,
  RecordHeader,
  readRecordHeader,
  recordFrameBytes,
  type SegmentHeader,
  writeRecordHeader,
  zstdAvailable,
} from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { partsOf, viewOf } from './support.js';

const PATH = 'a segment';
const header: SegmentHeader = {
  blockBytes: 512,
  encrypted: false,
  salvaged: false,
  keyId: 0,
  encryptedFrom: 0,
  firstLsn: 1,
  number: 1,
  logId: new Uint8Array(16),
  segmentId: new Uint8Array(16),
  createdAtMs: 0,
  coreId: undefined,
  firstPosition: 0,
  predecessor: undefined,
};

const text = (bytes: number): Uint8Array =>
  Buffer.from('{"name":"value","other":"value"}\n'.repeat(bytes / 10)).subarray(0, bytes);

/** The frame of a record with a compressed payload. */
function frameOf(
  stored: Uint8Array,
  codec: number,
  meta: Uint8Array = new Uint8Array(0),
): { frame: Uint8Array; record: RecordHeader } {
  const frame = new Uint8Array(recordFrameBytes(stored.length, meta.length, false));
  writeRecordHeader(viewOf(frame), 0, frame.length, 7, 0, 6, meta.length, 2, codec, 0);
  frame.set(meta, 32);
  frame.set(stored, 32 + meta.length);
  const record = new RecordHeader();
  readRecordHeader(viewOf(frame), 0, record);
  return { frame, record };
}

const decode = (stored: Uint8Array, codec: number, maxPayloadBytes?: number): Uint8Array => {
  const { frame, record } = frameOf(stored, codec);
  return new PayloadDecoder(header, PATH, { maxPayloadBytes }).decode(record, ...partsOf(frame, 0, record), 0).payload;
};

const CODECS = ['deflate', ...(zstdAvailable ? (['zstd'] as const) : [])] as const;

describe.each(CODECS)('%s', (codec) => {
  it('gives back what was compressed, at every level', () => {
    for (const level of [undefined, 1, 5, 9]) {
      const compressor = Compressor.of(level === undefined ? { codec } : { codec, level }) as Compressor;
      expect(compressor.codec).toBe(CodecNumber[codec]);
      for (const bytes of [512, 5000, 300_000]) {
        const stored = compressor.compress(text(bytes)) as Uint8Array;
        expect(stored.length).toBeLessThan(bytes);
        expect(Buffer.compare(decode(stored, compressor.codec), text(bytes))).toBe(0);
      }
    }
  });

  it('leaves short payloads alone, and those that it would not make smaller', () => {
    const usual = Compressor.of({ codec }) as Compressor;
    expect(usual.compress(text(511))).toBeUndefined();
    expect(usual.compress(randomBytes(5000))).toBeUndefined();
    const eager = Compressor.of({ codec, thresholdBytes: 0 }) as Compressor;
    expect(eager.compress(new Uint8Array(0))).toBeUndefined();
    expect(eager.compress(text(1))).toBeUndefined();
    expect(eager.compress(text(200))?.length).toBeLessThan(200);
  });

  it('takes no memory beyond the limit, whatever the bytes say', () => {
    // Compresses a thousand times, and twice that again.
    const compressor = Compressor.of({ codec }) as Compressor;
    const bomb = compressor.compress(new Uint8Array(64 * 1024 * 1024)) as Uint8Array;
    expect(bomb.length).toBeLessThan(1_000_000);
    const before = process.memoryUsage();
    expect(() => decode(bomb, compressor.codec, 100_000)).toThrow(
      expect.objectContaining({ code: 'WAL_TOO_LARGE', limit: 100_000, lsn: 7, path: PATH }),
    );
    const after = process.memoryUsage();
    expect(after.external - before.external).toBeLessThan(16 * 1024 * 1024);
    expect(decode(bomb, compressor.codec)).toHaveLength(64 * 1024 * 1024);
  });

  it('has a limit that is exact', () => {
    const compressor = Compressor.of({ codec }) as Compressor;
    const stored = compressor.compress(text(1000)) as Uint8Array;
    expect(decode(stored, compressor.codec, 1000)).toHaveLength(1000);
    for (const limit of [0, 1, 999]) {
      expect(() => decode(stored, compressor.codec, limit)).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
    }
  });

  it('of damaged bytes is WAL_CORRUPT', () => {
    const compressor = Compressor.of({ codec }) as Compressor;
    const stored = compressor.compress(text(5000)) as Uint8Array;
    const corrupt = expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'compressed-payload', lsn: 7, path: PATH });
    const wrong = [
      stored.subarray(0, -1),
      stored.subarray(0, stored.length / 2),
      stored.subarray(1),
      Buffer.concat([stored, Uint8Array.of(0)]),
      Buffer.concat([stored, stored]),
      new Uint8Array(0),
      new Uint8Array(100).fill(0xff),
    ];
    for (const bytes of wrong) {
      expect(() => decode(bytes, compressor.codec)).toThrow(corrupt);
    }
  });
});

describe('compression', () => {
  it('is off unless it is asked for', () => {
    expect(Compressor.of({})).toBeUndefined();
    expect(Compressor.of({ codec: 'none', thresholdBytes: 1 })).toBeUndefined();
  });

  it('leaves the meta as it is', () => {
    const meta = text(100);
    const { frame, record } = frameOf(deflateRawSync(text(900)), CodecNumber.deflate, meta);
    const decoder = new PayloadDecoder(header, PATH);
    expect(decoder.transforms(record.flags)).toBe(true);
    const decoded = decoder.decode(record, ...partsOf(frame, 0, record), 0);
    expect(Buffer.compare(decoded.meta, meta)).toBe(0);
    expect(Buffer.compare(decoded.payload, text(900))).toBe(0);
    // In memory of its own: it stays when the frame is overwritten.
    frame.fill(0);
    expect(Buffer.compare(decoded.meta, meta)).toBe(0);
  });

  it.skipIf(zstdAvailable)('with zstd is WAL_UNSUPPORTED where Node.js has none, both ways', () => {
    const unsupported = expect.objectContaining({ code: 'WAL_UNSUPPORTED', operation: 'zstd' });
    expect(() => Compressor.of({ codec: 'zstd' })).toThrow(unsupported);
    expect(() => decode(new Uint8Array(20), CodecNumber.zstd)).toThrow(unsupported);
  });

  it('refuses wrong options', () => {
    const refused = (options: unknown, code: string): void => {
      expect(() => Compressor.of(options as CompressionOptions)).toThrow(expect.objectContaining({ code }));
    };
    refused(7, 'ERR_INVALID_ARG_TYPE');
    refused({ codec: 7 }, 'ERR_INVALID_ARG_TYPE');
    refused({ algorithm: 'deflate' }, 'ERR_INVALID_ARG_TYPE');
    refused({ codec: 'gzip' }, 'ERR_OUT_OF_RANGE');
    refused({ codec: 'deflate', level: 0 }, 'ERR_OUT_OF_RANGE');
    refused({ codec: 'deflate', level: 10 }, 'ERR_OUT_OF_RANGE');
    refused({ codec: 'deflate', thresholdBytes: -1 }, 'ERR_OUT_OF_RANGE');
  });
});

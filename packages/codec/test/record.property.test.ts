import {
  isMark,
  LAG_UNKNOWN,
  MARK_FRAME_BYTES,
  RecordHeader,
  readRecordHeader,
  readScope,
  recordFrameBytes,
  recordProblem,
  SCOPE_BYTES,
  scanFrames,
  sealFrames,
  writeMark,
} from '@walstack/codec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { putRecord, viewOf } from './support.js';

const lsns = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const unsigned32 = fc.integer({ min: 0, max: 0xffff_ffff });

const records = lsns.chain((lsn) =>
  fc.record({
    lsn: fc.constant(lsn),
    type: unsigned32,
    durableLsn: fc.oneof(
      fc.integer({ min: 0, max: lsn - 1 }),
      fc.nat(1000).map((less) => Math.max(0, lsn - 1 - less)),
    ),
    elapsedMs: fc.oneof(unsigned32, fc.integer({ min: -1000, max: 2 ** 40 })),
    flags: fc.constantFrom(0, 1),
    scope: fc.option(
      fc.record({
        tenantId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        databaseId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        vshardId: unsigned32,
      }),
      { nil: undefined },
    ),
    meta: fc.uint8Array({ maxLength: 300 }),
    payload: fc.uint8Array({ maxLength: 900 }),
  }),
);

describe('records', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(records, fc.nat(20), (parts, offset) => {
        const frameBytes = recordFrameBytes(parts.payload.length, parts.meta.length, parts.scope !== undefined);
        const bytes = new Uint8Array(offset + frameBytes + 5).fill(0xcc);
        expect(putRecord(bytes, offset, parts)).toBe(offset + frameBytes);
        sealFrames(bytes, offset, offset + frameBytes, 0, 65_536, 1);
        const offsets = new Uint32Array(2);
        expect(scanFrames(bytes, offset, offset + frameBytes, 0, 65_536, 1, offsets)).toBe(1);
        const view = viewOf(bytes);
        const header = new RecordHeader();
        readRecordHeader(view, offset, header);
        expect(recordProblem(header)).toBeUndefined();
        expect(isMark(header)).toBe(false);
        expect({ ...header }).toEqual({
          length: frameBytes - 8,
          lsn: parts.lsn,
          type: parts.type,
          durableLag: Math.min(parts.lsn - parts.durableLsn, LAG_UNKNOWN),
          metaLength: parts.meta.length,
          flags: parts.flags + (parts.scope === undefined ? 0 : 8),
          codec: 0,
          elapsedMs: Math.max(0, Math.min(parts.elapsedMs, 0xffff_ffff)),
        });
        let at = offset + MARK_FRAME_BYTES;
        if (parts.scope !== undefined) {
          expect(readScope(view, at)).toEqual(parts.scope);
          at += SCOPE_BYTES;
        }
        expect(bytes.subarray(at, at + parts.meta.length)).toEqual(parts.meta);
        expect(bytes.subarray(at + parts.meta.length, offset + frameBytes)).toEqual(parts.payload);
      }),
    );
  });

  it('do not depend on what the buffer held before', () => {
    fc.assert(
      fc.property(records, fc.nat(255), fc.nat(255), (parts, one, other) => {
        const frameBytes = recordFrameBytes(parts.payload.length, parts.meta.length, parts.scope !== undefined);
        const first = new Uint8Array(frameBytes).fill(one);
        const second = new Uint8Array(frameBytes).fill(other);
        putRecord(first, 0, parts);
        putRecord(second, 0, parts);
        expect(first).toEqual(second);
      }),
    );
  });
});

describe('marks', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(lsns, unsigned32, unsigned32, (nextLsn, type, elapsedMs) => {
        const bytes = new Uint8Array(MARK_FRAME_BYTES).fill(0xcc);
        writeMark(viewOf(bytes), 0, nextLsn, type, elapsedMs);
        const header = new RecordHeader();
        readRecordHeader(viewOf(bytes), 0, header);
        expect({ ...header }).toEqual({
          length: 24,
          lsn: nextLsn,
          type,
          durableLag: 1,
          metaLength: 0,
          flags: 16,
          codec: 0,
          elapsedMs,
        });
        expect(recordProblem(header)).toBeUndefined();
      }),
    );
  });
});

describe('record headers of hostile bytes', () => {
  it('are read without an error, and what passes can be taken apart inside the frame', () => {
    const headers = fc
      .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(200), fc.nat(31), fc.nat(3))
      .map(([bytes, length, flags, codec]) => {
        viewOf(bytes).setUint32(0, length, true);
        bytes[25] = 0;
        bytes[26] = flags;
        bytes[27] = codec;
        return bytes;
      });
    fc.assert(
      fc.property(headers, (bytes) => {
        const header = new RecordHeader();
        readRecordHeader(viewOf(bytes), 0, header);
        if (recordProblem(header) !== undefined) return;
        const scope = (header.flags & 8) !== 0 ? 24 : 0;
        const tag = (header.flags & 4) !== 0 ? 16 : 0;
        expect(24 + scope + header.metaLength + tag).toBeLessThanOrEqual(header.length);
        if (isMark(header)) expect(header.length).toBe(24);
      }),
      { numRuns: 1000 },
    );
  });
});

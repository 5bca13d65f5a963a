import {
  crc32c,
  decodeSegmentHeader,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  WalError,
} from '@walstack/codec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { viewOf } from './support.js';

const safe = fc.oneof(fc.nat(), fc.maxSafeNat());
const counts = safe.map((value) => Math.max(1, value));
const ids = fc.uint8Array({ minLength: 16, maxLength: 16 });

const headers: fc.Arbitrary<SegmentHeader> = fc
  .record({
    blockBytes: fc.integer({ min: 9, max: 16 }).map((log) => 2 ** log),
    encrypted: fc.boolean(),
    salvaged: fc.boolean(),
    keyId: fc.integer({ min: 0, max: 0xffff_ffff }),
    firstLsn: counts,
    number: counts,
    logId: ids,
    segmentId: ids,
    createdAtMs: safe,
    coreId: fc.option(fc.integer({ min: 0, max: 0xffff_fffe }), { nil: undefined }),
    firstPosition: safe,
    before: fc.nat(),
    previousId: ids,
    since: counts,
  })
  .map(({ before, previousId, since, ...header }) => {
    const encryptedFrom = header.encrypted ? 1 + (since % header.firstLsn) : 0;
    const number = header.number - 1 - (before % header.number);
    return { ...header, encryptedFrom, predecessor: number === 0 ? undefined : { number, id: previousId } };
  });

function decodeOrCode(bytes: Uint8Array): SegmentHeader | string {
  try {
    return decodeSegmentHeader(bytes, 'a path');
  } catch (error) {
    expect(WalError.is(error)).toBe(true);
    expect((error as WalError).path).toBe('a path');
    return (error as WalError).code;
  }
}

describe('segment headers', () => {
  it('come back as they were written, and the rest of the block is zero', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const block = new Uint8Array(header.blockBytes).fill(0xee);
        encodeSegmentHeader(block, header);
        expect(decodeSegmentHeader(block, 'a path')).toEqual(header);
        expect(block.subarray(SEGMENT_HEADER_BYTES).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it('with any wrong byte are refused', () => {
    fc.assert(
      fc.property(headers, fc.nat(127), fc.integer({ min: 1, max: 255 }), (header, at, bits) => {
        const block = new Uint8Array(128);
        encodeSegmentHeader(block, header);
        block[at] = (block[at] as number) ^ bits;
        expect(decodeOrCode(block)).toBe('WAL_BAD_HEADER');
      }),
    );
  });

  it('of random bytes behind a right checksum are refused, or are what can be written again', () => {
    const changes = fc.array(fc.tuple(fc.integer({ min: 8, max: 111 }), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(headers, changes, (header, bytes) => {
        const block = new Uint8Array(128);
        encodeSegmentHeader(block, header);
        for (const [at, value] of bytes) block[at] = value;
        viewOf(block).setUint32(124, crc32c(block, 0, 0, 124), true);
        const decoded = decodeOrCode(block);
        if (typeof decoded === 'string') {
          expect(['WAL_BAD_HEADER', 'WAL_UNSUPPORTED_VERSION']).toContain(decoded);
          return;
        }
        const again = new Uint8Array(128);
        encodeSegmentHeader(again, decoded);
        expect(decodeSegmentHeader(again, 'a path')).toEqual(decoded);
      }),
      { numRuns: 1000 },
    );
  });

  it('of any bytes are refused with a WalError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, withMagic) => {
        if (withMagic && bytes.length >= 8) bytes.set(new TextEncoder().encode('WALSTACK'));
        expect(decodeOrCode(bytes)).toBe('WAL_BAD_HEADER');
      }),
    );
  });
});

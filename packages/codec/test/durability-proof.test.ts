import { LAG_UNKNOWN } from '@walstack/codec';
import { findDurabilityProof } from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { implementations } from './implementations.js';
import { viewOf } from './support.js';

interface Fields {
  readonly length: number;
  readonly lsn: number;
  readonly lag: number;
  readonly metaLength: number;
  readonly flags: number;
  readonly codec: number;
}

/** Proves that LSN 13 had been durable. */
const PROOF: Fields = { length: 40, lsn: 20, lag: 7, metaLength: 3, flags: 0, codec: 0 };

function put(bytes: Uint8Array, at: number, changes: Partial<Fields> = {}): Uint8Array {
  const fields = { ...PROOF, ...changes };
  const view = viewOf(bytes);
  view.setUint32(at, fields.length, true);
  view.setBigUint64(at + 8, BigInt(fields.lsn), true);
  view.setUint32(at + 20, fields.lag, true);
  view.setUint16(at + 24, fields.metaLength, true);
  view.setUint8(at + 26, fields.flags);
  view.setUint8(at + 27, fields.codec);
  return bytes;
}

describe.each(implementations)(
  'evidence that something had been durable, found by $name',
  ({ findDurabilityProof }) => {
    const find = (bytes: Uint8Array, lsn = 13, lastLsn = 100, bytesLeft = bytes.length) =>
      findDurabilityProof(bytes, 0, bytes.length, bytesLeft, lsn, lastLsn);

    it('is found at every offset', () => {
      for (let at = 0; at <= 152; at++) expect(find(put(new Uint8Array(200), at))).toBe(at);
    });

    it('is found at the next offset when the search continues behind the first', () => {
      const bytes = put(put(new Uint8Array(300), 31), 117);
      expect(findDurabilityProof(bytes, 0, 300, 300, 13, 100)).toBe(31);
      expect(findDurabilityProof(bytes, 31, 300, 269, 13, 100)).toBe(31);
      expect(findDurabilityProof(bytes, 32, 300, 268, 13, 100)).toBe(117);
      expect(findDurabilityProof(bytes, 118, 300, 182, 13, 100)).toBe(-1);
    });

    it('depends on the LSN in question', () => {
      const bytes = put(new Uint8Array(200), 50);
      expect(find(bytes, 12)).toBe(50);
      expect(find(bytes, 13)).toBe(50);
      expect(find(bytes, 14)).toBe(-1);
      expect(find(bytes, 21)).toBe(-1);
    });

    it('has an LSN that can stand there', () => {
      const bytes = put(new Uint8Array(200), 50);
      expect(find(bytes, 13, 20)).toBe(50);
      expect(find(bytes, 13, 19)).toBe(-1);
      const beyond = put(new Uint8Array(200), 50);
      viewOf(beyond).setUint32(62, 0x0020_0000, true);
      expect(find(beyond, 13, Number.MAX_SAFE_INTEGER)).toBe(-1);
    });

    it('has a lag that proves something', () => {
      expect(find(put(new Uint8Array(200), 9, { lag: 0 }))).toBe(-1);
      expect(find(put(new Uint8Array(200), 9, { lag: 1 }))).toBe(9);
      expect(find(put(new Uint8Array(200), 9, { lag: 7 }))).toBe(9);
      expect(find(put(new Uint8Array(200), 9, { lag: 8 }))).toBe(-1);
      const far = 2 ** 34;
      expect(find(put(new Uint8Array(200), 9, { lsn: far, lag: LAG_UNKNOWN }), 13, far)).toBe(-1);
      expect(find(put(new Uint8Array(200), 9, { lsn: far, lag: LAG_UNKNOWN - 1 }), 13, far)).toBe(9);
    });

    it('has a length that fits into the file, and may reach beyond the range', () => {
      const bytes = (length: number) => put(new Uint8Array(100), 60, { length, metaLength: 0 });
      expect(find(bytes(23))).toBe(-1);
      expect(find(bytes(24))).toBe(60);
      expect(find(bytes(32))).toBe(60);
      expect(find(bytes(33))).toBe(-1);
      expect(find(bytes(932), 13, 100, 1000)).toBe(60);
      expect(find(bytes(933), 13, 100, 1000)).toBe(-1);
      expect(find(bytes(0xffff_ffff), 13, 100, 1000)).toBe(-1);
    });

    it('is examined when its first 32 bytes are in the range', () => {
      const bytes = put(new Uint8Array(100), 60);
      expect(findDurabilityProof(bytes, 0, 92, 1000, 13, 100)).toBe(60);
      expect(findDurabilityProof(bytes, 0, 91, 1000, 13, 100)).toBe(-1);
      expect(findDurabilityProof(bytes, 60, 100, 1000, 13, 100)).toBe(60);
      expect(findDurabilityProof(bytes, 61, 100, 1000, 13, 100)).toBe(-1);
      expect(findDurabilityProof(bytes, 0, 31, 1000, 13, 100)).toBe(-1);
      expect(findDurabilityProof(bytes, 0, 0, 1000, 13, 100)).toBe(-1);
    });

    it('may be a mark: everything before it is durable', () => {
      const mark = { length: 24, lsn: 14, lag: 1, metaLength: 0, flags: 16 };
      expect(find(put(new Uint8Array(100), 5, mark))).toBe(5);
      expect(find(put(new Uint8Array(100), 5, mark), 14)).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { ...mark, length: 25 }))).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { ...mark, flags: 17 }))).toBe(-1);
    });

    it('has fields that can stand together', () => {
      expect(find(put(new Uint8Array(100), 5, { metaLength: 16 }))).toBe(5);
      expect(find(put(new Uint8Array(100), 5, { metaLength: 17 }))).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { flags: 32 }))).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { flags: 2, codec: 2 }))).toBe(5);
      expect(find(put(new Uint8Array(100), 5, { flags: 2, codec: 3 }))).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { codec: 1 }))).toBe(-1);
      expect(find(put(new Uint8Array(100), 5, { flags: 8 }))).toBe(-1);
    });
  },
);

describe('findDurabilityProof', () => {
  it('refuses wrong arguments', () => {
    const right: unknown[] = [new Uint8Array(100), 0, 100, 100, 13, 100];
    const call = (argument: number, value: unknown) => {
      const [bytes, start, end, left, lsn, last] = right.with(argument, value) as never[];
      return codeOf(() =>
        findDurabilityProof(bytes as never, start as never, end as never, left as never, lsn as never, last as never),
      );
    };
    expect(call(0, right[0])).toBe('nothing thrown');
    expect(call(0, 'text')).toBe('ERR_INVALID_ARG_TYPE');
    expect(call(1, 101)).toBe('ERR_OUT_OF_RANGE');
    expect(call(2, 101)).toBe('ERR_OUT_OF_RANGE');
    for (let argument = 1; argument <= 5; argument++) {
      for (const wrong of [Number.NaN, -1, 0.5]) expect(call(argument, wrong)).toBe('ERR_OUT_OF_RANGE');
      for (const wrong of ['1', 1n, null, undefined]) expect(call(argument, wrong)).toBe('ERR_INVALID_ARG_TYPE');
    }
  });
});

import { crc32c, segmentSeed, UNSALTED_SEED } from '@walstack/codec';
import { crc32cCombine, crc32cOfPrefixes } from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { implementations } from './implementations.js';
import { fromHex, readVectors } from './support.js';

interface Crc32cVector {
  readonly name: string;
  readonly bytes: string;
  readonly crc: string;
}

const vectors = readVectors<Crc32cVector>('crc32c.json');

describe.each(implementations)('crc32c by $name', ({ crc32c }) => {
  it.each(vectors)('of $name', ({ bytes, crc }) => {
    expect(crc32c(fromHex(bytes))).toBe(Number.parseInt(crc, 16));
  });

  it('goes on from the sum of what stands before, cut anywhere', () => {
    for (const { bytes, crc } of vectors) {
      const whole = fromHex(bytes);
      for (let cut = 0; cut <= whole.length; cut++) {
        expect(crc32c(whole.subarray(cut), crc32c(whole.subarray(0, cut)))).toBe(Number.parseInt(crc, 16));
      }
    }
  });

  it('takes a range of the bytes', () => {
    const framed = new TextEncoder().encode('xx123456789yyy');
    expect(crc32c(framed, 0, 2, 11)).toBe(0xe3069283);
    expect(crc32c(framed.subarray(2), 0, 0, 9)).toBe(0xe3069283);
    expect(crc32c(framed, 0x1234_5678, 5, 5)).toBe(0x1234_5678);
  });

  it('is the same wherever the bytes stand in memory', () => {
    const text = new TextEncoder().encode('123456789');
    for (let shift = 0; shift < 16; shift++) {
      const memory = new Uint8Array(64).fill(0xaa);
      memory.set(text, shift);
      expect(crc32c(memory.subarray(shift, shift + 9))).toBe(0xe3069283);
    }
  });

  it('never is negative', () => {
    for (let byte = 0; byte < 256; byte++) expect(crc32c(Uint8Array.of(byte))).toBeGreaterThanOrEqual(0);
  });
});

describe('crc32c', () => {
  it('gives the seeds of frames', () => {
    expect(UNSALTED_SEED).toBe(crc32c(new Uint8Array(16)));
    const ids = [fromHex('101112131415161718191a1b1c1d1e1f'), fromHex('00ff11ee22dd33cc44bb55aa66997788')];
    for (const id of ids) expect(segmentSeed(id)).toBe(crc32c(id));
    for (let byte = 0; byte < 256; byte++) expect(segmentSeed(new Uint8Array(16).fill(byte))).toBeGreaterThanOrEqual(0);
  });

  it('refuses wrong arguments', () => {
    const bytes = new Uint8Array(8);
    for (const wrong of [undefined, null, 'text', [1, 2], new ArrayBuffer(8), 7]) {
      expect(codeOf(() => crc32c(wrong as never))).toBe('ERR_INVALID_ARG_TYPE');
    }
    for (const wrong of [Number.NaN, -1, 1.5, 2 ** 32, Number.POSITIVE_INFINITY]) {
      expect(codeOf(() => crc32c(bytes, wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => crc32c(bytes, 0, 0, null as never))).toBe('ERR_INVALID_ARG_TYPE');
    for (const wrong of [Number.NaN, -1, 1.5, 9]) {
      expect(codeOf(() => crc32c(bytes, 0, wrong))).toBe('ERR_OUT_OF_RANGE');
      expect(codeOf(() => crc32c(bytes, 0, 0, wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => crc32c(bytes, 0, 5, 4))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => segmentSeed(new Uint8Array(15)))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => segmentSeed('1234567890123456' as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32c(bytes, '0' as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32c(bytes, 0, '0' as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32c(bytes, 0, 0, 8n as never))).toBe('ERR_INVALID_ARG_TYPE');
  });
});

describe('crc32cOfPrefixes', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => (index * 37) % 251);

  it('gives the sum of every beginning', () => {
    for (const seed of [0, 1, 0xe3069283, 0xffff_ffff]) {
      const into = new Uint32Array(296);
      crc32cOfPrefixes(bytes, seed, 5, 300, into);
      expect(Array.from(into)).toEqual(Array.from(into, (_, length) => crc32c(bytes, seed, 5, 5 + length)));
    }
  });

  it('writes no more than it has to say', () => {
    const into = new Uint32Array(9).fill(7);
    crc32cOfPrefixes(bytes, 3, 10, 14, into);
    expect(Array.from(into.subarray(5))).toEqual([7, 7, 7, 7]);
    crc32cOfPrefixes(bytes, 3, 300, 300, into);
    expect(into[0]).toBe(3);
  });

  it('refuses wrong arguments', () => {
    const into = new Uint32Array(301);
    expect(codeOf(() => crc32cOfPrefixes([] as never, 0, 0, 0, into))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32cOfPrefixes(bytes, 0, 0, 300, new Int32Array(301) as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32cOfPrefixes(bytes, -1, 0, 300, into))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => crc32cOfPrefixes(bytes, 0, 0, 301, into))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => crc32cOfPrefixes(bytes, 0, 10, 9, into))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => crc32cOfPrefixes(bytes, 0, 0, 300, into.subarray(1)))).toBe('ERR_OUT_OF_RANGE');
  });
});

describe('crc32cCombine', () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31 + (index >> 8)) % 253);

  it('is the sum of two stretches together, however long the second one is', () => {
    for (const length of [0, 1, 2, 255, 256, 257, 511, 4096, 65_535, 65_536, 65_537, 69_000]) {
      const first = crc32c(bytes, 0, 0, 1000);
      const second = crc32c(bytes, 0, 1000, 1000 + length);
      expect(crc32cCombine(first, second, length)).toBe(crc32c(bytes, 0, 0, 1000 + length));
      expect(crc32cCombine(0xdead_beef, second, length)).toBe(crc32c(bytes, 0xdead_beef, 1000, 1000 + length));
    }
  });

  it('takes apart what was put together: what follows from a running sum is that of the stretch', () => {
    const running = crc32c(bytes, 0, 0, 60_000);
    const upTo = crc32c(bytes, 0, 0, 500);
    const own = crc32c(bytes, 17, 500, 60_000);
    expect((crc32cCombine((upTo ^ 17) >>> 0, 0, 59_500) ^ running) >>> 0).toBe(own);
  });

  it('takes lengths beyond 32 bits: two parts of a length give what the whole does', () => {
    const crc = 0x1234_5678;
    for (const length of [2 ** 32, 2 ** 40 + 12_345, Number.MAX_SAFE_INTEGER]) {
      const half = Math.floor(length / 2);
      const twice = crc32cCombine(crc32cCombine(crc, 0, half), 0, length - half);
      expect(crc32cCombine(crc, 0, length)).toBe(twice);
    }
  });

  it('refuses wrong arguments', () => {
    expect(codeOf(() => crc32cCombine('1' as never, 0, 0))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => crc32cCombine(0, 2 ** 32, 0))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => crc32cCombine(0, 0, -1))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => crc32cCombine(0, 0, 1.5))).toBe('ERR_OUT_OF_RANGE');
  });
});

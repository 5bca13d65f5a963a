import { crc32c, segmentSeed, UNSALTED_SEED } from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { implementations } from './implementations.js';
import { codeOf, fromHex, readVectors } from './support.js';

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

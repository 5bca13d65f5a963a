import { totalmem } from 'node:os';
import {
  blockEnd,
  crc32c,
  decodeFrame,
  encodeFrame,
  frameStart,
  scanFrames,
  sealFrames,
  UNSALTED_SEED,
} from '@walstack/codec';
import { checkBlockBytes } from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { implementations } from './implementations.js';
import { fromHex, layOut, readVectors, toHex } from './support.js';

interface FrameVector {
  readonly name: string;
  readonly salt: string;
  readonly saltCrc: string;
  readonly data: string;
  readonly frame: string;
}

const vectors = readVectors<FrameVector>('frames.json');
const SEED = crc32c(new TextEncoder().encode('a seed'));
const wrongIntegers = [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53];

describe('a frame by itself', () => {
  it.each(vectors)('is encoded as the vector says: $name', ({ salt, saltCrc, data, frame }) => {
    const seed = Number.parseInt(saltCrc, 16);
    expect(crc32c(fromHex(salt))).toBe(seed);
    const target = new Uint8Array(frame.length / 2 + 6).fill(0xee);
    expect(encodeFrame(target, 3, fromHex(data), seed)).toBe(3 + frame.length / 2);
    expect(toHex(target)).toBe(`eeeeee${frame}eeeeee`);
  });

  it.each(vectors)('is decoded as the vector says: $name', ({ saltCrc, data, frame }) => {
    const seed = Number.parseInt(saltCrc, 16);
    const decoded = decodeFrame(fromHex(`eeeeee${frame}eeeeee`), 3, seed);
    expect(decoded === undefined ? undefined : toHex(decoded)).toBe(data);
    expect(decodeFrame(fromHex(frame), 0, (seed ^ 1) >>> 0)).toBeUndefined();
  });

  it('is sealed with 16 zero bytes before its data when no seed is given', () => {
    const vector = vectors.find(({ name }) => name === 'text, 16 zero bytes as salt') as FrameVector;
    const target = new Uint8Array(vector.frame.length / 2);
    encodeFrame(target, 0, fromHex(vector.data));
    expect(toHex(target)).toBe(vector.frame);
    expect(decodeFrame(target)).toEqual(fromHex(vector.data));
    expect(UNSALTED_SEED).toBe(Number.parseInt(vector.saltCrc, 16));
  });

  it('is decoded as a view of the same memory', () => {
    const bytes = new Uint8Array(20);
    encodeFrame(bytes, 2, Uint8Array.of(1, 2, 3));
    const data = decodeFrame(bytes, 2) as Uint8Array;
    bytes[10] = 9;
    expect([...data]).toEqual([9, 2, 3]);
  });

  it('is not there when any bit of it is wrong, or any of its end is missing', () => {
    const frame = fromHex((vectors[8] as FrameVector).frame);
    const seed = Number.parseInt((vectors[8] as FrameVector).saltCrc, 16);
    expect(decodeFrame(frame, 0, seed)).toBeDefined();
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const wrong = frame.slice();
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decodeFrame(wrong, 0, seed)).toBeUndefined();
    }
    for (let length = 0; length < frame.length; length++) {
      expect(decodeFrame(frame.subarray(0, length), 0, seed)).toBeUndefined();
    }
  });

  it('is not there where the length is zero, whatever the checksum says', () => {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(4, UNSALTED_SEED, true);
    expect(decodeFrame(bytes)).toBeUndefined();
  });

  it('refuses wrong arguments', () => {
    const target = new Uint8Array(16);
    const data = new Uint8Array(4);
    expect(codeOf(() => encodeFrame(target, 0, new Uint8Array(0)))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => encodeFrame(target, 5, data))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => encodeFrame(target, 0, new Uint8Array(9)))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => encodeFrame('text' as never, 0, data))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => encodeFrame(target, 0, 'text' as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => encodeFrame(target, '0' as never, data))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => decodeFrame('text' as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => decodeFrame(target, 17))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => decodeFrame(target, null as never))).toBe('ERR_INVALID_ARG_TYPE');
    for (const wrong of wrongIntegers) {
      expect(codeOf(() => encodeFrame(target, wrong, data))).toBe('ERR_OUT_OF_RANGE');
      expect(codeOf(() => encodeFrame(target, 0, data, wrong))).toBe('ERR_OUT_OF_RANGE');
      expect(codeOf(() => decodeFrame(target, wrong))).toBe('ERR_OUT_OF_RANGE');
      expect(codeOf(() => decodeFrame(target, 0, wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(toHex(target)).toBe('00'.repeat(16));
  });
});

describe('where frames start', () => {
  it.each([512, 4096, 65_536])('never in the last 7 bytes of a block of %i', (blockBytes) => {
    for (const block of [0, blockBytes, 7 * blockBytes, 2 ** 45]) {
      expect(frameStart(block, blockBytes)).toBe(block);
      expect(frameStart(block + 1, blockBytes)).toBe(block + 1);
      expect(frameStart(block + blockBytes - 8, blockBytes)).toBe(block + blockBytes - 8);
      for (let left = 1; left <= 7; left++) {
        expect(frameStart(block + blockBytes - left, blockBytes)).toBe(block + blockBytes);
      }
    }
  });

  it('a block ends at its boundary', () => {
    expect(blockEnd(0, 512)).toBe(0);
    expect(blockEnd(1, 512)).toBe(512);
    expect(blockEnd(511, 512)).toBe(512);
    expect(blockEnd(512, 512)).toBe(512);
    expect(blockEnd(513, 512)).toBe(1024);
    expect(blockEnd(2 ** 45 + 1, 4096)).toBe(2 ** 45 + 4096);
  });

  it('a block is a power of two from 512 to 65,536', () => {
    for (let log = 9; log <= 16; log++) expect(checkBlockBytes('blockBytes', 2 ** log)).toBe(2 ** log);
    for (const wrong of [0, 256, 511, 513, 768, 4095, 65_535, 131_072, ...wrongIntegers]) {
      expect(codeOf(() => checkBlockBytes('blockBytes', wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => checkBlockBytes('blockBytes', '4096'))).toBe('ERR_INVALID_ARG_TYPE');
  });
});

describe.each(implementations)('sealing and scanning by $name', ({ sealFrames, scanFrames }) => {
  const frame = (length: number, fill: number) => ({ data: new Uint8Array(length).fill(fill), padded: false });

  it('seals every frame of a range and nothing else', () => {
    const { bytes, starts } = layOut({
      blockBytes: 512,
      position: 0,
      frames: [frame(20, 1), { ...frame(30, 2), padded: true }, frame(700, 3), frame(1, 4)],
    });
    const before = bytes.slice();
    expect(sealFrames(bytes, 0, bytes.length, 0, 512, SEED)).toBe(4);
    for (const start of starts) before.set(bytes.subarray(start + 4, start + 8), start + 4);
    expect(bytes).toEqual(before);
    for (const start of starts) expect(decodeFrame(bytes, start, SEED)).toBeDefined();
  });

  it('does not touch what stands outside of the range', () => {
    const { bytes } = layOut({ blockBytes: 512, position: 512, frames: [frame(20, 1)] });
    const memory = new Uint8Array(bytes.length + 64).fill(1);
    memory.set(bytes, 32);
    expect(sealFrames(memory, 32, 32 + bytes.length, 512, 512, SEED)).toBe(1);
    expect(memory.subarray(0, 32).every((byte) => byte === 1)).toBe(true);
    expect(memory.subarray(32 + bytes.length).every((byte) => byte === 1)).toBe(true);
  });

  it('seals again over wrong checksums', () => {
    const { bytes } = layOut({ blockBytes: 512, position: 0, frames: [frame(20, 1)] });
    bytes.fill(0xff, 4, 8);
    sealFrames(bytes, 0, bytes.length, 0, 512, SEED);
    expect(decodeFrame(bytes, 0, SEED)).toBeDefined();
  });

  it('refuses to seal a frame that reaches over the end, and keeps what it sealed before', () => {
    const { bytes, starts } = layOut({ blockBytes: 512, position: 0, frames: [frame(20, 1), frame(40, 2)] });
    const second = bytes.slice(starts[1]);
    expect(codeOf(() => sealFrames(bytes, 0, bytes.length - 1, 0, 512, SEED))).toBe('ERR_OUT_OF_RANGE');
    expect(decodeFrame(bytes, 0, SEED)).toBeDefined();
    expect(bytes.subarray(starts[1])).toEqual(second);
  });

  it('refuses to seal a frame of which only the header is in the range', () => {
    const { bytes } = layOut({ blockBytes: 512, position: 0, frames: [frame(20, 1)] });
    expect(codeOf(() => sealFrames(bytes, 0, 8, 0, 512, SEED))).toBe('ERR_OUT_OF_RANGE');
  });

  it('finds nothing in an empty range, in zeros and in less than a header', () => {
    const offsets = new Uint32Array(4).fill(99);
    const zeros = new Uint8Array(2000);
    expect(scanFrames(zeros, 5, 5, 0, 512, SEED, offsets)).toBe(0);
    expect(offsets[0]).toBe(5);
    expect(scanFrames(zeros, 0, 2000, 0, 512, SEED, offsets)).toBe(0);
    expect(offsets[0]).toBe(2000);
    expect(scanFrames(Uint8Array.of(1, 0, 0, 0, 1, 1, 1), 0, 7, 0, 512, SEED, offsets)).toBe(0);
    expect(offsets[0]).toBe(0);
  });

  it('stops where the offsets are full, and goes on from there', () => {
    const frames = Array.from({ length: 10 }, (_, index) => frame(20 + index, index + 1));
    const { bytes, starts, ends } = layOut({ blockBytes: 512, position: 1024, frames });
    sealFrames(bytes, 0, bytes.length, 1024, 512, SEED);
    const offsets = new Uint32Array(4);
    const found: number[] = [];
    let at = 0;
    for (const expected of [3, 3, 3, 1]) {
      expect(scanFrames(bytes, at, bytes.length, 1024 + at, 512, SEED, offsets)).toBe(expected);
      found.push(...offsets.subarray(0, expected));
      at = offsets[expected] as number;
      expect(ends).toContain(at);
    }
    expect(found).toEqual(starts);
  });

  it('does not find a frame in the last 7 bytes of a block', () => {
    const bytes = new Uint8Array(1024);
    encodeFrame(bytes, 507, new Uint8Array(24).fill(1), SEED);
    const offsets = new Uint32Array(4);
    expect(scanFrames(bytes, 507, 1024, 507, 512, SEED, offsets)).toBe(0);
    expect(scanFrames(bytes, 507, 1024, 504, 512, SEED, offsets)).toBe(1);
  });

  it('comes to the end of a range whose last bytes are the last of a block', () => {
    for (let left = 0; left <= 12; left++) {
      const { bytes } = layOut({ blockBytes: 512, position: 0, frames: [{ ...frame(504 - left, 1), padded: true }] });
      sealFrames(bytes, 0, 512, 0, 512, SEED);
      const offsets = new Uint32Array(4);
      expect(scanFrames(bytes, 0, 512, 0, 512, SEED, offsets)).toBe(1);
      expect(offsets[1]).toBe(512);
    }
  });

  it('takes the length of a frame as unsigned', () => {
    const bytes = new Uint8Array(64).fill(0xff);
    const offsets = new Uint32Array(2);
    expect(scanFrames(bytes, 0, 64, 0, 512, SEED, offsets)).toBe(0);
    expect(offsets[0]).toBe(0);
    expect(codeOf(() => sealFrames(bytes, 0, 64, 0, 512, SEED))).toBe('ERR_OUT_OF_RANGE');
  });

  it('works at positions beyond 2^32', () => {
    const position = 2 ** 44 + 512 - 40;
    const layout = layOut({ blockBytes: 512, position, frames: [frame(26, 1), frame(20, 2), frame(9, 3)] });
    expect(layout.starts).toEqual([0, 40, 68]);
    expect(sealFrames(layout.bytes, 0, layout.bytes.length, position, 512, SEED)).toBe(3);
    const offsets = new Uint32Array(8);
    expect(scanFrames(layout.bytes, 0, layout.bytes.length, position, 512, SEED, offsets)).toBe(3);
    expect([...offsets.subarray(0, 4)]).toEqual([0, 40, 68, layout.bytes.length]);
  });
});

describe('sealing and scanning', () => {
  // The memory is never touched, but a system may refuse to promise more than it has.
  it.runIf(totalmem() > 2 ** 33)('scans no further than offsets of 32 bits can say', () => {
    const bytes = new Uint8Array(2 ** 32);
    const offsets = new Uint32Array(4);
    expect(codeOf(() => scanFrames(bytes, 0, 2 ** 32, 0, 512, SEED, offsets))).toBe('ERR_OUT_OF_RANGE');
    expect(scanFrames(bytes, 2 ** 32 - 200, 2 ** 32 - 1, 0, 512, SEED, offsets)).toBe(0);
    expect(offsets[0]).toBe(2 ** 32 - 1);
  });

  it('refuses wrong arguments', () => {
    const bytes = new Uint8Array(64);
    const offsets = new Uint32Array(4);
    const seal = (...changed: readonly unknown[]) => {
      const [a, b, c, d, e, f] = [bytes, 0, 64, 0, 512, 0].map((right, index) => changed[index] ?? right);
      return codeOf(() => sealFrames(a as never, b as never, c as never, d as never, e as never, f as never));
    };
    const scan = (...changed: readonly unknown[]) => {
      const [a, b, c, d, e, f, g] = [bytes, 0, 64, 0, 512, 0, offsets].map((right, index) => changed[index] ?? right);
      return codeOf(() =>
        scanFrames(a as never, b as never, c as never, d as never, e as never, f as never, g as never),
      );
    };
    expect(seal()).toBe('nothing thrown');
    expect(scan()).toBe('nothing thrown');
    const own = undefined;
    for (const call of [seal, scan]) {
      expect(call('text')).toBe('ERR_INVALID_ARG_TYPE');
      expect(call([1, 2, 3])).toBe('ERR_INVALID_ARG_TYPE');
      expect(call(own, 65)).toBe('ERR_OUT_OF_RANGE');
      expect(call(own, own, 65)).toBe('ERR_OUT_OF_RANGE');
      expect(call(own, 8, 7)).toBe('ERR_OUT_OF_RANGE');
      expect(call(own, own, own, own, 500)).toBe('ERR_OUT_OF_RANGE');
      for (const wrong of wrongIntegers) {
        expect(call(own, wrong)).toBe('ERR_OUT_OF_RANGE');
        expect(call(own, own, wrong)).toBe('ERR_OUT_OF_RANGE');
        expect(call(own, own, own, wrong)).toBe('ERR_OUT_OF_RANGE');
        expect(call(own, own, own, own, wrong)).toBe('ERR_OUT_OF_RANGE');
        expect(call(own, own, own, own, own, wrong)).toBe('ERR_OUT_OF_RANGE');
      }
      for (const wrong of ['1', 1n, {}, true]) {
        for (let argument = 1; argument <= 5; argument++) {
          const changed: unknown[] = [];
          changed[argument] = wrong;
          expect(call(...changed)).toBe('ERR_INVALID_ARG_TYPE');
        }
      }
    }
    expect(scan(own, own, own, own, own, own, new Uint32Array(1))).toBe('ERR_OUT_OF_RANGE');
    expect(scan(own, own, own, own, own, own, [0, 0, 0])).toBe('ERR_INVALID_ARG_TYPE');
    expect(scan(own, own, own, own, own, own, new Uint8Array(8))).toBe('ERR_INVALID_ARG_TYPE');
  });
});

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { available, crc32c, findDurabilityProof, scanFrames, sealFrames } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';

/** The `code` of what a call throws; `'nothing thrown'` when it returns. */
/** Bit by bit, as the standard has it. */
function plainCrc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** Bytes that are no pattern, the same in every run. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** A frame whose checksum is open. */
function openFrame(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(8 + data.length);
  new DataView(frame.buffer).setUint32(0, data.length, true);
  frame.set(data, 8);
  return frame;
}

const SEED = 0x1234_5678;
const WRONG_INTEGERS = [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53];
const NO_NUMBERS = ['1', 1n, null, true, {}];

describe.runIf(available)('crc32c', () => {
  it('matches the standard', () => {
    const text = new TextEncoder().encode('123456789');
    expect(crc32c(text)).toBe(0xe3069283);
    // RFC 3720, B.4.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
    expect(crc32c(new Uint8Array(0))).toBe(0);
    expect(crc32c(text, crc32c(text.subarray(0, 4)), 4)).toBe(0xe3069283);
    expect(crc32c(text, 0x9abc_def0, 5, 5)).toBe(0x9abc_def0);
  });

  it('is right for every length and at every alignment, however it is put together', () => {
    const bytes = noise(1100);
    for (let length = 0; length <= 1000; length++) {
      const start = length % 17;
      const expected = plainCrc32c(bytes.subarray(start, start + length), length);
      expect(crc32c(bytes, length, start, start + length)).toBe(expected);
      expect(crc32c(bytes.subarray(start, start + length), length)).toBe(expected);
    }
    const long = noise(70_000);
    for (const length of [1535, 1536, 6143, 6144, 6145, 12_288, 20_001, 65_536]) {
      for (let start = 0; start < 9; start++) {
        expect(crc32c(long, SEED, start, start + length)).toBe(plainCrc32c(long.subarray(start, start + length), SEED));
      }
    }
  });

  it('accepts bytes of any kind of memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(64), 7, 9);
    shared.set(new TextEncoder().encode('123456789'));
    expect(crc32c(shared)).toBe(0xe3069283);
    expect(crc32c(Buffer.from('x123456789').subarray(1))).toBe(0xe3069283);
    const detached = new Uint8Array(16);
    structuredClone(detached, { transfer: [detached.buffer] });
    expect(crc32c(detached)).toBe(0);
    expect(codeOf(() => crc32c(detached, 0, 0, 1))).toBe('ERR_OUT_OF_RANGE');
  });

  it('refuses wrong arguments', () => {
    const bytes = new Uint8Array(8);
    for (const wrong of [undefined, null, 'text', [1, 2], new ArrayBuffer(8), new Uint32Array(2), 7]) {
      expect(codeOf(() => crc32c(wrong as never))).toBe('ERR_INVALID_ARG_TYPE');
      expect(codeOf(() => crc32c(wrong as never, 0, 0, 0))).toBe('ERR_INVALID_ARG_TYPE');
    }
    for (const wrong of [...WRONG_INTEGERS, 2 ** 32])
      expect(codeOf(() => crc32c(bytes, wrong))).toBe('ERR_OUT_OF_RANGE');
    for (const wrong of [...WRONG_INTEGERS, 9]) {
      expect(codeOf(() => crc32c(bytes, 0, wrong))).toBe('ERR_OUT_OF_RANGE');
      expect(codeOf(() => crc32c(bytes, 0, 0, wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => crc32c(bytes, 0, 5, 4))).toBe('ERR_OUT_OF_RANGE');
    for (const wrong of NO_NUMBERS) {
      expect(codeOf(() => crc32c(bytes, wrong as never))).toBe('ERR_INVALID_ARG_TYPE');
      expect(codeOf(() => crc32c(bytes, 0, wrong as never))).toBe('ERR_INVALID_ARG_TYPE');
      expect(codeOf(() => crc32c(bytes, 0, 0, wrong as never))).toBe('ERR_INVALID_ARG_TYPE');
    }
  });
});

describe.runIf(available)('sealFrames and scanFrames', () => {
  it('seal the frames of a range, and find them again', () => {
    // Two frames in one block, zeros up to the next, a frame over several blocks, one after its end.
    const frames = [noise(20), noise(300), noise(1700), noise(1)].map(openFrame);
    const starts = [0, 28, 512, 2220];
    const bytes = new Uint8Array(2229);
    frames.forEach((frame, index) => {
      bytes.set(frame, starts[index]);
    });
    const position = 3 * 2 ** 40;
    expect(sealFrames(bytes, 0, bytes.length, position, 512, SEED)).toBe(4);
    for (const [index, start] of starts.entries()) {
      const data = (frames[index] as Uint8Array).subarray(8);
      const crc = new DataView(bytes.buffer).getUint32(start + 4, true);
      expect(crc).toBe(plainCrc32c(data, SEED));
    }
    const offsets = new Uint32Array(8).fill(7);
    expect(scanFrames(bytes, 0, bytes.length, position, 512, SEED, offsets)).toBe(4);
    expect([...offsets]).toEqual([...starts, 2229, 7, 7, 7]);
    // Stops where the offsets are full, where a byte is wrong, and before a frame that is not all there.
    expect(scanFrames(bytes, 0, bytes.length, position, 512, SEED, offsets.subarray(0, 3))).toBe(2);
    expect([...offsets.subarray(0, 3)]).toEqual([0, 28, 336]);
    expect(scanFrames(bytes, 0, 2228, position, 512, SEED, offsets)).toBe(3);
    expect(offsets[3]).toBe(2220);
    bytes[600] = (bytes[600] as number) ^ 1;
    expect(scanFrames(bytes, 0, bytes.length, position, 512, SEED, offsets)).toBe(2);
    expect(offsets[2]).toBe(512);
  });

  it('seals the frames before one that reaches over the end, and changes nothing else', () => {
    const first = openFrame(noise(20));
    const bytes = new Uint8Array([...first, ...openFrame(noise(40))]);
    const second = bytes.slice(28);
    expect(codeOf(() => sealFrames(bytes, 0, bytes.length - 1, 0, 512, SEED))).toBe('ERR_OUT_OF_RANGE');
    expect(() => sealFrames(bytes, 0, bytes.length - 1, 0, 512, SEED)).toThrow('at least 76');
    expect(scanFrames(bytes, 0, 28, 0, 512, SEED, new Uint32Array(2))).toBe(1);
    expect(bytes.slice(28)).toEqual(second);
    expect(bytes.subarray(8, 28)).toEqual(first.subarray(8));
  });

  it('refuse wrong arguments', () => {
    const bytes = new Uint8Array(64);
    const call = (name: 'seal' | 'scan', changes: Record<number, unknown>) => {
      const right = [bytes, 0, 64, 0, 512, 0, new Uint32Array(4)];
      const [a, b, c, d, e, f, g] = right.map((value, index) => (index in changes ? changes[index] : value)) as never[];
      return codeOf(() =>
        name === 'seal'
          ? sealFrames(a as never, b as never, c as never, d as never, e as never, f as never)
          : scanFrames(a as never, b as never, c as never, d as never, e as never, f as never, g as never),
      );
    };
    for (const name of ['seal', 'scan'] as const) {
      expect(call(name, {})).toBe('nothing thrown');
      for (const wrong of ['text', [1], undefined, new DataView(bytes.buffer), new Uint16Array(64)]) {
        expect(call(name, { 0: wrong })).toBe('ERR_INVALID_ARG_TYPE');
      }
      for (let argument = 1; argument <= 5; argument++) {
        for (const wrong of WRONG_INTEGERS) expect(call(name, { [argument]: wrong })).toBe('ERR_OUT_OF_RANGE');
        for (const wrong of [...NO_NUMBERS, undefined]) {
          expect(call(name, { [argument]: wrong })).toBe('ERR_INVALID_ARG_TYPE');
        }
      }
      expect(call(name, { 1: 8, 2: 7 })).toBe('ERR_OUT_OF_RANGE');
      expect(call(name, { 2: 65 })).toBe('ERR_OUT_OF_RANGE');
      for (const wrong of [0, 256, 500, 768, 131_072]) expect(call(name, { 4: wrong })).toBe('ERR_OUT_OF_RANGE');
      expect(call(name, { 5: 2 ** 32 })).toBe('ERR_OUT_OF_RANGE');
    }
    expect(call('scan', { 6: new Uint32Array(1) })).toBe('ERR_OUT_OF_RANGE');
    for (const wrong of [undefined, [0, 0], new Uint8Array(8), new Int32Array(8)]) {
      expect(call('scan', { 6: wrong })).toBe('ERR_INVALID_ARG_TYPE');
    }
  });
});

describe.runIf(available)('findDurabilityProof', () => {
  it('finds a frame that proves something, at every offset', () => {
    for (let at = 0; at <= 100; at++) {
      const bytes = new Uint8Array(140);
      const view = new DataView(bytes.buffer);
      view.setUint32(at, 24 + 5, true);
      view.setBigUint64(at + 8, 20n, true);
      view.setUint32(at + 20, 7, true);
      const expected = at <= 108 ? at : -1;
      expect(findDurabilityProof(bytes, 0, 140, 140, 13, 100)).toBe(expected);
      expect(findDurabilityProof(bytes, 0, 140, 140, 14, 100)).toBe(-1);
      expect(findDurabilityProof(bytes, at + 1, 140, 139 - at, 13, 100)).toBe(-1);
    }
  });

  it('refuses wrong arguments', () => {
    const right: unknown[] = [new Uint8Array(100), 0, 100, 100, 13, 100];
    const call = (argument: number, value: unknown) => {
      const [a, b, c, d, e, f] = right.with(argument, value) as never[];
      return codeOf(() => findDurabilityProof(a as never, b as never, c as never, d as never, e as never, f as never));
    };
    expect(call(0, right[0])).toBe('nothing thrown');
    expect(call(0, 'text')).toBe('ERR_INVALID_ARG_TYPE');
    expect(call(1, 101)).toBe('ERR_OUT_OF_RANGE');
    expect(call(2, 101)).toBe('ERR_OUT_OF_RANGE');
    for (let argument = 1; argument <= 5; argument++) {
      for (const wrong of [Number.NaN, -1, 0.5]) expect(call(argument, wrong)).toBe('ERR_OUT_OF_RANGE');
      for (const wrong of NO_NUMBERS) expect(call(argument, wrong)).toBe('ERR_INVALID_ARG_TYPE');
    }
  });
});

it('without the binary every function throws the reason', () => {
  const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  const program = `import * as native from ${JSON.stringify(entry)};
    const bytes = new Uint8Array(64);
    const calls = {
      crc32c: () => native.crc32c(bytes),
      sealFrames: () => native.sealFrames(bytes, 0, 64, 0, 512, 0),
      scanFrames: () => native.scanFrames(bytes, 0, 64, 0, 512, 0, new Uint32Array(4)),
      findDurabilityProof: () => native.findDurabilityProof(bytes, 0, 64, 64, 1, 1),
    };
    for (const [name, call] of Object.entries(calls)) {
      try { call(); console.log(name, 'returned'); } catch ({ code, message }) { console.log(name, code, message); }
    }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, WALSTACK_NATIVE: '0' },
    encoding: 'utf8',
  });
  const why = 'ERR_WALSTACK_NATIVE_UNAVAILABLE The native addon is turned off by WALSTACK_NATIVE=0.';
  expect(stdout.trim().split('\n')).toEqual(
    ['crc32c', 'sealFrames', 'scanFrames', 'findDurabilityProof'].map((name) => `${name} ${why}`),
  );
});

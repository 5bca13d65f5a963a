import { allocateAligned, available } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { thrownBy } from './files.js';
import { runInWorker, runProgram } from './programs.js';

describe.runIf(available)('allocateAligned', () => {
  it('returns zeroed memory of the requested length', () => {
    for (const bytes of [0, 1, 511, 4096, 1_000_003]) {
      const memory = allocateAligned(bytes, 4096);
      expect(memory.length).toBe(bytes);
      expect(memory.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('needs no room where the memory begins aligned already', () => {
    expect(allocateAligned(100, 1).byteOffset).toBe(0);
    // No allocator gives out odd addresses.
    expect(allocateAligned(100, 2).byteOffset).toBe(0);
  });

  it('moves the start by what is missing, and less than the alignment', () => {
    const offsets = Array.from({ length: 50 }, () => allocateAligned(512, 65_536)).map(({ byteOffset }) => byteOffset);
    for (const offset of offsets) expect(offset).toBeLessThan(65_536);
    expect(offsets.some((offset) => offset > 0)).toBe(true);
  });

  it('refuses wrong lengths and alignments', () => {
    const wrong: readonly (readonly [unknown, unknown, string])[] = [
      ['1', 512, 'ERR_INVALID_ARG_TYPE'],
      [1n, 512, 'ERR_INVALID_ARG_TYPE'],
      [undefined, 512, 'ERR_INVALID_ARG_TYPE'],
      [1, '512', 'ERR_INVALID_ARG_TYPE'],
      [1, undefined, 'ERR_INVALID_ARG_TYPE'],
      [-1, 512, 'ERR_OUT_OF_RANGE'],
      [0.5, 512, 'ERR_OUT_OF_RANGE'],
      [Number.NaN, 512, 'ERR_OUT_OF_RANGE'],
      [Number.POSITIVE_INFINITY, 512, 'ERR_OUT_OF_RANGE'],
      [Number.MAX_SAFE_INTEGER, 512, 'ERR_OUT_OF_RANGE'],
      [1, 0, 'ERR_OUT_OF_RANGE'],
      [1, 3, 'ERR_OUT_OF_RANGE'],
      [1, 513, 'ERR_OUT_OF_RANGE'],
      [1, 2 ** 22, 'ERR_OUT_OF_RANGE'],
      [1, 2 ** 32, 'ERR_OUT_OF_RANGE'],
    ];
    for (const [bytes, alignment, code] of wrong) {
      expect(thrownBy(() => allocateAligned(bytes as number, alignment as number)).code).toBe(code);
    }
    expect(thrownBy(() => allocateAligned(2 ** 52, 4096))).toBeInstanceOf(RangeError);
  });

  it('works in a worker thread, and its memory can be handed over', async () => {
    const posted = await runInWorker(
      `const memory = native.allocateAligned(8192, 4096);
      memory.fill(7);
      parentPort.postMessage(memory, [memory.buffer]);`,
      undefined,
    );
    expect(posted).toBeInstanceOf(Uint8Array);
    expect((posted as Uint8Array).every((byte) => byte === 7)).toBe(true);
    expect(posted).toHaveLength(8192);
  });

  it('is collected like other memory', async () => {
    const { stdout } = await runProgram(`
      await collect();
      const before = process.memoryUsage().arrayBuffers;
      for (let i = 0; i < 200; i++) native.allocateAligned(1 << 20, 4096)[0] = 1;
      await collect();
      console.log(process.memoryUsage().arrayBuffers - before < (1 << 20));`);
    expect(stdout.trim()).toBe('true');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bothImplementations, type Implementation } from './implementations.js';
import { putMark, putRecord, viewOf } from './support.js';

const { javaScript, addon } = bothImplementations;

/** What a call returns or throws, in a form that can be compared. */
function outcomeOf(call: () => number): unknown {
  try {
    return call();
  } catch (error) {
    const { name, code, message } = error as Error & { readonly code?: unknown };
    return { name, code, message };
  }
}

/** The same bytes at a place of one's own choice: not all memory is aligned, and not all of it belongs to one thread. */
function placed(bytes: Uint8Array, shift: number, shared: boolean): Uint8Array {
  const length = bytes.length + shift + 8;
  const memory = new Uint8Array(shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length)).fill(0x5a);
  memory.set(bytes, shift);
  return memory.subarray(shift, shift + bytes.length);
}

const places = fc.record({ shift: fc.nat(17), shared: fc.boolean() });
const seeds = fc.integer({ min: 0, max: 0xffff_ffff });
const blockSizes = fc.constantFrom(512, 1024, 65_536);
const positions = fc.oneof(fc.nat(2000), fc.integer({ min: 2 ** 52, max: 2 ** 53 - 2000 }));

const records = fc.record({
  kind: fc.constantFrom('record', 'record', 'record', 'record', 'mark', 'mark', 'zeros', 'noise'),
  lsn: fc.integer({ min: 1, max: 40 }),
  lag: fc.integer({ min: 1, max: 5 }),
  flags: fc.constantFrom(0, 0, 1, 4),
  payload: fc.uint8Array({ maxLength: 120 }),
  length: fc.integer({ min: 1, max: 700 }),
});

/**
 * Memory as one finds it: records and marks where they may stand and where they may not, some sealed, some not, zeros,
 * noise, single bytes damaged, cut anywhere.
 */
const memories = fc
  .record({
    parts: fc.array(records, { maxLength: 12, size: 'max' }),
    blockBytes: blockSizes,
    position: positions,
    seed: seeds,
    sealed: fc.boolean(),
    damages: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    lengths: fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff)), {
      maxLength: 1,
    }),
    cut: fc.nat(39),
  })
  .map(({ parts, blockBytes, position, seed, sealed, damages, lengths, cut }) => {
    const bytes = new Uint8Array(12 * 1500);
    let at = 0;
    let end = 0;
    for (const { kind, lsn, lag, flags, payload, length } of parts) {
      const left = blockBytes - ((position + at) % blockBytes);
      if (left < 8) at += left;
      if (kind === 'zeros') at += left;
      else if (kind === 'mark') at = putMark(bytes, at, lsn, 0, 7);
      else if (kind === 'record') {
        const meta = new Uint8Array(0);
        at = putRecord(bytes, at, {
          lsn: lsn + lag,
          type: 1,
          durableLsn: lsn,
          elapsedMs: 5,
          flags,
          scope: undefined,
          meta,
          payload,
        });
      } else {
        for (let index = 0; index < length; index++) bytes[at + index] = Math.imul(index + 1, length) >>> 3;
        at += length;
      }
      // Zeros may lead far ahead with large blocks: then what follows goes over what was there.
      if (at > 12 * 700) at %= 700;
      end = Math.max(end, at);
    }
    const memory = bytes.slice(0, end + 40);
    if (sealed) outcomeOf(() => javaScript.sealFrames(memory, 0, memory.length, position, blockBytes, seed));
    for (const [where, value] of damages) memory[where % memory.length] = value;
    for (const [where, value] of lengths) viewOf(memory).setUint32(where % (memory.length - 4), value, true);
    return { bytes: memory.subarray(0, memory.length - cut), blockBytes, position, seed };
  });

describe.runIf(addon !== undefined)('the addon and JavaScript', () => {
  const native = addon as Implementation;

  it('give the same checksum of any range, wherever it stands', () => {
    const long = fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(14_000))
      .map(([pattern, length]) =>
        Uint8Array.from({ length }, (_, at) => (pattern[at % pattern.length] as number) + at),
      );
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 600 }), long),
        places,
        seeds,
        fc.nat(),
        fc.nat(),
        (bytes, p, seed, a, b) => {
          const memory = placed(bytes, p.shift, p.shared);
          const end = a % (bytes.length + 1);
          const start = b % (end + 1);
          expect(native.crc32c(memory, seed, start, end)).toBe(javaScript.crc32c(memory, seed, start, end));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('scan any bytes alike, from any place to any place', () => {
    let frames = 0;
    fc.assert(
      fc.property(
        memories,
        places,
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 2, max: 40 }),
        (memory, place, a, b, room) => {
          const { blockBytes, position, seed } = memory;
          const bytes = placed(memory.bytes, place.shift, place.shared);
          const middle = a % (bytes.length + 1);
          for (const [start, end] of [
            [0, bytes.length],
            [0, middle],
            [b % (middle + 1), middle],
            [b % (middle + 1), bytes.length],
          ] as const) {
            const scan = ({ scanFrames }: Implementation) => {
              const offsets = new Uint32Array(room).fill(0xaaaa_aaaa);
              return [scanFrames(bytes, start, end, position, blockBytes, seed, offsets), ...offsets];
            };
            const expected = scan(javaScript);
            frames += expected[0] as number;
            expect(scan(native)).toEqual(expected);
          }
        },
      ),
      { numRuns: 500 },
    );
    // What is held equal is not only that nothing is found.
    expect(frames).toBeGreaterThan(100);
  });

  it('scan a range that ends in every single place alike', () => {
    fc.assert(
      fc.property(memories, places, (memory, place) => {
        const { blockBytes, position, seed } = memory;
        const bytes = placed(memory.bytes.subarray(0, 700), place.shift, place.shared);
        const expected = new Uint32Array(40);
        const offsets = new Uint32Array(40);
        for (let end = 0; end <= bytes.length; end++) {
          const count = javaScript.scanFrames(bytes, 0, end, position, blockBytes, seed, expected);
          expect(native.scanFrames(bytes, 0, end, position, blockBytes, seed, offsets)).toBe(count);
          expect(offsets).toEqual(expected);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('seal any bytes alike, and refuse alike', () => {
    let refused = 0;
    let sealed = 0;
    fc.assert(
      fc.property(memories, places, fc.nat(), fc.nat(), (memory, place, a, b) => {
        const { blockBytes, position, seed } = memory;
        const end = a % 3 === 0 ? memory.bytes.length : b % (memory.bytes.length + 1);
        const start = a % 2 === 0 ? 0 : b % (end + 1);
        const seal = ({ sealFrames }: Implementation) => {
          const bytes = placed(memory.bytes, place.shift, place.shared);
          const outcome = outcomeOf(() => sealFrames(bytes, start, end, position, blockBytes, seed));
          // The memory around the range as well.
          return { outcome, memory: Buffer.from(new Uint8Array(bytes.buffer)).toString('latin1') };
        };
        const expected = seal(javaScript);
        if (typeof expected.outcome === 'number') sealed += expected.outcome;
        else refused++;
        const found = seal(native);
        expect(found.outcome).toEqual(expected.outcome);
        expect(found.memory === expected.memory).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(Math.min(refused, sealed)).toBeGreaterThan(10);
  });

  it('find the same durability proof', () => {
    let found = 0;
    fc.assert(
      fc.property(
        memories,
        places,
        fc.nat(),
        fc.integer({ min: 0, max: 45 }),
        fc.nat(60),
        fc.nat(300),
        (memory, place, a, lsn, span, beyond) => {
          const bytes = placed(memory.bytes, place.shift, place.shared);
          const end = a % 2 === 0 ? bytes.length : a % (bytes.length + 1);
          for (let at = 0; at !== -1; ) {
            const question = [bytes, at, end, end - at + beyond, lsn, lsn + span] as const;
            const expected = javaScript.findDurabilityProof(...question);
            expect(native.findDurabilityProof(...question)).toBe(expected);
            if (expected === -1) break;
            found++;
            at = Math.min(expected + 1, end);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(found).toBeGreaterThan(20);
  });

  it('find the same durability proof where lengths and LSNs are at their limits', () => {
    const bytes = new Uint8Array(64);
    const view = viewOf(bytes);
    const lsns = [0n, 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 54n, 2n ** 63n, 2n ** 64n - 1n];
    const bounds = [0, 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 54];
    for (const length of [0, 23, 24, 25, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      for (const own of lsns) {
        for (const lag of [0, 1, 2, 0xffff_fffe, 0xffff_ffff]) {
          view.setUint32(9, length, true);
          view.setBigUint64(17, own, true);
          view.setUint32(29, lag, true);
          for (const left of [0, 31, 41, 42, 2 ** 33, 2 ** 53 - 1]) {
            for (const lsn of bounds) {
              for (const last of bounds) {
                const question = [bytes, 9, 64, left, lsn, last] as const;
                expect(native.findDurabilityProof(...question)).toBe(javaScript.findDurabilityProof(...question));
              }
            }
          }
        }
      }
    }
  });
});

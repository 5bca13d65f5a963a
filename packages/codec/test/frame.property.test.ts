import { crc32c, decodeFrame, encodeFrame } from '@walstack/codec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { implementations } from './implementations.js';
import { type Layout, layOut } from './support.js';

const seeds = fc.integer({ min: 0, max: 0xffff_ffff });
const blockSizes = fc.constantFrom(512, 1024, 4096, 65_536);

const layouts = blockSizes.chain((blockBytes) =>
  fc
    .record({
      blockBytes: fc.constant(blockBytes),
      position: fc.oneof(
        fc.integer({ min: 0, max: 3 * blockBytes }),
        fc.integer({ min: 2 ** 40, max: 2 ** 40 + blockBytes }),
      ),
      frames: fc.array(
        fc.record({
          // Lengths that end just around the end of a block, whatever stood before, come from the longer ones.
          data: fc.oneof(
            fc.uint8Array({ minLength: 1, maxLength: 40 }),
            fc.uint8Array({ minLength: 24, maxLength: 600 }),
            fc
              .tuple(fc.integer({ min: blockBytes - 60, max: blockBytes + 10 }), fc.nat(255))
              .map(([length, fill]) => new Uint8Array(length).fill(fill)),
          ),
          padded: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
    })
    .map(layOut),
);

interface Scan {
  readonly starts: readonly number[];
  readonly stop: number;
}

/** The same, written straight from the format's description. */
function modelScan(bytes: Uint8Array, position: number, blockBytes: number, seed: number): Scan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const starts: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const boundary = (Math.floor((position + at) / blockBytes) + 1) * blockBytes - position;
    if (boundary - at <= 7) {
      at = boundary;
      continue;
    }
    if (bytes.length - at < 8) break;
    const length = view.getUint32(at, true);
    if (length === 0) {
      at = boundary;
      continue;
    }
    const end = at + 8 + length;
    if (end > bytes.length || crc32c(bytes.subarray(at + 8, end), seed) !== view.getUint32(at + 4, true)) break;
    starts.push(at);
    at = end;
  }
  return { starts, stop: Math.min(at, bytes.length) };
}

/** Overwrites some bytes, some ranges with zeros, and cuts. */
const damages = fc.record({
  bytes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
  zeros: fc.array(fc.tuple(fc.nat(), fc.nat(600)), { maxLength: 2 }),
  cut: fc.option(fc.nat()),
});
type Damage = typeof damages extends fc.Arbitrary<infer T> ? T : never;

function damaged(bytes: Uint8Array, damage: Damage): Uint8Array {
  const copy = bytes.slice();
  if (copy.length === 0) return copy;
  for (const [at, value] of damage.bytes) copy[at % copy.length] = value;
  for (const [at, length] of damage.zeros) copy.fill(0, at % copy.length, (at % copy.length) + length);
  return damage.cut === null ? copy : copy.slice(0, damage.cut % (copy.length + 1));
}

describe.each(implementations)('by $name:', ({ sealFrames, scanFrames }) => {
  function seal(layout: Layout, seed: number): Uint8Array {
    const bytes = layout.bytes.slice();
    const count = sealFrames(bytes, 0, bytes.length, layout.position, layout.blockBytes, seed);
    expect(count).toBe(layout.starts.length);
    return bytes;
  }

  function scan(bytes: Uint8Array, layout: Layout, seed: number, start = 0, end = bytes.length): Scan {
    const offsets = new Uint32Array(bytes.length / 9 + 2);
    const count = scanFrames(bytes, start, end, layout.position + start, layout.blockBytes, seed, offsets);
    return { starts: [...offsets.subarray(0, count)], stop: offsets[count] as number };
  }

  describe('frames of any length, padded or not, from any position', () => {
    it('are all found, and none starts in the last 7 bytes of a block', () => {
      fc.assert(
        fc.property(layouts, seeds, (layout, seed) => {
          const bytes = seal(layout, seed);
          const found = scan(bytes, layout, seed);
          expect(found.starts).toEqual(layout.starts);
          expect(found.stop).toBe(bytes.length);
          for (const start of found.starts) {
            const offsetInBlock = (layout.position + start) % layout.blockBytes;
            expect(layout.blockBytes - offsetInBlock).toBeGreaterThanOrEqual(8);
          }
          found.starts.forEach((start, index) => {
            const data = layout.bytes.subarray(start + 8, layout.ends[index]);
            const single = new Uint8Array(data.length + 8);
            encodeFrame(single, 0, data, seed);
            // `toEqual` takes long for many bytes.
            expect(Buffer.compare(decodeFrame(bytes, start, seed) as Uint8Array, data)).toBe(0);
            expect(Buffer.compare(bytes.subarray(start, layout.ends[index]), single)).toBe(0);
          });
        }),
      );
    });

    it('are found in pieces as in one', () => {
      const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(layouts, seeds, pieces, fc.integer({ min: 2, max: 6 }), (layout, seed, sizes, room) => {
          const bytes = seal(layout, seed);
          const offsets = new Uint32Array(room);
          const found: number[] = [];
          let at = 0;
          let end = 0;
          for (let turn = 0; ; turn++) {
            const count = scanFrames(bytes, at, end, layout.position + at, layout.blockBytes, seed, offsets);
            found.push(...offsets.subarray(0, count));
            const stop = offsets[count] as number;
            expect(stop).toBeGreaterThanOrEqual(at);
            expect(stop).toBeLessThanOrEqual(end);
            at = stop;
            if (count === room - 1) continue;
            if (end === bytes.length) break;
            end = Math.min(bytes.length, end + (sizes[turn % sizes.length] as number));
          }
          expect(found).toEqual(layout.starts);
          expect(at).toBe(bytes.length);
        }),
      );
    });

    it('are not found with another seed', () => {
      fc.assert(
        fc.property(layouts, seeds, seeds, (layout, seed, other) => {
          fc.pre(seed !== other && layout.starts.length > 0);
          expect(scan(seal(layout, seed), layout, other).starts).toEqual([]);
        }),
      );
    });

    it('a wrong byte is noticed at exactly its frame', () => {
      fc.assert(
        fc.property(
          layouts,
          seeds,
          fc.nat(),
          fc.nat(),
          fc.integer({ min: 1, max: 255 }),
          (layout, seed, a, b, bits) => {
            fc.pre(layout.starts.length > 0);
            const bytes = seal(layout, seed);
            const index = a % layout.starts.length;
            const start = layout.starts[index] as number;
            const at = start + (b % ((layout.ends[index] as number) - start));
            bytes[at] = (bytes[at] as number) ^ bits;
            const found = scan(bytes, layout, seed);
            const zeroed = bytes.subarray(start, start + 4).every((byte) => byte === 0);
            if (!zeroed) {
              expect(found.starts).toEqual(layout.starts.slice(0, index));
              expect(found.stop).toBe(start);
            } else {
              // It reads as padding now: whatever is found behind begins a later block, and the frame itself is gone.
              expect(found.starts.slice(0, index)).toEqual(layout.starts.slice(0, index));
              expect(found.starts).not.toContain(start);
              for (const later of found.starts) expect(layout.starts).toContain(later);
            }
          },
        ),
        { numRuns: 400 },
      );
    });

    it('cut anywhere, the whole ones are found', () => {
      fc.assert(
        fc.property(layouts, seeds, fc.nat(), (layout, seed, where) => {
          const bytes = seal(layout, seed);
          const cut = where % (bytes.length + 1);
          const whole = layout.ends.filter((end) => end <= cut).length;
          for (const found of [
            scan(bytes.slice(0, cut), layout, seed),
            scan(bytes, layout, seed, 0, cut),
            scan(seal(layout, seed).fill(0xff, cut), layout, seed, 0, cut),
          ]) {
            expect(found.starts).toEqual(layout.starts.slice(0, whole));
            expect(found.stop).toBeGreaterThanOrEqual(whole === 0 ? 0 : (layout.ends[whole - 1] as number));
            expect(found.stop).toBeLessThanOrEqual(Math.min(cut, layout.starts[whole] ?? cut));
          }
        }),
      );
    });
  });

  describe('hostile bytes', () => {
    const hostile = fc.oneof(
      fc.tuple(layouts, seeds, damages).map(([layout, seed, damage]) => ({
        layout,
        seed,
        bytes: damaged(seal(layout, seed), damage),
      })),
      fc
        .record({
          bytes: fc.uint8Array({ maxLength: 300 }),
          position: fc.nat(5000),
          blockBytes: blockSizes,
          seed: seeds,
        })
        .map(({ bytes, position, blockBytes, seed }) => ({
          layout: { bytes, starts: [], ends: [], position, blockBytes },
          seed,
          bytes,
        })),
    );

    it('are scanned as the format says, inside the range, without an error', () => {
      fc.assert(
        fc.property(hostile, fc.nat(40), fc.nat(40), fc.nat(255), ({ layout, seed, bytes }, before, behind, fill) => {
          const memory = new Uint8Array(before + bytes.length + behind).fill(fill);
          memory.set(bytes, before);
          const offsets = new Uint32Array(bytes.length / 9 + 2).fill(0xffff_ffff);
          const end = before + bytes.length;
          const count = scanFrames(memory, before, end, layout.position, layout.blockBytes, seed, offsets);
          const model = modelScan(bytes, layout.position, layout.blockBytes, seed);
          expect([...offsets.subarray(0, count)]).toEqual(model.starts.map((start) => start + before));
          expect(offsets[count]).toBe(model.stop + before);
          expect(offsets.subarray(count + 1).every((offset) => offset === 0xffff_ffff)).toBe(true);
        }),
        { numRuns: 500 },
      );
    });

    it('are scanned in pieces that end with blocks as in one', () => {
      fc.assert(
        fc.property(hostile, fc.integer({ min: 1, max: 3 }), ({ layout, seed, bytes }, blocks) => {
          const { position, blockBytes } = layout;
          const offsets = new Uint32Array(5);
          const found: number[] = [];
          const piece = blocks * blockBytes;
          let at = 0;
          let end = Math.min(bytes.length, piece - (position % blockBytes));
          for (;;) {
            const count = scanFrames(bytes, at, end, position + at, blockBytes, seed, offsets);
            found.push(...offsets.subarray(0, count));
            at = offsets[count] as number;
            if (count === 4) continue;
            if (end === bytes.length) break;
            end = Math.min(bytes.length, end + piece);
          }
          const whole = modelScan(bytes, position, blockBytes, seed);
          expect({ starts: found, stop: at }).toEqual(whole);
        }),
      );
    });

    it('are sealed inside the range or refused, and every frame that was sealed is found', () => {
      fc.assert(
        fc.property(hostile, fc.nat(40), ({ layout, seed, bytes }, before) => {
          const memory = new Uint8Array(before + bytes.length + 30).fill(0x5a);
          memory.set(bytes, before);
          let sealed = -1;
          try {
            sealed = sealFrames(memory, before, before + bytes.length, layout.position, layout.blockBytes, seed);
          } catch (error) {
            expect((error as { readonly code?: unknown }).code).toBe('ERR_OUT_OF_RANGE');
          }
          expect(memory.subarray(0, before).every((byte) => byte === 0x5a)).toBe(true);
          expect(memory.subarray(before + bytes.length).every((byte) => byte === 0x5a)).toBe(true);
          const found = scan(memory.slice(before, before + bytes.length), layout, seed);
          if (sealed >= 0) expect(found.starts.length).toBe(sealed);
        }),
      );
    });
  });
});

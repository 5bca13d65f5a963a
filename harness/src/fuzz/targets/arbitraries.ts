import fc from 'fast-check';
import type { Edit } from './edits.js';

export const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

export const seeds: fc.Arbitrary<number> = fc.nat(0xffff_ffff);

export const blockSizes: fc.Arbitrary<number> = fc.constantFrom(512, 512, 1024, 4096, 65_536);

export const around = (value: number, by: number): fc.Arbitrary<number> =>
  fc.integer({ min: Math.max(0, value - by), max: value + by });

const places = fc.oneof(fc.nat(200), fc.nat(100_000));
const lengths = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.nat(1500));

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({
    kind: fc.constant('flip' as const),
    at: places,
    mask: fc.oneof(fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128), fc.integer({ min: 1, max: 255 })),
  }),
  fc.record({ kind: fc.constant('overwrite' as const), at: places, bytes: bytes(40) }),
  fc.record({ kind: fc.constant('insert' as const), at: places, bytes: bytes(40) }),
  fc.record({ kind: fc.constant('remove' as const), at: places, length: lengths }),
  fc.record({ kind: fc.constant('duplicate' as const), from: places, length: lengths, at: places, over: fc.boolean() }),
  fc.record({ kind: fc.constant('zero' as const), at: places, length: lengths }),
  fc.record({ kind: fc.constant('cut' as const), at: places }),
);

/** Some changes of bytes, or none. */
export const edits = (maxLength: number): fc.Arbitrary<Edit[]> => fc.array(edit, { maxLength });

/** Fields of a frame, as they are written. */
export interface WrittenFields {
  readonly length: number;
  readonly crc: number;
  readonly lsn: bigint;
  readonly type: number;
  readonly lag: number;
  readonly metaLength: number;
  readonly flags: number;
  readonly codec: number;
  readonly elapsedMs: number;
}

/** Fields that are nearly, or just, those of a frame with an LSN around `lsn`. */
export const frameFields = (lsn: number): fc.Arbitrary<WrittenFields> =>
  fc.record({
    length: fc.oneof(fc.constantFrom(0, 1, 23, 24, 25, 40, 47, 48, 64, 0xffff_ffff), fc.nat(600)),
    crc: seeds,
    lsn: fc.oneof(
      around(lsn, 6).map(BigInt),
      fc.constantFrom(0n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    ),
    type: fc.oneof(fc.constantFrom(0, 1, 2), seeds),
    lag: fc.oneof(fc.constantFrom(1, 1, 1, 0, 0xffff_ffff), fc.nat(8), seeds),
    metaLength: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(0xffff)),
    flags: fc.oneof(fc.constantFrom(0, 0, 1, 8, 16), fc.nat(255)),
    codec: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(255)),
    elapsedMs: seeds,
  });

/** Writes fields at an offset, as far as there is room. */
export function putFields(memory: Uint8Array, at: number, fields: WrittenFields): void {
  const written = new Uint8Array(32);
  const view = new DataView(written.buffer);
  view.setUint32(0, fields.length, true);
  view.setUint32(4, fields.crc, true);
  view.setBigUint64(8, fields.lsn, true);
  view.setUint32(16, fields.type, true);
  view.setUint32(20, fields.lag, true);
  view.setUint16(24, fields.metaLength, true);
  view.setUint8(26, fields.flags);
  view.setUint8(27, fields.codec);
  view.setUint32(28, fields.elapsedMs, true);
  if (at < memory.length) memory.set(written.subarray(0, memory.length - at), at);
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { implementations } from './implementations.js';

const unsigned = (bytes: Uint8Array, at: number, width: number): bigint => {
  let value = 0n;
  for (let index = width - 1; index >= 0; index--) value = value * 256n + BigInt(bytes[at + index] as number);
  return value;
};

/** Whether the fields at an offset would prove that an LSN ≥ `lsn` had been durable: straight from the format. */
function proves(bytes: Uint8Array, at: number, left: number, lsn: number, lastLsn: number): boolean {
  const length = unsigned(bytes, at, 4);
  const own = unsigned(bytes, at + 8, 8);
  const lag = unsigned(bytes, at + 20, 4);
  const metaLength = unsigned(bytes, at + 24, 2);
  const flags = bytes[at + 26] as number;
  const codec = bytes[at + 27] as number;
  const [compressed, encrypted, scoped, mark] = [2, 4, 8, 16].map((bit) => (flags & bit) !== 0);

  const lengthFits = length >= 24n && length + 8n <= BigInt(left);
  const known = flags < 32 && codec < 3;
  const lagProves = lag !== 0n && lag !== 0xffff_ffffn && own - lag >= BigInt(lsn);
  const canStandThere = own >= BigInt(lsn) && own <= BigInt(lastLsn);
  const isMark = flags === 16 && length === 24n && metaLength === 0n && codec === 0 && lag === 1n;
  const isRecord =
    !mark && compressed === (codec !== 0) && 24n + (scoped ? 24n : 0n) + metaLength + (encrypted ? 16n : 0n) <= length;
  return lengthFits && known && lagProves && canStandThere && (isMark || isRecord);
}

function model(bytes: Uint8Array, start: number, end: number, bytesLeft: number, lsn: number, lastLsn: number): number {
  for (let at = start; at + 32 <= end; at++) {
    if (proves(bytes, at, bytesLeft - (at - start), lsn, lastLsn)) return at;
  }
  return -1;
}

const around = (value: number, by: number) => fc.integer({ min: Math.max(0, value - by), max: value + by });

/** Something that is nearly, or just, a durability proof for LSNs around 100, written over other bytes. */
const candidates = fc.record({
  at: fc.nat(300),
  length: fc.oneof(fc.constantFrom(0, 23, 24, 25, 40, 47, 48, 64), fc.nat(300), fc.constant(0xffff_ffff)),
  lsn: fc.oneof(
    around(103, 6).map(BigInt),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(2n ** 53n - 1n, 2n ** 53n),
  ),
  lag: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constantFrom(1, 1, 1, 0xffff_ffff)),
  metaLength: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(65_535)),
  flags: fc.oneof(fc.constant(0), fc.constantFrom(0, 1, 8, 16), fc.nat(255)),
  codec: fc.oneof(fc.constant(0), fc.nat(3)),
});

const memories = fc
  .tuple(fc.integer({ min: 0, max: 340 }), fc.constantFrom(0, 0, 0xff, 0x18), fc.array(candidates, { maxLength: 5 }))
  .map(([length, fill, written]) => {
    const bytes = new Uint8Array(400).fill(fill);
    const view = new DataView(bytes.buffer);
    for (const each of written) {
      view.setUint32(each.at, each.length, true);
      view.setBigUint64(each.at + 8, each.lsn, true);
      view.setUint32(each.at + 20, each.lag, true);
      view.setUint16(each.at + 24, each.metaLength, true);
      view.setUint8(each.at + 26, each.flags);
      view.setUint8(each.at + 27, each.codec);
    }
    return bytes.slice(0, length);
  });

const questions = fc.record({
  lsn: fc.oneof(around(100, 5), fc.constant(1)),
  span: fc.oneof(fc.nat(20), fc.constant(2 ** 52)),
  start: fc.nat(),
  end: fc.nat(),
  beyond: fc.nat(200),
});

describe.each(implementations)('findDurabilityProof by $name', ({ findDurabilityProof }) => {
  it('looks at every offset of the range, as the format says', () => {
    let found = 0;
    fc.assert(
      fc.property(memories, questions, (bytes, { lsn, span, start, end, beyond }) => {
        const last = end % (bytes.length + 1);
        const first = start % (last + 1);
        const left = last - first + beyond;
        const question = [first, last, left, lsn, lsn + span] as const;
        const expected = model(bytes, ...question);
        if (expected !== -1) found++;
        expect(findDurabilityProof(bytes, ...question)).toBe(expected);
        // The whole range gives the answer most often.
        const whole = [0, bytes.length, bytes.length + beyond, lsn, lsn + span] as const;
        let at = findDurabilityProof(bytes, ...whole);
        expect(at).toBe(model(bytes, ...whole));
        // And it goes on behind each answer.
        while (at !== -1) {
          found++;
          const rest = [at + 1, bytes.length, bytes.length + beyond - at - 1, lsn, lsn + span] as const;
          at = findDurabilityProof(bytes, ...rest);
          expect(at).toBe(model(bytes, ...rest));
        }
      }),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(50);
  });

  it('does not look outside of the range', () => {
    fc.assert(
      fc.property(memories, questions, fc.nat(40), fc.nat(255), (bytes, { lsn, span, beyond }, before, fill) => {
        const memory = new Uint8Array(bytes.length + before + 40).fill(fill);
        memory.set(bytes, before);
        const alone = findDurabilityProof(bytes, 0, bytes.length, bytes.length + beyond, lsn, lsn + span);
        const inside = findDurabilityProof(
          memory,
          before,
          before + bytes.length,
          bytes.length + beyond,
          lsn,
          lsn + span,
        );
        expect(inside).toBe(alone === -1 ? -1 : alone + before);
      }),
    );
  });
});

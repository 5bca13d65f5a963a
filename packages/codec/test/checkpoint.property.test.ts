import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, encodeFrame, WalError } from '@walstack/codec';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const counts = fc.oneof(fc.integer({ min: 1 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));

const anyCheckpoint = fc.record(
  {
    logId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    firstSegment: counts,
    checkpointLsn: fc.oneof(fc.constant(0), counts),
    holds: fc.dictionary(fc.string({ unit: 'grapheme' }), counts, { noNullPrototype: true }),
    salvagedBelow: counts,
    expiredLsn: counts,
    unsettled: fc.record({ firstSegment: counts, expiredLsn: counts }, { requiredKeys: ['firstSegment'] }),
  },
  { requiredKeys: ['logId', 'firstSegment', 'checkpointLsn', 'holds'] },
);

/** The beginning from before a truncation is before the one behind it. */
const checkpoints: fc.Arbitrary<Checkpoint> = anyCheckpoint.map(({ unsettled, ...rest }) =>
  unsettled === undefined || rest.firstSegment === 1
    ? rest
    : { ...rest, unsettled: { ...unsettled, firstSegment: 1 + (unsettled.firstSegment % (rest.firstSegment - 1)) } },
);

function decodeOrCode(bytes: Uint8Array): Checkpoint | string {
  try {
    return decodeCheckpoint(bytes, 'a path');
  } catch (error) {
    expect(WalError.is(error)).toBe(true);
    expect((error as WalError).path).toBe('a path');
    return (error as WalError).code;
  }
}

function framed(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  encodeFrame(bytes, 0, data);
  return bytes;
}

describe('checkpoints', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(checkpoints, (checkpoint) => {
        expect(decodeCheckpoint(encodeCheckpoint(checkpoint), 'a path')).toEqual(checkpoint);
      }),
    );
  });

  it('with a wrong byte, cut or random are WAL_CORRUPT', () => {
    fc.assert(
      fc.property(checkpoints, fc.nat(), fc.integer({ min: 1, max: 255 }), (checkpoint, where, bits) => {
        const bytes = encodeCheckpoint(checkpoint);
        const at = where % bytes.length;
        expect(decodeOrCode(bytes.subarray(0, at))).toBe('WAL_CORRUPT');
        bytes[at] = (bytes[at] as number) ^ bits;
        expect(decodeOrCode(bytes)).toBe('WAL_CORRUPT');
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeOrCode(bytes)).toBe('WAL_CORRUPT');
      }),
    );
  });

  it('of any content behind a right checksum are WAL_CORRUPT, or can be written again', () => {
    const member = fc.oneof(fc.jsonValue(), counts, fc.constant('0a'.repeat(16)), fc.constant({}));
    const contents = fc.oneof(
      fc.json().map((text) => new TextEncoder().encode(text)),
      fc.uint8Array({ minLength: 1 }),
      fc
        .record(
          {
            logId: fc.oneof(fc.constant('0a'.repeat(16)), member),
            firstSegment: fc.oneof(counts, member),
            checkpointLsn: fc.oneof(counts, member),
            holds: fc.oneof(fc.constant({ reader: 3 }), fc.dictionary(fc.string(), member), member),
            unsettled: fc.oneof(
              fc.constant(undefined),
              fc.record({ firstSegment: member, expiredLsn: member }),
              member,
            ),
          },
          { requiredKeys: ['logId'] },
        )
        .map((content) => new TextEncoder().encode(JSON.stringify(content))),
    );
    fc.assert(
      fc.property(contents, (data) => {
        const decoded = decodeOrCode(framed(data));
        if (typeof decoded === 'string') expect(decoded).toBe('WAL_CORRUPT');
        else expect(decodeCheckpoint(encodeCheckpoint(decoded), 'a path')).toEqual(decoded);
      }),
      { numRuns: 1000 },
    );
  });
});

import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, encodeFrame, WalError } from '@walstack/codec';
import { settled, withoutUnsettled } from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { fromHex, readVectors, toHex } from './support.js';

interface CheckpointVector {
  readonly name: string;
  readonly logId: string;
  readonly firstSegment: number;
  readonly checkpointLsn: number;
  readonly holds: Record<string, number>;
  readonly json: string;
  readonly file: string;
}

const vectors = readVectors<CheckpointVector>('checkpoints.json');
const PATH = 'log/checkpoint';

const good: Checkpoint = {
  logId: new Uint8Array(16).fill(1),
  firstSegment: 2,
  checkpointLsn: 30,
  holds: { reader: 4 },
};

const toCheckpoint = ({ logId, firstSegment, checkpointLsn, holds }: CheckpointVector): Checkpoint => ({
  logId: fromHex(logId),
  firstSegment,
  checkpointLsn,
  holds,
});

function framed(text: string | Uint8Array): Uint8Array {
  const data = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const bytes = new Uint8Array(8 + data.length);
  encodeFrame(bytes, 0, data);
  return bytes;
}

function errorOf(bytes: Uint8Array): WalError {
  try {
    decodeCheckpoint(bytes, PATH);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing thrown');
}

describe('the file checkpoint', () => {
  it.each(vectors)('is encoded as the vector says: $name', (vector) => {
    expect(toHex(encodeCheckpoint(toCheckpoint(vector)))).toBe(vector.file);
  });

  it.each(vectors)('is decoded as the vector says: $name', (vector) => {
    expect(decodeCheckpoint(fromHex(vector.file), PATH)).toEqual(toCheckpoint(vector));
    expect(decodeCheckpoint(Buffer.from(vector.file, 'hex'), PATH)).toEqual(toCheckpoint(vector));
  });

  it('may have its members in any order, with space between them, and more of them', () => {
    const { logId, json, ...rest } = vectors[2] as CheckpointVector;
    const text = JSON.stringify({ later: [1], holds: rest.holds, checkpointLsn: 99, firstSegment: 3, logId }, null, 2);
    expect(decodeCheckpoint(framed(text), PATH)).toEqual(decodeCheckpoint(framed(json), PATH));
  });

  it('keeps holds of any name', () => {
    const holds = JSON.parse('{"__proto__":1,"constructor":2,"":3,"\\ud800":4}') as Record<string, number>;
    const decoded = decodeCheckpoint(encodeCheckpoint({ ...good, holds }), PATH);
    expect(Object.entries(decoded.holds)).toEqual(Object.entries(holds));
    expect(Object.getPrototypeOf(decoded.holds)).toBe(Object.prototype);
  });
});

describe('a truncation that is not settled', () => {
  const announced: Checkpoint = { ...good, firstSegment: 7, expiredLsn: 50, unsettled: { firstSegment: 3 } };

  it('comes back as it was written, with what had expired before and without', () => {
    const expired = { ...announced, unsettled: { firstSegment: 3, expiredLsn: 20 } };
    for (const each of [announced, expired]) expect(decodeCheckpoint(encodeCheckpoint(each), PATH)).toEqual(each);
  });

  it('is done, or undone with what had expired then', () => {
    expect(settled(announced)).toEqual({ ...good, firstSegment: 7, expiredLsn: 50 });
    expect(withoutUnsettled(announced)).toEqual({ ...good, firstSegment: 3, expiredLsn: undefined });
    const expired = { ...announced, unsettled: { firstSegment: 3, expiredLsn: 20 } };
    expect(withoutUnsettled(expired)).toEqual({ ...good, firstSegment: 3, expiredLsn: 20 });
    expect([settled(good), withoutUnsettled(good)]).toEqual([good, good]);
  });

  it.each([
    ['that has removed nothing', { firstSegment: 7 }],
    ['that begins before the first segment', { firstSegment: 0 }],
    ['whose first segment is no integer', { firstSegment: 2.5 }],
    ['with an expired LSN 0', { firstSegment: 3, expiredLsn: 0 }],
  ])('%s is refused, and read from a file it is damage', (_what, unsettled) => {
    expect(codeOf(() => encodeCheckpoint({ ...announced, unsettled }))).toMatch(/^ERR_/);
    const { logId, ...rest } = announced;
    const json = JSON.stringify({ ...rest, logId: toHex(logId), unsettled });
    expect(errorOf(framed(json))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'impossible-fields' });
  });
});

describe('a damaged checkpoint', () => {
  it('any wrong bit, anything missing, anything behind', () => {
    const file = encodeCheckpoint(good);
    for (let bit = 0; bit < file.length * 8; bit++) {
      const wrong = file.slice();
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(errorOf(wrong)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum' });
    }
    for (let length = 0; length < file.length; length++) {
      expect(errorOf(file.subarray(0, length))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum' });
    }
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(errorOf(longer)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum', path: PATH, offset: 0 });
  });

  it('no JSON, or no UTF-8', () => {
    for (const data of ['{', 'nothing', '{"logId":}', Uint8Array.of(0x22, 0xff, 0x22)]) {
      const error = errorOf(framed(data));
      expect(error).toMatchObject({ code: 'WAL_CORRUPT', reason: 'json', path: PATH });
      expect(error.cause).toBeInstanceOf(Error);
    }
  });

  const right = { logId: '01'.repeat(16), firstSegment: 2, checkpointLsn: 30, holds: {} };
  it.each<[string, unknown]>([
    ['a number', 5],
    ['null', null],
    ['text', 'text'],
    ['an array', [right]],
    ['no members', {}],
    ['no log id', { ...right, logId: undefined }],
    ['a short log id', { ...right, logId: '01'.repeat(15) }],
    ['a long log id', { ...right, logId: '01'.repeat(17) }],
    ['a log id in capitals', { ...right, logId: 'AB'.repeat(16) }],
    ['a log id that is not hex', { ...right, logId: 'zz'.repeat(16) }],
    ['a log id that is a number', { ...right, logId: 1 }],
    ['an announced truncation that is null', { ...right, unsettled: null }],
    ['an announced truncation that is a number', { ...right, unsettled: 1 }],
    ['an announced truncation without a segment', { ...right, unsettled: {} }],
    ['first segment 0', { ...right, firstSegment: 0 }],
    ['a negative first segment', { ...right, firstSegment: -1 }],
    ['a fractional first segment', { ...right, firstSegment: 1.5 }],
    ['a first segment beyond the safe integers', { ...right, firstSegment: 2 ** 53 }],
    ['a first segment that is text', { ...right, firstSegment: '1' }],
    ['a negative checkpoint', { ...right, checkpointLsn: -1 }],
    ['a fractional checkpoint', { ...right, checkpointLsn: 0.5 }],
    ['no checkpoint', { ...right, checkpointLsn: null }],
    ['no holds', { ...right, holds: undefined }],
    ['holds in an array', { ...right, holds: [1] }],
    ['holds that are null', { ...right, holds: null }],
    ['a hold at 0', { ...right, holds: { reader: 0 } }],
    ['a hold that is text', { ...right, holds: { reader: '1' } }],
    ['a fractional hold', { ...right, holds: { one: 1, two: 1.5 } }],
    ['salvaged below 0', { ...right, salvagedBelow: 0 }],
    ['a salvaged part that ends at text', { ...right, salvagedBelow: '1' }],
    ['a salvaged part that ends at null', { ...right, salvagedBelow: null }],
    ['expired up to 0', { ...right, expiredLsn: 0 }],
    ['expired up to text', { ...right, expiredLsn: '1' }],
  ])('impossible content: %s', (_, content) => {
    expect(errorOf(framed(JSON.stringify(content)))).toMatchObject({
      code: 'WAL_CORRUPT',
      reason: 'impossible-fields',
    });
  });
});

describe('arguments of encodeCheckpoint', () => {
  const encode = (changes: Record<string, unknown>) =>
    codeOf(() => encodeCheckpoint({ ...good, ...changes } as Checkpoint));

  it('never give a file that cannot be read again', () => {
    for (const wrong of [Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(encode({ firstSegment: wrong })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ checkpointLsn: wrong })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ holds: { reader: wrong } })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ salvagedBelow: wrong })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ expiredLsn: wrong })).toBe('ERR_OUT_OF_RANGE');
    }
    for (const wrong of ['1', 1n, null, undefined]) {
      expect(encode({ firstSegment: wrong })).toBe('ERR_INVALID_ARG_TYPE');
      expect(encode({ checkpointLsn: wrong })).toBe('ERR_INVALID_ARG_TYPE');
      expect(encode({ holds: { reader: wrong } })).toBe('ERR_INVALID_ARG_TYPE');
    }
    expect(encode({ firstSegment: 0 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ holds: { reader: 0 } })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ holds: null })).toBe('ERR_INVALID_ARG_TYPE');
    expect(encode({ holds: [1] })).toBe('ERR_INVALID_ARG_TYPE');
    expect(encode({ logId: new Uint8Array(15) })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ logId: '01'.repeat(16) })).toBe('ERR_INVALID_ARG_TYPE');
    expect(encode({ checkpointLsn: 0, holds: {} })).toBe('nothing thrown');
  });
});

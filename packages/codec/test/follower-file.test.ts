import { encodeFrame, WalError } from '@walstack/codec';
import {
  decodeFollowerFile,
  encodeFollowerFile,
  type FollowerFile,
  followerFileNames,
  parseFollowerFileName,
} from '@walstack/codec/internal';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';

const PATH = 'log/followers/one.follower';
const ID = 'ab'.repeat(16);
const good: FollowerFile = {
  logId: new Uint8Array(16).fill(1),
  name: 'one',
  position: { lsn: 5, segment: 2, id: ID, session: '0123456789abcdef' },
  storedAtMs: 1_700_000_000_000,
};

function errorOf(bytes: Uint8Array): WalError {
  try {
    decodeFollowerFile(bytes, PATH, 'one');
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing thrown');
}

function framed(value: unknown): Uint8Array {
  const data = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(8 + data.length);
  encodeFrame(bytes, 0, data);
  return bytes;
}

describe('the file of a follower', () => {
  it.each<[string, FollowerFile['position']]>([
    ['everything', undefined],
    ['an LSN', { lsn: 1 }],
    ['a resume point', { lsn: 5, segment: 2, id: ID }],
    ['the end of a segment', { lsn: 5, segment: 2, id: ID, session: 'end' }],
    ['a session', good.position],
  ])('comes back as it was written: %s', (_what, position) => {
    const file = { ...good, position };
    expect(decodeFollowerFile(encodeFollowerFile(file), PATH, 'one')).toEqual(file);
  });

  it('any wrong bit, anything missing, anything behind is damage', () => {
    const file = encodeFollowerFile(good);
    for (let bit = 0; bit < file.length * 8; bit++) {
      const wrong = file.slice();
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(errorOf(wrong)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum', path: PATH });
    }
    for (let length = 0; length < file.length; length++) {
      expect(errorOf(file.subarray(0, length))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum' });
    }
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(errorOf(longer)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum' });
  });

  const right = { logId: '01'.repeat(16), name: 'one', position: { lsn: 3 }, storedAtMs: 7 };
  it.each<[string, unknown, string?]>([
    ['null', null],
    ['no members', {}],
    ['a short log id', { ...right, logId: '01'.repeat(15) }],
    ['a name that is a number', { ...right, name: 1 }],
    ['the name of another follower', { ...right, name: 'two' }, 'other-name'],
    ['no time', { ...right, storedAtMs: undefined }],
    ['a time before the epoch', { ...right, storedAtMs: -1 }],
    ['a position that is null', { ...right, position: null }],
    ['LSN 0', { ...right, position: { lsn: 0 } }],
    ['a segment without its id', { ...right, position: { lsn: 3, segment: 1 } }],
    ['an id without its segment', { ...right, position: { lsn: 3, id: ID } }],
    ['a short id', { ...right, position: { lsn: 3, segment: 1, id: 'ab' } }],
    ['a session without a segment', { ...right, position: { lsn: 3, session: 'end' } }],
    ['an unknown session', { ...right, position: { lsn: 3, segment: 1, id: ID, session: 'last' } }],
  ])('is damaged with %s', (_what, value, reason = 'impossible-fields') => {
    expect(errorOf(framed(value))).toMatchObject({ code: 'WAL_CORRUPT', reason });
  });

  it('may have more members', () => {
    const read = decodeFollowerFile(framed({ ...right, later: [1] }), PATH, 'one');
    expect(read).toEqual({ logId: new Uint8Array(16).fill(1), name: 'one', position: { lsn: 3 }, storedAtMs: 7 });
  });

  it.each<[Partial<FollowerFile>, string]>([
    [{ logId: new Uint8Array(15) }, 'ERR_OUT_OF_RANGE'],
    [{ name: '' }, 'ERR_OUT_OF_RANGE'],
    [{ position: { lsn: 0 } }, 'ERR_OUT_OF_RANGE'],
    [{ storedAtMs: 1.5 }, 'ERR_OUT_OF_RANGE'],
  ])('is not written with %j', (wrong, code) => {
    expect(codeOf(() => encodeFollowerFile({ ...good, ...wrong }))).toBe(code);
  });
});

describe('the names of followers', () => {
  const characters = 'abcdefghijklmnopqrstuvwxyz0123456789'.split('');
  const first = fc.constantFrom(...characters);
  const others = fc.string({ unit: fc.constantFrom(...characters, '.', '-', '_'), maxLength: 63 });
  const names = fc.tuple(first, others).map(([one, rest]) => one + rest);

  it('are in the names of their files, and nowhere else', () => {
    fc.assert(
      fc.property(names, names, (name, other) => {
        const { file, draft, lock } = followerFileNames(name);
        expect(parseFollowerFileName(file)).toBe(name);
        expect([draft, lock, `${lock}.takeover`].map(parseFollowerFileName)).toEqual([undefined, undefined, undefined]);
        if (other !== name) expect(Object.values(followerFileNames(other))).not.toContain(file);
      }),
    );
  });

  it.each([
    '',
    '.follower',
    'A.follower',
    'a b.follower',
    `${'a'.repeat(65)}.follower`,
    'a.follower.new',
    '../a.follower',
  ])('%j is the file of none', (file) => {
    expect(parseFollowerFileName(file)).toBe(undefined);
  });
});

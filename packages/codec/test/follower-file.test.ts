import { encodeFrame, WalError } from '@walstack/codec';
import {
  decodeFollowerFile,
  encodeFollowerFile,
  encodeFollowerSlot,
  FOLLOWER_FILE_BYTES,
  FOLLOWER_SLOT_BYTES,
  type FollowerSlot,
  followerFileNames,
  parseFollowerFileName,
  storedSlot,
} from '@walstack/codec/internal';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';

const PATH = 'log/followers/one.follower';
const ID = 'ab'.repeat(16);
const good: FollowerSlot = {
  logId: new Uint8Array(16).fill(1),
  name: 'one',
  position: { lsn: 5, segment: 2, id: ID, session: '0123456789abcdef' },
  storedAtMs: 1_700_000_000_000,
};
const later: FollowerSlot = { ...good, position: { lsn: 9 }, storedAtMs: 1_700_000_000_007 };

const decode = (bytes: Uint8Array) => decodeFollowerFile(bytes, PATH, 'one');

function errorOf(bytes: Uint8Array): WalError {
  try {
    decode(bytes);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing thrown');
}

/** A file with these slots. */
function fileOf(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FOLLOWER_FILE_BYTES);
  bytes.set(first);
  bytes.set(second, FOLLOWER_SLOT_BYTES);
  return bytes;
}

const NOTHING = new Uint8Array(FOLLOWER_SLOT_BYTES);

function slotOf(value: unknown): Uint8Array {
  const data = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(FOLLOWER_SLOT_BYTES);
  encodeFrame(bytes, 0, data);
  return bytes;
}

describe('the file of a follower', () => {
  it.each<[string, FollowerSlot['position']]>([
    ['everything', undefined],
    ['an LSN', { lsn: 1 }],
    ['a resume point', { lsn: 5, segment: 2, id: ID }],
    ['the end of a segment', { lsn: 5, segment: 2, id: ID, session: 'end' }],
    ['a session', good.position],
  ])('comes back as it was written: %s', (_what, position) => {
    const slot = { ...good, position };
    expect(decode(encodeFollowerFile({ older: slot, newer: later }, 4))).toEqual({ older: slot, newer: later });
    expect(decode(encodeFollowerFile({ older: later, newer: slot }, 4))).toEqual({ older: later, newer: slot });
  });

  it('comes back without a time where there is no clock', () => {
    const slot = { ...good, storedAtMs: undefined };
    expect(decode(encodeFollowerFile({ older: slot, newer: slot }, 4))).toEqual({ older: slot, newer: slot });
  });

  it('says what a process has only begun with: the other slot was stored', () => {
    const made = decode(encodeFollowerFile({ older: good, newer: later }));
    expect(made).toEqual({ older: good, newer: later, begun: later });
    expect(storedSlot(made)).toEqual(good);
    const [stored, begun] = [encodeFollowerSlot(later, 3), encodeFollowerSlot(good, 2)];
    const found = decode(fileOf(stored, begun));
    expect(found).toEqual({ older: good, newer: later, begun: good });
    expect(storedSlot(found)).toEqual(later);
    const alone = decode(fileOf(NOTHING, begun));
    expect(alone).toEqual({ older: good, newer: good, begun: good });
    expect(storedSlot(alone)).toEqual(good);
    expect(storedSlot(decode(fileOf(encodeFollowerSlot(later, 4), stored)))).toEqual(later);
    expect(codeOf(() => encodeFollowerFile({ older: good, newer: later }, 1))).toBe('ERR_OUT_OF_RANGE');
  });

  it('has the slot as the older one that was written before, wherever it is', () => {
    const [first, second] = [encodeFollowerSlot(later, 8), encodeFollowerSlot(good, 7)];
    expect(decode(fileOf(first, second))).toEqual({ older: good, newer: later });
    expect(decode(fileOf(second, first))).toEqual({ older: good, newer: later });
  });

  it('is what the other slot says where one was being written', () => {
    const slots = [encodeFollowerSlot(good, 3), encodeFollowerSlot(later, 4)] as const;
    const frame = (bytes: Uint8Array): number => 8 + new DataView(bytes.buffer).getUint32(0, true);
    for (const [at, other] of [
      [0, later],
      [1, good],
    ] as const) {
      const start = at * FOLLOWER_SLOT_BYTES;
      for (let bit = start * 8; bit < (start + frame(slots[at])) * 8; bit += 3) {
        const wrong = fileOf(...slots);
        wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(decode(wrong)).toEqual({ older: other, newer: other });
      }
    }
  });

  it('is damaged where neither can be read, or it has another size', () => {
    const file = encodeFollowerFile({ older: good, newer: later });
    const wrong = file.slice();
    for (const at of [9, FOLLOWER_SLOT_BYTES + 9]) wrong[at] = (wrong[at] as number) ^ 1;
    expect(errorOf(wrong)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum', path: PATH });
    expect(errorOf(new Uint8Array(FOLLOWER_FILE_BYTES))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'checksum' });
    for (const length of [0, 1, FOLLOWER_SLOT_BYTES, FOLLOWER_FILE_BYTES - 1]) {
      expect(errorOf(file.subarray(0, length))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'size' });
    }
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(errorOf(longer)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'size' });
  });

  const right = { number: 1, logId: '01'.repeat(16), name: 'one', position: { lsn: 3 }, storedAtMs: 7 };
  it.each<[string, unknown, string?]>([
    ['null', null],
    ['no members', {}],
    ['no number', { ...right, number: undefined }],
    ['the number 0', { ...right, number: 0 }],
    ['a short log id', { ...right, logId: '01'.repeat(15) }],
    ['a name that is a number', { ...right, name: 1 }],
    ['the name of another follower', { ...right, name: 'two' }, 'other-name'],
    ['a time that is null', { ...right, storedAtMs: null }],
    ['a time before the epoch', { ...right, storedAtMs: -1 }],
    ['a position that is null', { ...right, position: null }],
    ['LSN 0', { ...right, position: { lsn: 0 } }],
    ['a segment without its id', { ...right, position: { lsn: 3, segment: 1 } }],
    ['an id without its segment', { ...right, position: { lsn: 3, id: ID } }],
    ['a short id', { ...right, position: { lsn: 3, segment: 1, id: 'ab' } }],
    ['a session without a segment', { ...right, position: { lsn: 3, session: 'end' } }],
    ['an unknown session', { ...right, position: { lsn: 3, segment: 1, id: ID, session: 'last' } }],
  ])('is damaged with %s', (_what, value, reason = 'impossible-fields') => {
    expect(errorOf(fileOf(slotOf(value), NOTHING))).toMatchObject({ code: 'WAL_CORRUPT', reason });
  });

  it('may have more members', () => {
    const slot = { logId: new Uint8Array(16).fill(1), name: 'one', position: { lsn: 3 }, storedAtMs: 7 };
    expect(decode(fileOf(NOTHING, slotOf({ ...right, later: [1] })))).toEqual({ older: slot, newer: slot });
  });

  it.each<[Partial<FollowerSlot>, string]>([
    [{ logId: new Uint8Array(15) }, 'ERR_OUT_OF_RANGE'],
    [{ name: '' }, 'ERR_OUT_OF_RANGE'],
    [{ position: { lsn: 0 } }, 'ERR_OUT_OF_RANGE'],
    [{ storedAtMs: 1.5 }, 'ERR_OUT_OF_RANGE'],
  ])('is not written with %j', (wrong, code) => {
    expect(codeOf(() => encodeFollowerSlot({ ...good, ...wrong }, 1))).toBe(code);
    expect(codeOf(() => encodeFollowerSlot(good, 0))).toBe('ERR_OUT_OF_RANGE');
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
        const { file, draft, spare, lock } = followerFileNames(name);
        expect(parseFollowerFileName(file)).toBe(name);
        for (const each of [draft, spare, lock, `${lock}.takeover`])
          expect(parseFollowerFileName(each)).toBe(undefined);
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
    'a.follower.spare',
    '../a.follower',
  ])('%j is the file of none', (file) => {
    expect(parseFollowerFileName(file)).toBe(undefined);
  });
});

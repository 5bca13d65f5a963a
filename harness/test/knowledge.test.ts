import { describe, expect, test } from 'vitest';
import { Knowledge, type LogNote } from '../src/model/knowledge.js';

const NOTES: readonly LogNote[] = [
  { kind: 'appended', lsn: 1, payload: 'one' },
  { kind: 'appended', lsn: 2, payload: 'two' },
  { kind: 'durable', lsn: 2 },
  { kind: 'appended', lsn: 3, payload: 'three' },
];

const check = (notes: readonly LogNote[], firstLsn: number, payloads: readonly string[]) => () =>
  new Knowledge(notes).check(firstLsn, payloads, firstLsn + payloads.length);

describe('what is known of a log', () => {
  test('allows what was acknowledged, with and without what was not', () => {
    check(NOTES, 1, ['one', 'two'])();
    check(NOTES, 1, ['one', 'two', 'three'])();
    check([], 1, [])();
  });

  test.each([
    ['a record is missing that was acknowledged', NOTES, 1, ['one'], 'lost: 2 was acknowledged'],
    ['the log is empty', NOTES, 1, [], 'lost: 2 was acknowledged'],
    ['the front is missing', NOTES, 2, ['two'], 'lost: 1 is needed'],
    ['a record is another one', NOTES, 1, ['one', 'TWO'], 'LSN 2 is "TWO", and was "two"'],
    ['a record is there that was never appended', NOTES, 1, ['one', 'two', 'three', 'four'], 'LSN 4'],
    ['a record was never appended under this LSN', NOTES, 1, ['one', 'two', 'two'], 'LSN 3'],
  ] as const)('says when %s', (_what, notes, firstLsn, payloads, message) => {
    expect(check(notes, firstLsn, payloads)).toThrow(message);
  });

  test('says when replay and log do not end together', () => {
    expect(() => new Knowledge(NOTES).check(1, ['one', 'two'], 4)).toThrow('replay ends before 3, the log before 4');
  });

  test('allows what was truncated to be gone, and no more', () => {
    const notes: LogNote[] = [...NOTES, { kind: 'truncated', lsn: 2 }];
    check(notes, 1, ['one', 'two'])();
    check(notes, 2, ['two'])();
    expect(check(notes, 3, ['three'])).toThrow('lost: 2 is needed');
  });

  test('knows that what was truncated stays away', () => {
    const notes: LogNote[] = [...NOTES, { kind: 'truncated', lsn: 2 }, { kind: 'gone', firstLsn: 2 }];
    check(notes, 2, ['two'])();
    expect(check(notes, 1, ['one', 'two'])).toThrow('back again: the log was truncated to 2, and begins with 1');
    check([...notes, { kind: 'resetting', lsn: 1 }, { kind: 'reset', lsn: 1 }], 1, [])();
  });

  test('holds on to what was found once', () => {
    const found: LogNote = { kind: 'found', firstLsn: 1, payloads: ['one', 'two', 'three'] };
    expect(check([...NOTES, found], 1, ['one', 'two'])).toThrow('lost: 3 was acknowledged');
    const dropped: LogNote = { kind: 'found', firstLsn: 1, payloads: ['one', 'two'] };
    const again: LogNote[] = [
      ...NOTES,
      dropped,
      { kind: 'appended', lsn: 3, payload: 'new' },
      { kind: 'durable', lsn: 3 },
    ];
    expect(check(again, 1, ['one', 'two', 'three'])).toThrow('LSN 3 is "three", and was "new"');
    expect(check([...NOTES, dropped], 1, ['one', 'two', 'three'])).toThrow('LSN 3 is "three"');
  });
});

describe('what is known of a log that is cut', () => {
  const cutting: LogNote[] = [...NOTES, { kind: 'durable', lsn: 3 }, { kind: 'cutting', lsn: 1 }];
  const cut: LogNote[] = [...cutting, { kind: 'cut', lsn: 1 }];

  test('allows all of the tail or nothing of it, and then nothing', () => {
    check(cutting, 1, ['one', 'two', 'three'])();
    check(cutting, 1, ['one'])();
    expect(check(cutting, 1, ['one', 'two'])).toThrow('lost: 3 was acknowledged');
    check(cut, 1, ['one'])();
    expect(check(cut, 1, ['one', 'two', 'three'])).toThrow('LSN 2');
    expect(check(cut, 1, [])).toThrow('lost: 1 was acknowledged');
  });

  test('allows what was found after a crash only', () => {
    const found: LogNote = { kind: 'found', firstLsn: 1, payloads: ['one', 'two', 'three'] };
    expect(check([...cutting, found], 1, ['one'])).toThrow('lost: 3 was acknowledged');
    const gone: LogNote = { kind: 'found', firstLsn: 1, payloads: ['one'] };
    expect(check([...cutting, gone], 1, ['one', 'two', 'three'])).toThrow('LSN 2');
  });

  test('knows where a reset log begins', () => {
    const reset: LogNote[] = [...NOTES, { kind: 'resetting', lsn: 9 }];
    check(reset, 9, [])();
    check(reset, 1, ['one', 'two', 'three'])();
    const done: LogNote[] = [...reset, { kind: 'reset', lsn: 9 }, { kind: 'appended', lsn: 9, payload: 'nine' }];
    check(done, 9, ['nine'])();
    expect(check(done, 1, ['one', 'two'])).toThrow('lost: 8 was acknowledged');
  });

  test('does not take a log for a reset one because it goes on with the same LSN', () => {
    const found: LogNote = { kind: 'found', firstLsn: 1, payloads: ['one', 'two', 'three'] };
    const notes: LogNote[] = [...NOTES, { kind: 'resetting', lsn: 4 }, found];
    check(notes, 1, ['one', 'two', 'three'])();
    expect(check(notes, 4, [])).toThrow('lost: 1 is needed');
    expect(check(notes, 1, ['one', 'TWO', 'three'])).toThrow('LSN 2 is "TWO"');
  });

  test('knows what checkpoint and holds may be, and what a hold keeps', () => {
    const notes: LogNote[] = [...NOTES, { kind: 'claiming', name: 'reader', lsn: 2 }];
    const claims = (of: readonly LogNote[], firstLsn: number, found: Record<string, number>) => () =>
      new Knowledge(of).checkClaims(firstLsn, { checkpoint: 0, ...found });
    claims(notes, 1, {})();
    claims(notes, 1, { reader: 2 })();
    const held: LogNote[] = [...notes, { kind: 'claimed', name: 'reader', lsn: 2 }];
    expect(claims(held, 1, {})).toThrow('forgotten: reader');
    expect(claims(held, 3, { reader: 2 })).toThrow('lost: the hold reader keeps 2');
    expect(claims(held, 1, { reader: 2, other: 1 })).toThrow('forgotten: other');
    expect(claims(held, 1, { reader: 2, checkpoint: 1 })).toThrow('forgotten: checkpoint');
    claims([...held, { kind: 'cut', lsn: 1 }], 1, { reader: 1 })();
    const another: LogNote = { kind: 'claiming', name: 'reader', lsn: 3 };
    const beside: LogNote[] = [...notes, another, { kind: 'claimed', name: 'reader', lsn: 2 }];
    claims(beside, 1, { reader: 2 })();
    claims(beside, 1, { reader: 3 })();
    expect(claims(beside, 1, {})).toThrow('forgotten: reader');
  });
});

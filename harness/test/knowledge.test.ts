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
    ['a record is there that nobody appended', NOTES, 1, ['one', 'two', 'three', 'four'], 'LSN 4'],
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

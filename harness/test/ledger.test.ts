import { expect, test } from 'vitest';
import { Ledger } from '../src/torture/ledger.js';
import type { Report } from '../src/torture/reports.js';

const opened = (firstLsn: number, nextLsn: number): Report => ({ what: 'opened', firstLsn, nextLsn });
const held = (life: number, from: number, to: number): Report => ({ what: 'held', life, from, to });
const acknowledged = (lsn: number): Report => ({ what: 'acknowledged', lsn });
const checked: Report = { what: 'checked' };

/** A log whose first life was acknowledged 10 records. */
function afterTen(): Ledger {
  const ledger = new Ledger();
  expect(ledger.takeAll(1, [opened(1, 1), acknowledged(4), acknowledged(10), acknowledged(7)])).toBeUndefined();
  expect([ledger.acknowledged, ledger.required, ledger.owed]).toEqual([10, 10, 10]);
  return ledger;
}

test('what was promised and is there is no breach', () => {
  const ledger = afterTen();
  // Two records more than were acknowledged were found.
  expect(ledger.takeAll(2, [opened(1, 13), held(1, 1, 12), checked, acknowledged(15)])).toBeUndefined();
  expect([ledger.acknowledged, ledger.required]).toEqual([13, 15]);
  expect(ledger.takeAll(3, [opened(1, 16)])).toBeUndefined();
  expect(ledger.takeAll(4, [opened(1, 16), held(1, 1, 12), held(2, 13, 15), checked])).toBeUndefined();
  expect(ledger.takeAll(4, [{ what: 'truncating', lsn: 14 }])).toBeUndefined();
  expect(ledger.takeAll(5, [opened(13, 16), held(2, 13, 15), checked])).toBeUndefined();
  expect(ledger.owed).toBe(2);
});

test('records that were not acknowledged may go, and their LSNs be given out again', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(2, [opened(1, 11), acknowledged(12)])).toBeUndefined();
  expect(ledger.takeAll(3, [opened(1, 13), held(1, 1, 10), held(2, 11, 12), checked])).toBeUndefined();
});

test.each<[string, number, number, readonly Report[]]>([
  ['an acknowledged record is missing at the end', 2, 3, [opened(1, 8)]],
  ['an acknowledged record is missing at the beginning', 2, 2, [opened(3, 11)]],
  ['everything is missing', 2, 10, [opened(1, 1)]],
  ['a record in the middle is missing', 2, 1, [opened(1, 11), held(1, 1, 4), held(1, 6, 10), checked]],
  ['reading ends early', 2, 4, [opened(1, 11), held(1, 1, 6), checked]],
  ['reading goes on behind the end', 2, 0, [opened(1, 11), held(1, 1, 11), checked]],
  ['a record is of a life that has not written it', 2, 6, [opened(1, 11), held(1, 1, 4), held(2, 5, 10), checked]],
  ['a record is read twice', 2, 1, [opened(1, 11), held(1, 1, 5), held(1, 5, 10), checked]],
  ['a record differs', 2, 1, [opened(1, 11), { what: 'differs', lsn: 3, text: 'another payload' }]],
  ['the log is refused', 2, 10, [{ what: 'wrong', code: 'WAL_CORRUPT', text: 'it is damaged' }]],
  ['something else fails', 2, 0, [opened(1, 11), { what: 'wrong', text: 'no idea' }]],
])('%s', (_what, life, lost, reports) => {
  expect(afterTen().takeAll(life, reports)).toMatchObject({ lost, text: expect.any(String) });
});

test('a batch is there as a whole, or not at all', () => {
  const batch: Report = { what: 'batch', from: 11, to: 13 };
  for (const nextLsn of [11, 14, 15]) {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [batch])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, nextLsn)])).toBeUndefined();
  }
  for (const nextLsn of [12, 13]) {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [batch])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, nextLsn)])).toMatchObject({ lost: 0, text: expect.stringContaining('batch') });
  }
});

test('the LSNs of a batch that is not there are given out again', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, [{ what: 'batch', from: 11, to: 13 }])).toBeUndefined();
  expect(ledger.takeAll(2, [opened(1, 11), acknowledged(12)])).toBeUndefined();
  expect(ledger.takeAll(3, [opened(1, 13)])).toBeUndefined();
});

test('an LSN that is acknowledged to two lives', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(2, [opened(1, 11), acknowledged(12)])).toBeUndefined();
  // Life 1 is still writing, and was told that LSN 13 is its own.
  expect(ledger.takeAll(1, [acknowledged(13)])).toMatchObject({ lost: 0 });
});

test('a record comes back that an opening had dropped', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(2, [opened(1, 11)])).toBeUndefined();
  expect(ledger.takeAll(3, [opened(1, 12), held(1, 1, 11), checked])).toMatchObject({ lost: 1 });
});

test('records come back that were truncated', () => {
  const ledger = afterTen();
  const reports: Report[] = [opened(1, 11), { what: 'truncating', lsn: 6 }, { what: 'truncated', firstLsn: 5 }];
  expect(ledger.takeAll(2, reports)).toBeUndefined();
  expect(ledger.takeAll(3, [opened(4, 11)])).toMatchObject({ lost: 0 });
});

test('more is gone than was truncated', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(2, [opened(1, 11), { what: 'truncating', lsn: 6 }])).toBeUndefined();
  expect(ledger.takeAll(3, [opened(9, 11)])).toMatchObject({ lost: 3 });
});

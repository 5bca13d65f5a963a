import { describe, expect, test } from 'vitest';
import { generationOf } from '../src/torture/expected/generations.js';
import { Ledger } from '../src/torture/expected/ledger.js';
import { decodeReport, encodeReport, type Report } from '../src/torture/reports.js';

const opened = (firstLsn: number, nextLsn: number): Report => ({ what: 'opened', firstLsn, nextLsn });
const held = (run: number, from: number, to: number): Report => ({ what: 'held', run, from, to });
const acknowledged = (lsn: number): Report => ({ what: 'acknowledged', lsn });
const checked: Report = { what: 'checked' };

/** A log whose first run was acknowledged 10 records. */
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
  ['a record is of a run that has not written it', 2, 6, [opened(1, 11), held(1, 1, 4), held(2, 5, 10), checked]],
  ['a record is read twice', 2, 1, [opened(1, 11), held(1, 1, 5), held(1, 5, 10), checked]],
  ['a record differs', 2, 1, [opened(1, 11), { what: 'differs', lsn: 3, text: 'another payload' }]],
  ['the log is refused', 2, 10, [{ what: 'wrong', code: 'WAL_CORRUPT', text: 'it is damaged' }]],
  ['something else fails', 2, 0, [opened(1, 11), { what: 'wrong', text: 'no idea' }]],
])('%s', (_what, run, lost, reports) => {
  expect(afterTen().takeAll(run, reports)).toMatchObject({ lost, text: expect.any(String) });
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

test('an LSN that is acknowledged to two runs', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(2, [opened(1, 11), acknowledged(12)])).toBeUndefined();
  // Run 1 is still writing, and was told that LSN 13 is its own.
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

const claims = (firstLsn: number, holds: Record<string, number>, checkpointLsn = 0): Report => ({
  what: 'claims',
  firstLsn,
  checkpointLsn,
  holds,
});
const cutting = (lsn: number): Report => ({ what: 'cutting', lsn });
const cut = (lsn: number, generation = generationOf(1, 1)): Report => ({ what: 'cut', lsn, generation });
const claiming = (name: string, lsn?: number): Report => ({ what: 'claiming', name, lsn });
const claimed = (name: string, lsn?: number): Report => ({ what: 'claimed', name, lsn });
const truncating = (lsn: number): Report => ({ what: 'truncating', lsn });

test('after a cut the same LSNs are those of other records', () => {
  const ledger = afterTen();
  const behind = generationOf(1, 1);
  expect(ledger.takeAll(1, [cutting(6), cut(6), acknowledged(8)])).toBeUndefined();
  expect([ledger.acknowledged, ledger.required]).toEqual([12, 8]);
  // In the same run, too.
  expect(ledger.takeAll(1, [opened(1, 9), held(1, 1, 6), held(behind, 7, 8), checked])).toBeUndefined();
  expect(ledger.takeAll(1, [acknowledged(9)])).toBeUndefined();
  expect(ledger.takeAll(2, [opened(1, 10), held(1, 1, 6), held(behind, 7, 9), checked])).toBeUndefined();
});

test('a cut that was begun has happened, or has not', () => {
  for (const nextLsn of [7, 11, 12]) {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [cutting(6)])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, nextLsn), held(1, 1, nextLsn - 1), checked, acknowledged(20)])).toBeUndefined();
    const later = [opened(1, 21), held(1, 1, nextLsn - 1), held(2, nextLsn, 20), checked];
    expect(ledger.takeAll(3, later)).toBeUndefined();
  }
});

test('a log goes on where it was reset to, and begins there', () => {
  for (const lsn of [3, 11, 500]) {
    const ledger = afterTen();
    const generation = generationOf(1, 1);
    const reset: Report[] = [
      { what: 'resetting', lsn },
      { what: 'reset', lsn, generation },
    ];
    expect(ledger.takeAll(1, [...reset, acknowledged(lsn + 2)])).toBeUndefined();
    const later = [opened(lsn, lsn + 3), held(generation, lsn, lsn + 2), checked];
    expect(ledger.takeAll(2, later)).toBeUndefined();
    expect(ledger.takeAll(3, [opened(lsn - 1, lsn + 3)])).toMatchObject({ lost: 0 });
  }
});

test('a reset that was begun has happened, or has not', () => {
  for (const [firstLsn, nextLsn] of [
    [1, 11],
    [11, 11],
  ] as const) {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [{ what: 'resetting', lsn: 11 }])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(firstLsn, nextLsn), acknowledged(12)])).toBeUndefined();
    expect(ledger.takeAll(3, [opened(firstLsn, 13)])).toBeUndefined();
  }
});

test('a hold stands, and keeps what it holds, until its release was begun', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, [claims(1, {}), claiming('a', 5), claimed('a', 5), truncating(9)])).toBeUndefined();
  expect(ledger.takeAll(2, [opened(4, 11), claims(4, { a: 5 })])).toBeUndefined();
  expect(ledger.takeAll(2, [claiming('a'), truncating(9)])).toBeUndefined();
  // Half released, it may be there.
  expect(ledger.takeAll(3, [opened(9, 11), claims(9, {})])).toBeUndefined();
});

test('what stands before a hold, and up to a checkpoint, is durable', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, [claiming('a', 13), claimed('a', 13)])).toBeUndefined();
  expect(ledger.required).toBe(12);
  expect(ledger.takeAll(1, [claiming('checkpoint', 14), claimed('checkpoint', 14)])).toBeUndefined();
  expect(ledger.required).toBe(14);
});

test('a cut lowers what is ahead of it', () => {
  const ledger = afterTen();
  const before = [claiming('a', 9), claimed('a', 9), claiming('b', 2), claimed('b', 2)];
  const checkpoint = [claiming('checkpoint', 8), claimed('checkpoint', 8)];
  expect(ledger.takeAll(1, [...before, ...checkpoint, cutting(6), cut(6)])).toBeUndefined();
  expect(ledger.takeAll(2, [opened(1, 7), claims(1, { a: 6, b: 2 }, 6)])).toBeUndefined();
});

test.each<[string, number, readonly Report[], readonly Report[]]>([
  ['a dropped record comes back', 5, [cutting(6), cut(6)], [opened(1, 12), held(1, 1, 11), checked]],
  [
    'a dropped record comes back under what took its place',
    3,
    [cutting(6), cut(6), acknowledged(9)],
    [opened(1, 10), held(1, 1, 9), checked],
  ],
  ['a record that a cut keeps is lost', 2, [cutting(6), cut(6)], [opened(1, 5)]],
  ['a record that a cut keeps was never made durable', 2, [cutting(14), cut(14)], [opened(1, 13)]],
  ['a cut that was begun leaves too little', 5, [cutting(6)], [opened(1, 6)]],
  ['a reset that was begun leaves an end elsewhere', 10, [{ what: 'resetting', lsn: 20 }], [opened(21, 21)]],
  ['a hold is forgotten', 0, [claiming('a', 5), claimed('a', 5)], [opened(1, 11), claims(1, {})]],
  ['a hold is another one', 0, [claiming('a', 5), claimed('a', 5)], [opened(1, 11), claims(1, { a: 6 })]],
  ['a hold comes back', 0, [claiming('a', 5), claimed('a', 5), claiming('a'), claimed('a')], [claims(1, { a: 5 })]],
  ['the checkpoint goes back', 0, [claiming('checkpoint', 5), claimed('checkpoint', 5)], [claims(1, {}, 4)]],
  ['the first LSN is above a hold', 3, [claiming('a', 5), claimed('a', 5), truncating(9)], [opened(8, 11)]],
  [
    'the first LSN is above a hold that came late',
    3,
    [truncating(9), claiming('a', 5), claimed('a', 5)],
    [opened(8, 11)],
  ],
  ['a hold is ahead of a cut', 0, [claiming('a', 9), claimed('a', 9), cutting(6), cut(6)], [claims(1, { a: 9 })]],
])('of cuts and holds: %s', (_what, lost, before, after) => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, before)).toBeUndefined();
  expect(ledger.takeAll(2, after)).toMatchObject({ lost, text: expect.any(String) });
});

/** Of a log with the LSNs 1 to 10, salvage has to keep what is before 7. */
const damaged: Report = { what: 'damaged', firstLsn: 1, nextLsn: 7, begun: 1, lastLsn: 10 };
const salvaged = (fromLsn: number, toLsn: number): Report => ({ what: 'salvaged', lost: [{ fromLsn, toLsn }] });

test('a damaged log is salvaged, and goes on behind what is kept', () => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, [claiming('a', 9), claimed('a', 9), damaged])).toBeUndefined();
  // A run that was ended before it could say anything.
  expect(ledger.takeAll(2, [{ what: 'salvaging' }])).toBeUndefined();
  const reports = [salvaged(7, 10), opened(1, 7), claims(1, { a: 6 }), held(1, 1, 6), checked, acknowledged(8)];
  expect(ledger.takeAll(3, reports)).toBeUndefined();
  expect(ledger.takeAll(4, [opened(1, 9), held(1, 1, 6), held(3, 7, 8), checked])).toBeUndefined();
});

test.each<[string, number, readonly Report[]]>([
  ['a record is gone that it has to keep', 1, [opened(1, 6)]],
  ['a record is there that it has to give up', 0, [opened(1, 8)]],
  ['the first record that it has to keep is gone', 1, [opened(2, 7)]],
  ['too little is said to be lost', 0, [salvaged(7, 9)]],
  ['too much is said to be lost', 0, [salvaged(6, 10)]],
  ['nothing is said to be lost', 0, [{ what: 'salvaged', lost: [] }]],
  ['a record that was given up comes back', 1, [opened(1, 7), acknowledged(7), opened(1, 8), held(1, 1, 7), checked]],
])('of salvage: %s', (_what, lost, reports) => {
  const ledger = afterTen();
  expect(ledger.takeAll(1, [damaged])).toBeUndefined();
  expect(ledger.takeAll(2, reports)).toMatchObject({ lost, text: expect.any(String) });
});

test.each<Report>([
  damaged,
  salvaged(7, 10),
  { what: 'salvaging' },
  cutting(5),
  cut(5, 65_537),
  { what: 'resetting', lsn: 7 },
  { what: 'reset', lsn: 7, generation: 3 },
  claiming('a', 3),
  claimed('checkpoint', 4),
  claiming('a'),
  claims(3, { a: 4, b: 5 }, 2),
])('a line says the same as the report %o', (report) => {
  expect(decodeReport(encodeReport(report))).toEqual(report);
});

describe('what was flushed', () => {
  const flushed: Report = { what: 'flushed', lsn: 14 };

  test('survives that the process is killed', () => {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [flushed])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, 14)])).toMatchObject({ lost: 1, text: expect.stringContaining('flushed') });
  });

  test('is there for good when it was found', () => {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [flushed])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, 15)])).toBeUndefined();
    expect(ledger.required).toBe(14);
  });

  test('need not survive that the power is cut', () => {
    const ledger = afterTen();
    expect(ledger.takeAll(1, [flushed])).toBeUndefined();
    ledger.losePower();
    expect(ledger.takeAll(2, [opened(1, 11)])).toBeUndefined();
  });

  test('goes with a cut', () => {
    const ledger = afterTen();
    const cut: Report = { what: 'cut', lsn: 3, generation: generationOf(1, 1) };
    expect(ledger.takeAll(1, [flushed, { what: 'cutting', lsn: 3 }, cut])).toBeUndefined();
    expect(ledger.takeAll(2, [opened(1, 4)])).toBeUndefined();
  });

  test('is said in one line', () => {
    expect(decodeReport(encodeReport(flushed))).toEqual(flushed);
  });
});

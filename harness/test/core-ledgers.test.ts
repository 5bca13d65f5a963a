import { expect, test } from 'vitest';
import { CoreLedgers } from '../src/torture/expected/core-ledgers.js';
import { decodeReport, encodeReport, type Report } from '../src/torture/reports.js';

const opened = (core: number, firstLsn: number, nextLsn: number): Report => ({
  what: 'opened',
  core,
  firstLsn,
  nextLsn,
});
const acknowledged = (core: number, lsn: number): Report => ({ what: 'acknowledged', core, lsn });

/** Two cores, of which the first one was acknowledged 10 puts and the second one 4. */
function afterFourteen(): CoreLedgers {
  const ledgers = new CoreLedgers();
  const reports = [opened(0, 1, 1), opened(1, 1, 1), acknowledged(0, 10), acknowledged(1, 4)];
  expect(ledgers.takeAll(1, reports)).toBeUndefined();
  expect([ledgers.acknowledged, ledgers.owed]).toEqual([14, 14]);
  return ledgers;
}

test('each core has numbers of its own', () => {
  const ledgers = afterFourteen();
  const held = (core: number, to: number): Report => ({ what: 'held', core, run: 1, from: 1, to });
  expect(ledgers.takeAll(2, [opened(0, 1, 12), held(0, 11), { what: 'checked', core: 0 }])).toBeUndefined();
  expect(ledgers.takeAll(2, [opened(1, 1, 5), held(1, 4), { what: 'checked', core: 1 }])).toBeUndefined();
});

test.each<[string, number, readonly Report[]]>([
  ['a core lost an acknowledged put', 1, [opened(0, 1, 11), opened(1, 1, 4)]],
  ['a core lost everything', 10, [opened(0, 1, 1), opened(1, 1, 5)]],
  ['a core begins behind what its snapshot has', 2, [opened(0, 3, 11)]],
  ['all cores are refused', 14, [{ what: 'wrong', code: 'WAL_CORRUPT', text: 'it is damaged' }]],
  ['one core is refused', 4, [{ what: 'wrong', core: 1, code: 'WAL_CORRUPT', text: 'it is damaged' }]],
  ['something else fails', 0, [{ what: 'wrong', text: 'no idea' }]],
])('%s', (_what, lost, reports) => {
  expect(afterFourteen().takeAll(2, reports)).toMatchObject({ lost, text: expect.any(String) });
});

test('what was committed for good stays, and so does what was found', () => {
  const ledgers = afterFourteen();
  const commits = (count: number): Report => ({ what: 'commits', core: 0, count });
  expect(ledgers.takeAll(1, [{ what: 'committed', core: 0, count: 7 }])).toBeUndefined();
  expect(ledgers.takeAll(2, [opened(0, 1, 11), commits(9)])).toBeUndefined();
  expect(ledgers.takeAll(3, [opened(0, 1, 11), commits(8)])).toMatchObject({ lost: 1 });
});

test('a failure before any core was opened is a breach', () => {
  expect(new CoreLedgers().takeAll(1, [{ what: 'wrong', text: 'no idea' }])).toMatchObject({ lost: 0 });
});

test.each<Report>([
  opened(2, 3, 17),
  acknowledged(0, 12),
  { what: 'acknowledged', lsn: 12 },
  { what: 'batch', from: 4, to: 8 },
  { what: 'held', core: 1, run: 2, from: 3, to: 9 },
  { what: 'checked', core: 3 },
  { what: 'committed', core: 1, count: 12 },
  { what: 'commits', core: 0, count: 3 },
  { what: 'differs', core: 1, lsn: 4, text: 'two\nlines' },
  { what: 'wrong', text: 'no idea' },
])('a report comes over as it was made: %o', (report) => {
  expect(decodeReport(encodeReport(report))).toEqual(report);
});

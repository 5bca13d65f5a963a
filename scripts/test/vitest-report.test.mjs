import { expect, test } from 'vitest';
import { countTests, summaryOf } from '../lib/vitest-report.mjs';

/** @param {string} status @param {string[]} tests */
const file = (status, tests) => ({
  name: 'a.test.ts',
  status,
  assertionResults: tests.map((testStatus) => ({ status: testStatus })),
});

test('tests are counted over all files', () => {
  const report = {
    testResults: [file('passed', ['passed', 'passed', 'pending']), file('failed', ['failed', 'passed'])],
  };
  expect(countTests(report, false)).toEqual({ passed: 3, failed: 1, skipped: 1 });
});

test('a file that did not load is one failure', () => {
  expect(countTests({ testResults: [file('failed', [])] }, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('a run that failed is a failure, whatever its report shows', () => {
  const report = { testResults: [file('passed', ['passed'])] };
  expect(countTests(report, true)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  expect(countTests(report, false)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('skipped tests are named in the summary only where there are some', () => {
  expect(summaryOf({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed');
  expect(summaryOf({ passed: 12, failed: 1, skipped: 2 })).toBe('12 passed, 1 failed, 2 skipped');
});

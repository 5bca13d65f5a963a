/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 *
 * @typedef {object} VitestReport the parts of vitest's JSON report that are read
 * @property {{ name: string, status: string, assertionResults: { status: string }[] }[]} testResults a test file each
 */

/**
 * Counts the tests of a report. A file that failed without a failing test (it did not load, say) counts as one failure,
 * and so does a run that failed although its report shows nothing wrong.
 *
 * @param {VitestReport} report
 * @param {boolean} hasSucceeded whether vitest itself said so
 * @returns {Counts}
 */
export const countTests = (report, hasSucceeded) => {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    const statuses = file.assertionResults.map(({ status }) => status);
    const failed = statuses.filter((status) => status === 'failed').length;
    const passed = statuses.filter((status) => status === 'passed').length;
    counts.passed += passed;
    counts.failed += file.status === 'failed' ? Math.max(failed, 1) : failed;
    counts.skipped += statuses.length - passed - failed;
  }
  if (!hasSucceeded && counts.failed === 0) {
    counts.failed = 1;
  }
  return counts;
};

/** @param {Counts} counts */
export const summaryOf = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;

// `npm test`: every check and every test, all of them even where one fails. The last line printed is the sum.
import './lib/require-node.mjs';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { checks } from './lib/checks.mjs';
import { prepare } from './lib/prepare.mjs';
import { run } from './lib/run.mjs';
import { step } from './lib/steps.mjs';
import { reportsFolder } from './lib/tarballs.mjs';
import { countTests, summaryOf } from './lib/vitest-report.mjs';
import { repositoryRoot as root } from './lib/workspace.mjs';

/** @typedef {import('./lib/vitest-report.mjs').Counts} Counts */

const report = join(reportsFolder, 'vitest.json');

/** @param {NodeJS.ProcessEnv} environment */
const withoutColours = ({ FORCE_COLOR, ...environment }) => ({ ...environment, NO_COLOR: '1' });

/** @param {import('./lib/checks.mjs').Check} check @param {NodeJS.ProcessEnv} env */
const runCheck = async ({ commands }, env) => {
  const failures = [];
  for (const [command, ...args] of commands) {
    const { ok, output } = await run(command, args, { cwd: root, env });
    if (!ok) {
      failures.push(`$ ${command} ${args.join(' ')}\n${output}`);
    }
  }
  return { ok: failures.length === 0, output: failures.join('\n') };
};

/** @param {NodeJS.ProcessEnv} env @returns {Promise<Counts>} */
const runTests = async (env) => {
  rmSync(report, { force: true });
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { ok } = await run('vitest', args, { cwd: root, env, sharesOutput: true });
  return existsSync(report)
    ? countTests(JSON.parse(readFileSync(report, 'utf8')), ok)
    : { passed: 0, failed: 1, skipped: 0 };
};

/** @param {NodeJS.ProcessEnv} environment @returns {Promise<Counts>} */
const runEverything = async (environment) => {
  const plain = withoutColours(environment);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const check of checks) {
    const ok = await step(check.name, () => runCheck(check, plain));
    counts[ok ? 'passed' : 'failed'] += 1;
  }
  const tests = await runTests(process.stdout.isTTY ? environment : plain);
  if (tests.passed === 0) {
    process.stdout.write('No test has passed.\n');
    process.exitCode = 1;
  }
  return {
    passed: counts.passed + tests.passed,
    failed: counts.failed + tests.failed,
    skipped: tests.skipped,
  };
};

const environment = await prepare(root);
const counts = environment === undefined ? { passed: 0, failed: 1, skipped: 0 } : await runEverything(environment);
if (counts.failed > 0) {
  process.exitCode = 1;
}
process.stdout.write(`${summaryOf(counts)}\n`);

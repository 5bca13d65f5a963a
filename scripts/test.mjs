// `npm test`: every check and every test, all of them even where one fails. Where the native addon was built, the tests of
// the packages run a second time without it. The last line printed is the sum.
import './lib/require-node.mjs';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { checks } from './lib/checks.mjs';
import { prepare } from './lib/prepare.mjs';
import { run } from './lib/run.mjs';
import { step } from './lib/steps.mjs';
import { reportsFolder } from './lib/tarballs.mjs';
import { countTests, summaryOf } from './lib/vitest-report.mjs';
import { publishedMembers, repositoryRoot as root } from './lib/workspace.mjs';

/** @typedef {import('./lib/vitest-report.mjs').Counts} Counts */

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

/**
 * @param {string} name of the report
 * @param {string[]} projects none for all
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Counts>}
 */
const runTests = async (name, projects, env) => {
  const report = join(reportsFolder, `${name}.json`);
  rmSync(report, { force: true });
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { ok } = await run('vitest', [...args, ...projects.map((project) => `--project=${project}`)], {
    cwd: root,
    env,
    sharesOutput: true,
  });
  const counts = existsSync(report)
    ? countTests(JSON.parse(readFileSync(report, 'utf8')), ok)
    : { passed: 0, failed: 1, skipped: 0 };
  if (counts.passed === 0) {
    process.stdout.write('No test has passed.\n');
    process.exitCode = 1;
  }
  return counts;
};

/** Whether there is a binary to be turned off. */
const isAddonBuilt = async () => {
  const entry = join(root, 'packages', 'native', 'dist', 'index.js');
  return existsSync(entry) && (await import(pathToFileURL(entry).href)).available;
};

/** @param {NodeJS.ProcessEnv} env @returns {Promise<Counts[]>} */
const runTestsWithAndWithoutAddon = async (env) => {
  const counts = [await runTests('vitest', [], env)];
  if (await isAddonBuilt()) {
    process.stdout.write('\nThe packages once more, without the native addon:\n');
    const packages = publishedMembers(root).map(({ manifest }) => manifest.name);
    counts.push(await runTests('vitest-without-addon', packages, { ...env, WALSTACK_NATIVE: '0' }));
  }
  return counts;
};

/** @param {NodeJS.ProcessEnv} environment @returns {Promise<Counts>} */
const runEverything = async (environment) => {
  const plain = withoutColours(environment);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const check of checks) {
    const ok = await step(check.name, () => runCheck(check, plain));
    counts[ok ? 'passed' : 'failed'] += 1;
  }
  for (const tests of await runTestsWithAndWithoutAddon(process.stdout.isTTY ? environment : plain)) {
    counts.passed += tests.passed;
    counts.failed += tests.failed;
    counts.skipped += tests.skipped;
  }
  return counts;
};

const environment = await prepare(root);
const counts = environment === undefined ? { passed: 0, failed: 1, skipped: 0 } : await runEverything(environment);
if (counts.failed > 0) {
  process.exitCode = 1;
}
process.stdout.write(`${summaryOf(counts)}\n`);

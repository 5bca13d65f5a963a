import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Defect } from './defect.js';
import { bundleWith } from './patched-bundle.js';

/** What the checks need: the root of the repository, and a folder of their own. */
interface Place {
  readonly root: string;
  readonly folder: string;
}

/** Looks for a defect. @returns how it was noticed; `undefined` when it was not */
type Check = (defect: Defect, place: Place) => Promise<string | undefined>;

/**
 * Runs a program. From source there is no binary: the defects are in what runs everywhere.
 *
 * @throws `Error` when it says neither that it found something nor that there was nothing: an exit code alone may be
 * that of a program that did not run
 */
function look(check: string, found: RegExp, program: string, args: readonly string[]): string | undefined {
  const env = { ...process.env, WALSTACK_NATIVE: '0' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { env, encoding: 'utf8' });
  const line = stdout.split('\n').find((each) => found.test(each));
  if (line !== undefined) return `${check}: ${line}`;
  if (status !== 0) throw new Error(`the check ${check} did not run: ${stderr}`);
  return undefined;
}

/** Power cuts and failing operations in every scenario. */
const explore: Check = async (defect, { root, folder }) => {
  const program = join(folder, 'explore.js');
  await bundleWith(root, 'harness/src/mutants/trial.ts', program, defect);
  return look('explore', /^found by /, program, defect.scenario === undefined ? [] : [defect.scenario]);
};

/** Damaged logs and bytes of all kinds. */
const fuzz: Check = async (defect, { root, folder }) => {
  const program = join(folder, 'fuzz.js');
  await bundleWith(root, 'harness/src/fuzz/main.ts', program, defect);
  await bundleWith(root, 'harness/src/fuzz/worker.ts', join(folder, 'fuzz-worker.js'), defect);
  return look('fuzz', /^FOUND in /, program, ['--runs', '1500', '--seed', '7']);
};

/** What is read of vitest's report. */
interface Report {
  readonly numTotalTests: number;
  readonly testResults: readonly { readonly assertionResults: readonly { status: string; fullName: string }[] }[];
}

/** The tests that the defect names. */
const tests: Check = async ({ name, test = '' }, { root, folder }) => {
  const report = join(folder, `${name}.json`);
  const config = join(root, 'harness/src/mutants/vitest.config.ts');
  const args = ['run', '--config', config, '--reporter=json', `--outputFile=${report}`, test];
  const env = { ...process.env, WALSTACK_NATIVE: '0', WALSTACK_DEFECT: name };
  spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], { cwd: root, env });
  const { numTotalTests, testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  if (numTotalTests === 0) throw new Error(`the tests ${test} did not run`);
  const failed = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter((each) => each.status === 'failed'),
  );
  return failed[0] === undefined ? undefined : `${test}: ${failed.length} failed: ${failed[0].fullName}`;
};

/** What is tried, in this order: what is the likeliest to notice the defect, first. */
export function checksFor({ scenario, test }: Defect): readonly Check[] {
  if (test !== undefined) return [tests];
  // What no scenario was made for is rather seen in single bytes.
  return scenario === undefined ? [fuzz, explore] : [explore, fuzz];
}

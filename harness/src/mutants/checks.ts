import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { addonWith, isInAddon } from './addon-with.js';
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
  readonly testResults: readonly { readonly assertionResults: readonly { status: string; fullName: string }[] }[];
}

/**
 * Runs the tests that a defect names.
 *
 * @param without - leave the defect out
 * @returns the names of those that fail
 * @throws `Error` when none ran
 */
function failing(defect: Defect, { root, folder }: Place, without = false): readonly string[] {
  const { name, test = '' } = defect;
  const report = join(folder, `${name}.json`);
  const config = join(root, 'harness/src/mutants/vitest.config.ts');
  const args = ['run', '--config', config, '--reporter=json', `--outputFile=${report}`, test];
  const env: NodeJS.ProcessEnv = { ...process.env, WALSTACK_NATIVE: isInAddon(defect) ? '' : '0' };
  env['WALSTACK_DEFECT'] = name;
  if (without) env['WALSTACK_WITHOUT_DEFECT'] = '1';
  if (isInAddon(defect) && !without) env['WALSTACK_DEFECT_NATIVE'] = addonWith(root, folder, defect);
  rmSync(report, { force: true });
  spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], { cwd: root, env });
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  const ran = testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => RAN.has(status));
  if (ran.length === 0) throw new Error(`the tests ${test} did not run`);
  return ran.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
}

/** What a test comes to that was not left out. */
const RAN = new Set(['passed', 'failed']);

/** Files of tests that were seen to pass. */
const sound = new Set<string>();

/** The tests that the defect names, which pass without it. */
const tests: Check = async (defect, place) => {
  const { test = '' } = defect;
  const failed = failing(defect, place);
  if (failed.length === 0) return undefined;
  if (!sound.has(test)) {
    const [without] = failing(defect, place, true);
    if (without !== undefined) throw new Error(`${test} fails without any defect: ${without}`);
    sound.add(test);
  }
  return `${test}: ${failed.length} failed: ${failed[0]}`;
};

/** What is tried, in this order: what is the likeliest to notice the defect, first. */
export function checksFor({ scenario, test }: Defect): readonly Check[] {
  if (test !== undefined) return [tests];
  // What no scenario was made for is rather seen in single bytes.
  return scenario === undefined ? [fuzz, explore] : [explore, fuzz];
}

import { join } from 'node:path';
import process from 'node:process';
import { addonWith, isInAddon } from './addon-with.js';
import type { Defect } from './defect.js';
import { overlayWith, writeOverlay } from './overlay.js';
import { bundleWith } from './patched-bundle.js';
import { environment, type Place } from './place.js';
import { runWatched } from './run-watched.js';
import { TestRunner } from './tests/test-runner.js';

/** Looks for a defect. @returns how it was noticed; `undefined` when it was not */
export type Check = (defect: Defect, place: Place) => Promise<string | undefined>;

/** Longer than any file of tests, or any check, takes on a busy machine. */
const CHECK_MS = 30 * 60_000;

/**
 * Runs a program.
 *
 * @throws `Error` when it says neither that it found something nor that there was nothing: an exit code alone may be
 * that of a program that did not run
 */
async function look(
  check: string,
  found: RegExp,
  program: string,
  args: readonly string[],
): Promise<string | undefined> {
  const { status, stdout, stderr, hangs } = await runWatched([program, ...args], {
    env: environment(),
    cwd: process.cwd(),
    silenceMs: CHECK_MS,
  });
  if (hangs) return `${check}: it hangs`;
  const line = stdout.split('\n').find((each) => found.test(each));
  if (line !== undefined) return `${check}: ${line}`;
  if (status !== 0) throw new Error(`the check ${check} did not run: ${stderr}`);
  return undefined;
}

/** Power cuts and failing operations in every scenario. */
const explore: Check = async (defect, { root, folder }) => {
  const program = join(folder, 'explore.js');
  await bundleWith(root, 'harness/src/mutants/trial.ts', program, overlayWith(root, join(folder, 'sources'), defect));
  return await look('explore', /^found after /, program, defect.scenario === undefined ? [] : [defect.scenario]);
};

/** Damaged logs and bytes of all kinds. */
const fuzz: Check = async (defect, { root, folder }) => {
  const program = join(folder, 'fuzz.js');
  const overlay = overlayWith(root, join(folder, 'sources'), defect);
  await bundleWith(root, 'harness/src/fuzz/main.ts', program, overlay);
  await bundleWith(root, 'harness/src/fuzz/worker.ts', join(folder, 'fuzz-worker.js'), overlay);
  return await look('fuzz', /^FOUND in /, program, ['--runs', '1500', '--seed', '7']);
};

/**
 * Runs the tests that a defect names.
 *
 * @param without - leave the defect out
 * @returns the names of those that fail, and do so again
 * @throws `Error` when none ran
 */
async function failing(defect: Defect, { root, folder }: Place, without = false): Promise<readonly string[]> {
  const { test = '' } = defect;
  const setup = without
    ? // The programs of worker threads are made for an overlay.
      { root, overlay: writeOverlay(join(folder, 'no-sources'), new Map()) }
    : isInAddon(defect)
      ? { root, native: addonWith(root, folder, defect) }
      : { root, overlay: overlayWith(root, join(folder, 'sources'), defect) };
  const runner = new TestRunner(setup, { ...environment(), ...(isInAddon(defect) ? { WALSTACK_NATIVE: '' } : {}) });
  try {
    const ending = await runner.run({ file: test, env: {} }, CHECK_MS);
    if (ending.hangs) return ['it hangs'];
    if (ending.ran === 0) throw new Error(`the tests ${test} did not run: ${ending.failed[0]}`);
    if (ending.failed.length === 0 || without) return ending.failed;
    const again = await runner.run({ file: test, env: {} }, CHECK_MS);
    return again.hangs || again.failed.length > 0 ? ending.failed : [];
  } finally {
    runner.close();
  }
}

/** Files of tests that were seen to pass. */
const sound = new Set<string>();

/** The tests that the defect names, which pass without it. */
const tests: Check = async (defect, place) => {
  const { test = '' } = defect;
  const failed = await failing(defect, place);
  if (failed.length === 0) return undefined;
  if (!sound.has(test)) {
    const [without] = await failing(defect, place, true);
    if (without !== undefined) throw new Error(`${test} fails without any defect: ${without}`);
    sound.add(test);
  }
  return `${test}: ${failed.length} failed: ${failed[0]}`;
};

/** What is tried, in this order: what is the likeliest to notice the defect, first. */
function checksFor({ scenario, test }: Defect): readonly Check[] {
  if (test !== undefined) return [tests];
  // What no scenario was made for is rather seen in single bytes.
  return scenario === undefined ? [fuzz, explore] : [explore, fuzz];
}

/** Looks for a defect in the scenario or in the tests that it names, and elsewhere. */
export const noticedByOwnChecks: Check = async (defect, place) => {
  for (const check of checksFor(defect)) {
    const by = await check(defect, place);
    if (by !== undefined) return by;
  }
  return undefined;
};

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';
import type { Defect } from '../defect.js';
import { bundleWith, UnusedDefectError } from '../patched-bundle.js';
import { type Ending, runWatched } from './run-watched.js';

/** What the checks need: the root of the repository, and a folder of their own. */
interface Place {
  readonly root: string;
  readonly folder: string;
}

/** Longer than anything here goes on without a word on a busy machine. */
const SILENCE_MS = 6 * 60_000;

/** What is far from the package with the defect, and made of it: its tests see what those of the package do not. */
const TESTS_ABOVE: Readonly<Record<string, readonly string[]>> = {
  codec: ['packages/segmented'],
  'mmap-reader': ['packages/segmented', 'packages/wal'],
  segmented: ['packages/wal'],
  'storage-io': ['packages/segmented'],
};

/** The binary is not made of these sources: the defects are in what runs everywhere. */
const environment = (): NodeJS.ProcessEnv => ({ ...process.env, WALSTACK_NATIVE: '0' });

/**
 * Tries a defect at random: some power cuts in every scenario, the tests of its package and of those above it, damaged logs.
 *
 * @returns how it was noticed; `undefined` when it was not
 */
export async function noticedAtRandom(defect: Defect, place: Place): Promise<string | undefined> {
  return (await exploreBriefly(defect, place)) ?? (await runTests(defect, place)) ?? (await fuzzBriefly(defect, place));
}

async function exploreBriefly(defect: Defect, { root, folder }: Place): Promise<string | undefined> {
  const program = join(folder, 'explore.js');
  if (!(await bundled(root, 'harness/src/mutants/trial.ts', program, defect))) return undefined;
  const ending = await runWatched([program, '--brief'], { env: environment(), cwd: root, silenceMs: SILENCE_MS });
  return outcomeOf('explore', ending, /^found by (.*)/);
}

async function fuzzBriefly(defect: Defect, { root, folder }: Place): Promise<string | undefined> {
  const program = join(folder, 'fuzz.js');
  if (!(await bundled(root, 'harness/src/fuzz/main.ts', program, defect))) return undefined;
  await bundled(root, 'harness/src/fuzz/worker.ts', join(folder, 'fuzz-worker.js'), defect);
  const args = [program, '--runs', '300', '--seed', '7'];
  return outcomeOf(
    'fuzz',
    await runWatched(args, { env: environment(), cwd: root, silenceMs: SILENCE_MS }),
    /^FOUND in (.*)/,
  );
}

/** Whether a program has the defect in it. */
async function bundled(root: string, program: string, outfile: string, defect: Defect): Promise<boolean> {
  try {
    await bundleWith(root, program, outfile, defect);
    return true;
  } catch (error) {
    if (error instanceof UnusedDefectError) return false;
    throw error;
  }
}

function outcomeOf(check: string, { status, stdout, stderr, hangs }: Ending, found: RegExp): string | undefined {
  if (hangs) return `${check}: it hangs`;
  const line = stdout.split('\n').find((each) => found.test(each));
  if (line !== undefined) return `${check}: ${found.exec(line)?.[1]}`;
  if (status !== 0) return `${check}: it ends with ${status}: ${firstError(stderr)}`;
  return undefined;
}

const firstError = (stderr: string): string =>
  stderr.split('\n').find((line) => line.includes('Error')) ?? stderr.slice(0, 200);

/** What is read of vitest's report. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

async function runTests(defect: Defect, place: Place): Promise<string | undefined> {
  const [, name = ''] = defect.file.split('/');
  for (const tested of [`packages/${name}`, ...(TESTS_ABOVE[name] ?? [])]) {
    const left = (await failingAnyway(tested, place)).flatMap((file) => ['--exclude', file]);
    const { ending, report } = await vitest([...left, '--bail', '1', `${tested}/`], place, defect);
    if (ending.hangs) return `tests of ${tested}: they hang`;
    if (ending.status === 0) continue;
    return `tests of ${tested}: ${report === undefined ? 'they do not run' : firstFailure(report)}`;
  }
  return undefined;
}

/** By folder: the files of tests that fail without any defect, as they need what was built. They say nothing. */
const anyway = new Map<string, readonly string[]>();

async function failingAnyway(tested: string, place: Place): Promise<readonly string[]> {
  const known = anyway.get(tested);
  if (known !== undefined) return known;
  const { report } = await vitest([`${tested}/`], place);
  if (report === undefined) throw new Error(`the tests of ${tested} do not run without any defect`);
  const failing = report.testResults.filter(({ status }) => status !== 'passed').map(({ name }) => name);
  const files = failing.map((file) => relative(place.root, file));
  anyway.set(tested, files);
  return files;
}

/** Runs tests on the sources with a defect in them, or without any. */
async function vitest(
  args: readonly string[],
  { root, folder }: Place,
  defect?: Defect,
): Promise<{ readonly ending: Ending; readonly report: Report | undefined }> {
  const file = join(folder, 'tests.json');
  rmSync(file, { force: true });
  const runner = join(root, 'node_modules/vitest/vitest.mjs');
  const config = join(root, 'harness/src/mutants/vitest.config.ts');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const env = defect === undefined ? {} : { WALSTACK_DEFECT_IN_FULL: JSON.stringify(defect) };
  const options = { env: { ...environment(), ...env }, cwd: root, silenceMs: SILENCE_MS };
  const ending = await runWatched([runner, 'run', '--config', config, ...reporters, ...args], options);
  const report = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
  return { ending, report };
}

function firstFailure({ testResults }: Report): string {
  for (const { name, message, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed !== undefined) return failed.fullName;
    if (assertionResults.length === 0 && message) return `${name} does not run`;
  }
  return 'an error outside of any test';
}

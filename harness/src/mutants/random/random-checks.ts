import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
    readonly message?: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

async function runTests(defect: Defect, { root, folder }: Place): Promise<string | undefined> {
  const [, name = ''] = defect.file.split('/');
  for (const tested of [`packages/${name}`, ...(TESTS_ABOVE[name] ?? [])]) {
    const report = join(folder, 'tests.json');
    rmSync(report, { force: true });
    const config = join(root, 'harness/src/mutants/vitest.config.ts');
    const runner = join(root, 'node_modules/vitest/vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const args = [runner, 'run', '--config', config, '--bail', '1', ...reporters, `${tested}/`];
    const env = { ...environment(), WALSTACK_DEFECT_IN_FULL: JSON.stringify(defect) };
    const { status, hangs } = await runWatched(args, { env, cwd: root, silenceMs: SILENCE_MS });
    if (hangs) return `tests of ${tested}: they hang`;
    if (status !== 0) return `tests of ${tested}: ${existsSync(report) ? firstFailure(report) : 'they do not run'}`;
  }
  return undefined;
}

function firstFailure(report: string): string {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  for (const { name, message, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed !== undefined) return failed.fullName;
    if (assertionResults.length === 0 && message) return `${name} does not run`;
  }
  return 'an error outside of any test';
}

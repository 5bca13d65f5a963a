import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TARGETS } from '../fuzz/targets/targets.js';
import { BRIEF_SCENARIOS } from './brief.js';
import { environment, WITHOUT_ADDON } from './place.js';
import { type Ending, runWatched } from './run-watched.js';
import type { TestRunner } from './tests/test-runner.js';

/** A part of the checks: a scenario, a file of tests with the addon or without it, or a target. */
export interface Part {
  readonly kind: 'explore' | 'tests' | 'tests without the addon' | 'fuzz';
  readonly name: string;
}

/** What is said last of a part that had to be killed. */
const HANGS = 'it hangs';

/** The packages with the tests. */
const TESTED = ['codec', 'mmap-reader', 'percore', 'segmented', 'storage-io', 'wal'];

/** All parts of the checks. */
export function allParts(root: string): readonly Part[] {
  const tests = TESTED.flatMap((name) => testsIn(root, `packages/${name}/test`));
  return [
    ...BRIEF_SCENARIOS.map(({ name }): Part => ({ kind: 'explore', name })),
    ...tests.map((name): Part => ({ kind: 'tests', name })),
    ...tests.map((name): Part => ({ kind: 'tests without the addon', name })),
    ...TARGETS.map(({ name }): Part => ({ kind: 'fuzz', name })),
  ];
}

const testsIn = (root: string, folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
    .map((file) => `${folder}/${file}`);

/** The programs of the checks, with defects in them. */
export interface Programs {
  readonly root: string;
  readonly explore: string;
  readonly fuzz: string;
}

/** What parts are run with. */
export interface Run {
  readonly programs: Programs;
  readonly runner: TestRunner;
  /** Beside that of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** A part that takes longer hangs. */
  readonly limitMs: number;
}

/** Runs parts of one kind, in their order, until one notices something. @returns what was noticed */
export async function runParts(
  kind: Part['kind'],
  names: readonly string[],
  { programs, runner, env, limitMs }: Run,
): Promise<string | undefined> {
  if (names.length === 0) return undefined;
  if (kind === 'explore' || kind === 'fuzz') {
    const args = kind === 'explore' ? [programs.explore, '--brief', ...names] : [programs.fuzz, ...names];
    const options = { env: { ...environment(), ...env }, cwd: programs.root, silenceMs: limitMs };
    return outcomeOf(kind, await runWatched(args, options));
  }
  const own = kind === 'tests' ? env : { ...env, ...WITHOUT_ADDON };
  for (const file of names) {
    const ending = await runner.run({ file, env: own }, limitMs);
    if (ending.hangs) return `${file}: ${HANGS}`;
    if (ending.failed.length > 0) return `${file}: ${ending.failed[0]}`;
    if (ending.ran === 0) return `${file}: no test runs`;
  }
  return undefined;
}

/** What a program that looks for defects says of how it ended; `undefined` when it found nothing. */
export function outcomeOf(kind: string, { status, stdout, stderr, hangs }: Ending): string | undefined {
  const lines = stdout.trimEnd().split('\n');
  if (hangs) return `${kind}: ${lines.at(-1)}: ${HANGS}`;
  const found = lines.find((line) => line.startsWith('found '));
  if (found !== undefined) return `${kind}: ${found}`;
  if (status !== 0) return `${kind}: ${lines.at(-1)}: it ends with ${status}: ${firstError(stderr)}`;
  return undefined;
}

const firstError = (stderr: string): string =>
  stderr.split('\n').find((line) => line.includes('Error')) ?? stderr.slice(0, 200);

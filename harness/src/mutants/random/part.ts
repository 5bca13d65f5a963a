import { environment } from '../place.js';
import { type Ending, runWatched } from '../run-watched.js';
import type { TestRunner } from '../tests/test-runner.js';
import type { Prepared } from './prepared.js';

/** The kinds of checks, in the order in which they are tried. */
export const KINDS = ['explore', 'tests', 'fuzz'] as const;

/** A part of the checks: a scenario, a file of tests or a target. */
export interface Part {
  readonly kind: (typeof KINDS)[number];
  readonly name: string;
}

/** A part, what it reaches of the changes, and how long it takes without any of them. */
export interface ReachingPart extends Part {
  readonly ms: number;
  readonly reached: ReadonlySet<number>;
}

/** What parts of one kind are run with. */
export interface Run {
  readonly prepared: Prepared;
  readonly runner: TestRunner;
  readonly env: Readonly<Record<string, string>>;
  /** A part that takes longer hangs. */
  readonly limitMs: number;
}

/** Runs parts of one kind, in their order, until one notices something. @returns what was noticed */
export async function runParts(
  kind: Part['kind'],
  names: readonly string[],
  { prepared, runner, env, limitMs }: Run,
): Promise<string | undefined> {
  if (names.length === 0) return undefined;
  if (kind !== 'tests') {
    const args = kind === 'explore' ? [prepared.explore, '--brief', ...names] : [prepared.fuzz, ...names];
    const options = { env: { ...environment(), ...env }, cwd: prepared.root, silenceMs: limitMs };
    return outcomeOf(kind, await runWatched(args, options));
  }
  for (const file of names) {
    const ending = await runner.run({ file, env }, limitMs);
    if (ending.hangs) return `${file}: it hangs`;
    if (ending.failed.length > 0) return `${file}: ${ending.failed[0]}`;
    if (ending.ran === 0) return `${file}: no test runs`;
  }
  return undefined;
}

function outcomeOf(kind: string, { status, stdout, stderr, hangs }: Ending): string | undefined {
  const lines = stdout.trimEnd().split('\n');
  if (hangs) return `${kind}: ${lines.at(-1)}: it hangs`;
  const found = lines.find((line) => line.startsWith('found '));
  if (found !== undefined) return `${kind}: ${found}`;
  if (status !== 0) return `${kind}: ${lines.at(-1)}: it ends with ${status}: ${firstError(stderr)}`;
  return undefined;
}

const firstError = (stderr: string): string =>
  stderr.split('\n').find((line) => line.includes('Error')) ?? stderr.slice(0, 200);

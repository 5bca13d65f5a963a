import { integerOf, numberOf, parseOptions, seedOf, wordOf } from '../command-line.js';
import { TARGETS } from './targets/targets.js';

const MINUTES = 1;

const TARGET_NAMES: readonly string[] = TARGETS.map(({ name }) => name);

export const HELP = `Gives every decoder bytes that were never written, or that were changed, and looks what it makes of them.

  pnpm fuzz                        everything, for a minute

  --minutes N      for so long (default ${MINUTES})
  --runs N         so many inputs for each target, instead
  --target NAME    one of: ${TARGET_NAMES.join('; ')}; or all (default all)
  --seed S         the same inputs again (default a fresh seed, which is printed)
  --help           this text`;

/** What to do. */
export interface Arguments {
  /** End after so much time, or … */
  readonly minutes: number;
  /** … after so many inputs for each target. */
  readonly runs: number;
  readonly targets: readonly string[];
  readonly seed: number;
}

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[]): Arguments | undefined {
  const { help, minutes, runs, target = 'all', seed } = parseOptions(argv, ['minutes', 'runs', 'target', 'seed']);
  if (help === true) return undefined;
  const named = wordOf('target', target, ['all', ...TARGET_NAMES]);
  const byRuns = runs !== undefined && minutes === undefined;
  return {
    minutes: byRuns ? Number.POSITIVE_INFINITY : minutes === undefined ? MINUTES : numberOf('minutes', minutes, 0),
    runs: runs === undefined ? Number.POSITIVE_INFINITY : integerOf('runs', runs, 1),
    targets: named === 'all' ? TARGET_NAMES : [named],
    seed: seedOf(seed),
  };
}

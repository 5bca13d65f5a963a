import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Part, runParts } from '../parts.js';
import { environment, type Place } from '../place.js';
import { sideBySide } from '../side-by-side.js';
import { TestRunner } from '../tests/test-runner.js';
import type { Prepared } from './prepare.js';

/** What takes longer than this, nothing is tried with. */
const LIMIT_MS = 4 * 60_000;

/** A part, what it reaches of the changes, and how long it takes without any of them. */
export interface ReachingPart extends Part {
  readonly ms: number;
  readonly reached: ReadonlySet<number>;
}

/**
 * Runs parts without any change, and sees which ones of the changes each of them comes to.
 *
 * @param say - is told of parts that fail without any change, such as tests of what was built, or take too long: they are left out
 */
export async function reachOf(
  parts: readonly Part[],
  prepared: Prepared,
  { root, folder }: Place,
  jobs: number,
  say: (line: string) => void,
): Promise<readonly ReachingPart[]> {
  const runners = Array.from(
    { length: jobs },
    () => new TestRunner({ root, overlay: prepared.overlay }, environment()),
  );
  const found: ReachingPart[] = [];
  try {
    await sideBySide(parts, jobs, async ({ kind, name }, job) => {
      const own = join(folder, `reach-${job}`);
      rmSync(own, { recursive: true, force: true });
      mkdirSync(own, { recursive: true });
      const marks = join(folder, `reached-${job}`);
      rmSync(marks, { force: true });
      const started = performance.now();
      const env = { WALSTACK_REACHED: marks, TMPDIR: own };
      const runner = runners[job] as TestRunner;
      const failed = await runParts(kind, [name], { programs: prepared, runner, env, limitMs: LIMIT_MS });
      const ms = Math.round(performance.now() - started);
      if (failed === undefined) found.push({ kind, name, ms, reached: numbersIn(marks) });
      else say(`left out, without any change: ${failed}`);
    });
  } finally {
    for (const runner of runners) runner.close();
  }
  return found;
}

function numbersIn(file: string): ReadonlySet<number> {
  try {
    return new Set(readFileSync(file, 'utf8').trimEnd().split('\n').map(Number));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw error;
  }
}

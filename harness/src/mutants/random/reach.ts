import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Part, runParts } from '../parts.js';
import type { Place } from '../place.js';
import { sideBySideWithRunners } from '../tests/runners.js';
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
 * @param say - prints which parts fail without any change, such as tests of what was built, or take too long: they are left out
 */
export async function reachOf(
  parts: readonly Part[],
  prepared: Prepared,
  { root, folder }: Place,
  jobs: number,
  say: (line: string) => void,
): Promise<readonly ReachingPart[]> {
  const found: ReachingPart[] = [];
  await sideBySideWithRunners(parts, jobs, { root, overlay: prepared.overlay }, async ({ kind, name }, job, runner) => {
    const own = join(folder, `reach-${job}`);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own, { recursive: true });
    const marks = join(folder, `reached-${job}`);
    rmSync(marks, { force: true });
    const started = performance.now();
    const env = { WALSTACK_REACHED: marks, TMPDIR: own };
    const failed = await runParts(kind, [name], { programs: prepared, runner, env, limitMs: LIMIT_MS });
    const ms = Math.round(performance.now() - started);
    if (failed === undefined) found.push({ kind, name, ms, reached: numbersIn(marks) });
    else say(`left out, without any change: ${failed}`);
  });
  return found;
}

/**
 * The same, kept in a file for the next time.
 *
 * @param key - of what it depends on: another one, and it is seen anew
 */
export async function keptReachOf(
  file: string,
  key: string,
  see: () => Promise<readonly ReachingPart[]>,
): Promise<readonly ReachingPart[]> {
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Kept) : undefined;
  if (kept?.key === key) return kept.parts.map((part) => ({ ...part, reached: new Set(part.reached) }));
  const parts = await see();
  const written: Kept = { key, parts: parts.map((part) => ({ ...part, reached: [...part.reached] })) };
  writeFileSync(file, JSON.stringify(written));
  return parts;
}

/** What the file has. */
interface Kept {
  readonly key: string;
  readonly parts: readonly (Part & { readonly ms: number; readonly reached: readonly number[] })[];
}

function numbersIn(file: string): ReadonlySet<number> {
  try {
    return new Set(readFileSync(file, 'utf8').trimEnd().split('\n').map(Number));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw error;
  }
}

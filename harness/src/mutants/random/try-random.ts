import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { allParts, type Part, runParts } from '../parts.js';
import { environment, type Place } from '../place.js';
import { secondsSince, sideBySide } from '../side-by-side.js';
import { TestRunner } from '../tests/test-runner.js';
import { described, type RandomDefect } from './draw.js';
import { EXPLAINED } from './explained.js';
import { type Prepared, prepare } from './prepare.js';
import { type ReachingPart, reachOf } from './reach.js';
import type { Result, Results } from './results.js';
import { selectionFor } from './selection.js';
import { noticedSteadily } from './steady.js';

/** How changes are tried. */
export interface RandomTrial {
  readonly jobs: number;
  readonly results: Results;
  /** Only tests whose path begins like this are run. */
  readonly test: string | undefined;
}

/** A part may take so long on a busy machine, until it is taken for one that hangs. */
const limitMsFor = (slowestMs: number): number => 30_000 + 10 * slowestMs;

const reasonFor = (defect: RandomDefect): string | undefined =>
  EXPLAINED.find(({ file, change }) => file === defect.file && change === defect.change)?.because;

/**
 * Tries changes that are neither explained nor judged yet.
 *
 * @returns how many of all that were given nothing notices, and nothing explains
 */
export async function tryRandom(defects: readonly RandomDefect[], place: Place, trial: RandomTrial): Promise<number> {
  const { results } = trial;
  const before = defects.filter((defect) => results.of(defect) !== undefined).length;
  if (before > 0) console.log(`${before} of them were judged before`);
  const open = defects.filter((defect) => reasonFor(defect) === undefined && results.of(defect) === undefined);
  if (open.length > 0) await judgeAll(open, place, trial);
  const tally = { caught: 0, explained: 0, survived: 0, unreached: 0 };
  for (const defect of defects) {
    const verdict = reasonFor(defect) === undefined ? results.of(defect)?.verdict : 'explained';
    if (verdict !== undefined) tally[verdict]++;
  }
  const { caught, explained, survived, unreached } = tally;
  console.log(
    `mutants: ${defects.length} at random, ${caught} caught, ${explained} explained, ${survived} survived, ${unreached} unreached`,
  );
  return survived + unreached;
}

async function judgeAll(defects: readonly RandomDefect[], place: Place, trial: RandomTrial): Promise<void> {
  const { jobs, results, test } = trial;
  const prepared = await prepare(defects, place);
  const chosen = allParts(place.root).filter(({ name }) => test === undefined || name.startsWith(test));
  const started = performance.now();
  const parts = await reachOf(chosen, prepared, place, jobs, (line) => console.log(line));
  console.log(`what reaches which change was seen in ${secondsSince(started)} s`);
  const runners = Array.from(
    { length: jobs },
    () => new TestRunner({ ...place, overlay: prepared.overlay }, environment()),
  );
  try {
    await sideBySide([...defects.entries()], jobs, async ([number, defect], job) => {
      const began = performance.now();
      const own = { root: place.root, folder: join(place.folder, `job-${job}`) };
      const judged = await judge(number, parts, prepared, own, runners[job] as TestRunner);
      const { file, line, change } = defect;
      const result = { file, line, change, ...judged, seconds: secondsSince(began) };
      results.add(result);
      console.log(`${result.verdict.padEnd(9)} ${described(defect)}\n          ${result.seconds} s ${result.by ?? ''}`);
    });
  } finally {
    for (const runner of runners) runner.close();
  }
}

/** Makes a change in the parts that come to it, in a folder that is emptied before. */
async function judge(
  number: number,
  parts: readonly ReachingPart[],
  prepared: Prepared,
  { folder }: Place,
  runner: TestRunner,
): Promise<Pick<Result, 'verdict' | 'by'>> {
  const selected = selectionFor(number, parts);
  if (selected.length === 0) return { verdict: 'unreached' };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const unsteady: string[] = [];
  for (const { kind, names, slowestMs } of selected) {
    const run = (some: readonly string[], isChanged: boolean): Promise<string | undefined> => {
      const env = { TMPDIR: folder, ...(isChanged ? { WALSTACK_CHANGE: String(number) } : {}) };
      return runParts(kind, some, { programs: prepared, runner, env, limitMs: limitMsFor(slowestMs) });
    };
    if (kind === 'tests') {
      const noticed = await noticedSteadily(names, (name, isChanged) => run([name], isChanged));
      if (noticed.by !== undefined) return { verdict: 'caught', by: noticed.by };
      unsteady.push(...noticed.unsteady);
      continue;
    }
    // The same each time.
    const by = await run(names, true);
    if (by !== undefined) return { verdict: 'caught', by };
  }
  const tried = (kind: Part['kind']): number => selected.find((each) => each.kind === kind)?.names.length ?? 0;
  return {
    verdict: 'survived',
    by: [
      `${tried('explore')} scenarios, ${tried('tests')} files of tests, ${tried('fuzz')} targets`,
      ...unsteady.map((name) => `${name} fails now and then`),
    ].join('; '),
  };
}

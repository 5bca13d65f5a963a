import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { allParts, type Part, runParts } from '../parts.js';
import type { Place } from '../place.js';
import { secondsSince } from '../side-by-side.js';
import { noticedSteadily } from '../steady.js';
import { sideBySideWithRunners } from '../tests/runners.js';
import type { TestRunner } from '../tests/test-runner.js';
import { described, type RandomDefect } from './draw.js';
import { EXPLAINED } from './explained.js';
import { type Prepared, prepare } from './prepare.js';
import { keptReachOf, type ReachingPart, reachOf } from './reach.js';
import type { Result, Results } from './results.js';
import { Experience, selectionFor } from './selection.js';
import { sourcesKey } from './sources-key.js';

/** How changes are tried. */
export interface RandomTrial {
  readonly jobs: number;
  readonly results: Results;
  /** Where what reaches which change is kept; `undefined` for nowhere. */
  readonly reach: string | undefined;
  /** Only tests whose path begins like one of these are run, with commas between them. */
  readonly test: string | undefined;
  /** All that comes to a change is tried, whatever it takes; also of changes that have survived less. */
  readonly thorough: boolean;
}

/** A part may take so long on a busy machine, until it is taken for one that hangs. */
const limitMsFor = ({ ms }: ReachingPart): number => 20_000 + 10 * ms;

const reasonFor = (defect: RandomDefect): string | undefined =>
  EXPLAINED.find(({ file, change }) => file === defect.file && change === defect.change)?.because;

/**
 * Tries changes that are neither explained nor judged yet.
 *
 * @returns how many of all that were given nothing notices, and nothing explains
 */
export async function tryRandom(defects: readonly RandomDefect[], place: Place, trial: RandomTrial): Promise<number> {
  const { results, thorough } = trial;
  const isJudged = (defect: RandomDefect): boolean => {
    const result = results.of(defect);
    return result !== undefined && !(thorough && result.verdict === 'survived' && result.thorough !== true);
  };
  const before = defects.filter(isJudged).length;
  if (before > 0) console.log(`${before} of them were judged before`);
  const open = [...defects.entries()].filter(([, defect]) => reasonFor(defect) === undefined && !isJudged(defect));
  // All of them are put into the sources, so that each has the same number the next time.
  if (open.length > 0) await judgeAll(open, defects, place, trial);
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

async function judgeAll(
  open: readonly (readonly [number: number, defect: RandomDefect])[],
  all: readonly RandomDefect[],
  place: Place,
  trial: RandomTrial,
): Promise<void> {
  const { jobs, results, thorough } = trial;
  const prepared = await prepare(all, place);
  const parts = await partsThatReach(all, prepared, place, trial);
  const experience = new Experience();
  const setup = { root: place.root, overlay: prepared.overlay };
  await sideBySideWithRunners(open, jobs, setup, async ([number, defect], job, runner) => {
    const began = performance.now();
    const { file, line, change } = defect;
    const selected = selectionFor({ number, file }, parts, experience, thorough);
    const judged = await judge(number, selected, { prepared, runner, folder: join(place.folder, `job-${job}`) });
    if (judged.part !== undefined) experience.noticed(file, judged.part);
    const { verdict, by } = judged;
    const result = { file, line, change, verdict, by, seconds: secondsSince(began), thorough };
    results.add(result);
    console.log(`${verdict.padEnd(9)} ${described(defect)}\n          ${result.seconds} s ${by}`);
  });
}

/** Which parts come to which change: seen, or as it was seen before. */
async function partsThatReach(
  defects: readonly RandomDefect[],
  prepared: Prepared,
  place: Place,
  { jobs, test, reach }: RandomTrial,
): Promise<readonly ReachingPart[]> {
  const tests = test?.split(',');
  const all = allParts(place.root).filter(({ name }) => tests?.some((path) => name.startsWith(path)) ?? true);
  const see = async (): Promise<readonly ReachingPart[]> => {
    const started = performance.now();
    const parts = await reachOf(all, prepared, place, jobs, (line) => console.log(line));
    console.log(`what reaches which change was seen in ${secondsSince(started)} s`);
    return parts;
  };
  if (reach === undefined) return see();
  return keptReachOf(reach, sourcesKey(place.root, [defects.map(described), all]), see);
}

/** What a change is tried with. */
interface Tools {
  readonly prepared: Prepared;
  readonly runner: TestRunner;
  /** Emptied before. */
  readonly folder: string;
}

/** What became of a change, and which part has noticed it. */
interface Judged {
  readonly verdict: Result['verdict'];
  readonly by: string;
  readonly part?: Part;
}

/** Makes a change in the parts that come to it. */
async function judge(number: number, selected: readonly ReachingPart[], tools: Tools): Promise<Judged> {
  const { prepared, runner, folder } = tools;
  if (selected.length === 0)
    return { verdict: 'unreached', by: 'nothing comes to it, or it makes no difference there' };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const unsteady: string[] = [];
  for (const part of selected) {
    const noticed = await noticedSteadily((isChanged) => {
      const env = { TMPDIR: folder, ...(isChanged ? { WALSTACK_CHANGE: String(number) } : {}) };
      return runParts(part.kind, [part.name], { programs: prepared, runner, env, limitMs: limitMsFor(part) });
    });
    if (noticed === 'unsteady') unsteady.push(part.name);
    else if (noticed.by !== undefined) return { verdict: 'caught', by: noticed.by, part };
  }
  const tried = (kind: Part['kind']): number => selected.filter((each) => each.kind === kind).length;
  const counts = `${tried('explore')} scenarios, ${tried('tests')} and ${tried('tests without the addon')} files of tests, ${tried('fuzz')} targets`;
  return { verdict: 'survived', by: [counts, ...unsteady.map((name) => `${name} fails now and then`)].join('; ') };
}

import process from 'node:process';
import { type Effort, exploreScenario } from '../explore/explore-scenario.js';
import type { ModeName } from '../modes.js';
import { SCENARIOS } from '../scenarios/index.js';
import { BRIEF_SCENARIOS, modesOf } from './brief.js';

/** Little of each scenario: what a defect breaks is seen at one of many moments. */
const EFFORT = { seeds: [1, 2], survivorsPerPoint: 6, faults: false };

/** Less of it, for defects of which there are many. */
const BRIEF = { seeds: [1], survivorsPerPoint: 3, faults: false };

/** A scenario to explore, with every operation failing in its turn or without. */
interface Attempt {
  readonly name: string;
  readonly modes: readonly ModeName[];
  readonly effort: Effort;
}

/** The scenario that was made for the defect, both ways, before all others. */
function attempts(first: string | undefined): readonly Attempt[] {
  const both = [false, true].map((faults) => ({ ...EFFORT, faults }));
  const attempt = (effort: Effort) => (name: string) => ({ name, modes: modesOf(name), effort });
  const others = Object.keys(SCENARIOS).filter((name) => name !== first);
  const own = first === undefined ? [] : both.map((effort) => attempt(effort)(first));
  return [...own, ...both.flatMap((effort) => others.map(attempt(effort)))];
}

/** The brief form of these scenarios, in this order; of all when none is named. */
function briefAttempts(names: readonly string[]): readonly Attempt[] {
  const chosen = names.length === 0 ? BRIEF_SCENARIOS.map(({ name }) => name) : names;
  const modeOf = new Map(BRIEF_SCENARIOS.map(({ name, mode }) => [name, mode]));
  return chosen.map((name) => ({ name, modes: [modeOf.get(name)].flatMap((mode) => mode ?? []), effort: BRIEF }));
}

/** Explores scenarios until one fails. That is what this program is for: it is run with a defect in it. */
async function findDefect(tried: readonly Attempt[]): Promise<string> {
  let before = 0;
  for (const { name, modes, effort } of tried) {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    for (const mode of modes) {
      process.stdout.write(`${name}, ${mode}\n`);
      const { failure, states } = await exploreScenario(scenario, mode, effort);
      before += states;
      if (failure !== undefined) {
        return `found after ${before} states by ${name}, ${mode}: ${failure.message.split('\n', 1)[0]}`;
      }
    }
  }
  return `nothing was found in ${before} states`;
}

const [first, ...names] = process.argv.slice(2);
const found = await findDefect(first === '--brief' ? briefAttempts(names) : attempts(first));
process.stdout.write(`${found}\n`);
// A defect may leave something open that would keep the process.
process.exit();

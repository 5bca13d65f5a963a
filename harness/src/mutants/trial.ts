import process from 'node:process';
import { type Effort, exploreScenario } from '../explore/explore-scenario.js';
import { MODE_NAMES, type ModeName } from '../modes.js';
import { SCENARIOS } from '../scenarios/index.js';

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

const modesOf = (name: string): readonly ModeName[] => SCENARIOS[name]?.modes ?? MODE_NAMES;

/** The scenario that was made for the defect, both ways, before all others. */
function attempts(first: string | undefined): Attempt[] {
  const both = [false, true].map((faults) => ({ ...EFFORT, faults }));
  const attempt = (effort: Effort) => (name: string) => ({ name, modes: modesOf(name), effort });
  const others = Object.keys(SCENARIOS).filter((name) => name !== first);
  const own = first === undefined ? [] : both.map((effort) => attempt(effort)(first));
  return [...own, ...both.flatMap((effort) => others.map(attempt(effort)))];
}

/** Every scenario in one mode, the modes by turns. */
const briefAttempts = (): Attempt[] =>
  Object.keys(SCENARIOS).map((name, turn) => {
    const modes = modesOf(name);
    return { name, modes: [modes[turn % modes.length] as ModeName], effort: BRIEF };
  });

/** Explores scenarios until one fails. That is what this program is for: it is run with a defect in it. */
async function findDefect(tried: readonly Attempt[]): Promise<string | undefined> {
  for (const { name, modes, effort } of tried) {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    for (const mode of modes) {
      process.stdout.write(`${name}, ${mode}\n`);
      const { failure } = await exploreScenario(scenario, mode, effort);
      if (failure !== undefined) return `${name}, ${mode}: ${failure.message.split('\n', 1)[0]}`;
    }
  }
  return undefined;
}

const [first] = process.argv.slice(2);
const found = await findDefect(first === '--brief' ? briefAttempts() : attempts(first));
process.stdout.write(found === undefined ? 'nothing was found\n' : `found by ${found}\n`);

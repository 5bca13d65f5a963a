import process from 'node:process';
import { exploreScenario } from '../explore/explore-scenario.js';
import { MODE_NAMES } from '../modes.js';
import { SCENARIOS } from '../scenarios/index.js';

/** Little of each scenario: what a defect breaks is seen at one of many moments. */
const EFFORT = { seeds: [1, 2], survivorsPerPoint: 6, faults: false };

/** A scenario to explore, with every operation failing in its turn or without. */
interface Attempt {
  readonly name: string;
  readonly faults: boolean;
}

/** The scenario that was made for the defect, both ways, before all others. */
function attempts(first: string | undefined): Attempt[] {
  const both = [false, true];
  const others = Object.keys(SCENARIOS).filter((name) => name !== first);
  const own = first === undefined ? [] : both.map((faults) => ({ name: first, faults }));
  return [...own, ...both.flatMap((faults) => others.map((name) => ({ name, faults })))];
}

/** Explores scenarios until one fails. That is what this program is for: it is run with a defect in it. */
async function findDefect(first: string | undefined): Promise<string | undefined> {
  for (const { name, faults } of attempts(first)) {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    for (const mode of scenario.modes ?? MODE_NAMES) {
      const { failure } = await exploreScenario(scenario, mode, { ...EFFORT, faults });
      if (failure !== undefined) return `${name}, ${mode}: ${failure.message.split('\n', 1)[0]}`;
    }
  }
  return undefined;
}

const found = await findDefect(process.argv[2]);
process.stdout.write(found === undefined ? 'nothing was found\n' : `found by ${found}\n`);

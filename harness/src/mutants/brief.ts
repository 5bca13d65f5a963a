import { MODE_NAMES, type ModeName } from '../modes.js';
import { SCENARIOS } from '../scenarios/index.js';

/** A scenario in one mode. */
export interface BriefScenario {
  readonly name: string;
  readonly mode: ModeName;
}

/** The modes of a scenario. */
export const modesOf = (name: string): readonly ModeName[] => SCENARIOS[name]?.modes ?? MODE_NAMES;

/** Every scenario in one mode, the modes by turns. */
export const BRIEF_SCENARIOS: readonly BriefScenario[] = Object.keys(SCENARIOS).map((name, turn) => {
  const modes = modesOf(name);
  return { name, mode: modes[turn % modes.length] as ModeName };
});

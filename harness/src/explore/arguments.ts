import { parseArgs } from 'node:util';
import { MODE_NAMES, type ModeName } from '../modes.js';
import { SCENARIOS } from '../scenarios/index.js';

/** What `pnpm explore` was asked for. */
export interface Arguments {
  readonly seeds: readonly number[];
  readonly scenarios: readonly string[];
  /** Only this mode; `undefined` for all that a scenario has. */
  readonly mode: ModeName | undefined;
  readonly replay: string | undefined;
}

export const USAGE = `pnpm explore [--seeds N] [--seed S] [--scenario NAME] [--mode MODE] [--replay COORDINATE]

  --seeds N            so many seeds for each scenario; default 4
  --seed S             the first of them; default 1
  --scenario NAME      only this scenario, a file in harness/src/scenarios
  --mode MODE          only this mode: ${MODE_NAMES.join(', ')}
  --replay COORDINATE  only this one state; needs --scenario and --mode
`;

/** @throws an `Error` that says what is wrong */
export function parseArguments(args: readonly string[]): Arguments | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      scenario: { type: 'string' },
      mode: { type: 'string' },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { scenario, replay } = values;
  if (scenario !== undefined && !(scenario in SCENARIOS)) {
    throw new Error(`there is no scenario ${scenario}: ${Object.keys(SCENARIOS).join(', ')}`);
  }
  const mode = MODE_NAMES.find((name) => name === values.mode);
  if (values.mode !== undefined && mode === undefined) {
    throw new Error(`there is no mode ${values.mode}: ${MODE_NAMES.join(', ')}`);
  }
  if (replay !== undefined && (scenario === undefined || mode === undefined)) {
    throw new Error('--replay needs --scenario and --mode');
  }
  const first = integer('--seed', values.seed, 0);
  const count = integer('--seeds', values.seeds, 1);
  return {
    seeds: Array.from({ length: count }, (_, index) => first + index),
    scenarios: scenario === undefined ? Object.keys(SCENARIOS) : [scenario],
    mode,
    replay,
  };
}

function integer(name: string, text: string, minimum: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new Error(`${name} is an integer of at least ${minimum}, not ${text}`);
  }
  return value;
}

import process from 'node:process';
import { ExplorationFailure } from '@walstack/storage-io/simulation';
import type { Scenario } from '../scenario.js';
import { SCENARIOS } from '../scenarios/index.js';
import { type Arguments, parseArguments, USAGE } from './arguments.js';
import { exploreInModes, type Found, heading, lineOf, type Row, totalLine } from './explore-all.js';
import { replayScenario } from './explore-scenario.js';

const SURVIVORS_PER_POINT = 12;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function explore({ seeds, scenarios, mode }: Arguments): Promise<boolean> {
  const rows: Row[] = [];
  const found: Found[] = [];
  print(`seeds ${seeds[0]} to ${seeds.at(-1)}, every operation failing with seed ${seeds[0]}`);
  print(heading());
  for (const name of scenarios) {
    const effort = { seeds, survivorsPerPoint: SURVIVORS_PER_POINT, faults: true };
    const explored = await exploreInModes(name, SCENARIOS[name] as Scenario, effort, mode);
    rows.push(explored.row);
    found.push(...explored.found);
    print(lineOf(explored.row));
  }
  for (const { message, command } of found) print(`\n${message}\nagain: ${command}`);
  print(totalLine(rows));
  return found.length === 0;
}

/** Whether the state is as it should be. */
async function replay({ scenarios: [name], mode, replay: coordinate }: Arguments): Promise<boolean> {
  if (name === undefined || mode === undefined || coordinate === undefined) throw new Error('what is to be replayed?');
  try {
    await replayScenario(SCENARIOS[name] as Scenario, mode, coordinate);
  } catch (error) {
    if (!(error instanceof ExplorationFailure)) throw error;
    print(error.message);
    const { cause } = error;
    if (cause instanceof Error && cause.stack !== undefined) print(cause.stack);
    return false;
  }
  print(`${name}, ${mode}, ${coordinate}: as it should be`);
  return true;
}

async function main(): Promise<boolean> {
  const args = parseArguments(process.argv.slice(2));
  if (args === 'help') {
    process.stdout.write(USAGE);
    return true;
  }
  return args.replay === undefined ? explore(args) : replay(args);
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

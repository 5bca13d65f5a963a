import { writeFileSync } from 'node:fs';
import { append } from './append.js';
import { type Arguments, type Bench, HELP, readArguments, UsageError } from './arguments.js';
import type { Case } from './case.js';
import { durable } from './durable.js';
import { durableWrites } from './durable-writes.js';
import { describeMachine } from './machine.js';
import { native } from './native.js';
import { replay } from './replay.js';
import { measureCase } from './rounds.js';
import type { Row } from './rows.js';
import { Scratch } from './scratch.js';
import { FULL, QUICK, type Settings } from './settings.js';
import { table } from './table.js';

const CASES: Record<Bench, (settings: Settings) => Case[]> = {
  append,
  durable,
  replay,
  native: (settings) => [...native(settings), ...durableWrites(settings)],
};

async function measureAll({ benches, quick, data }: Arguments): Promise<Row[]> {
  using scratch = new Scratch(data);
  const settings = { ...(quick ? QUICK : FULL), scratch };
  console.log(`${describeMachine(scratch.path)}\n`);
  const rows: Row[] = [];
  for (const one of benches.flatMap((bench) => CASES[bench](settings))) {
    const results = await measureCase(one, settings.rounds);
    console.log(`${table(results)}\n`);
    rows.push(...results);
  }
  return rows;
}

async function main(): Promise<void> {
  // A path is meant from where the user stands, also when a package manager has changed the directory.
  const given = readArguments(process.argv.slice(2), process.env['INIT_CWD'] ?? '.');
  if (given === undefined) {
    console.log(HELP);
    return;
  }
  const rows = await measureAll(given);
  if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify(rows, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${HELP}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

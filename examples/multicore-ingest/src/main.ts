import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Arguments, forUser, HELP, readArguments, UsageError } from './arguments.js';
import { type Check, check } from './check.js';
import { removeEarlierLogs } from './earlier-logs.js';
import { countLines } from './lines.js';
import { type Run, run } from './run.js';

const shown = (value: number): string => Math.round(value).toLocaleString('en-US');

async function main(): Promise<number> {
  const given = readArguments(process.argv.slice(2));
  if (given === undefined) {
    console.log(HELP);
    return 0;
  }
  await removeEarlierLogs(given.data);
  if (given.file !== undefined) return ingestFile(given, given.file, forUser(given.file));
  const folder = await mkdtemp(join(tmpdir(), 'walstack-multicore-'));
  try {
    // Stored in a file, so that later runs can read it again.
    const file = join(folder, 'input');
    await pipeline(process.stdin, createWriteStream(file));
    return await ingestFile(given, file, 'standard input');
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ingestFile(given: Arguments, file: string, name: string): Promise<number> {
  const lines = await countLines(file);
  console.log(`Ingesting ${shown(lines)} lines of ${name} on ${given.cores} cores`);
  const runs: Run[] = [];
  const checks: Check[] = [];
  const acknowledged = Array.from({ length: given.cores }, () => 0);
  for (let kills = given.kills; ; kills--) {
    const left = lines - (checks.at(-1)?.recovered ?? 0);
    // Somewhere in the remaining lines, not at their very end.
    const killAfter = kills > 0 ? Math.floor(((0.3 + Math.random() * 0.5) * left) / kills) : 0;
    const one = await run({ directory: given.data, file, cores: given.cores, killAfter });
    for (const [core, number] of one.acknowledged.entries())
      acknowledged[core] = Math.max(acknowledged[core] ?? 0, number);
    const found = await check(given.data, { file, cores: given.cores, acknowledged });
    runs.push(one);
    checks.push(found);
    console.log(
      `  run ${runs.length}: ${one.killed ? 'killed' : 'came to the end'}, ${shown(one.lines)} lines acknowledged, ` +
        `${shown(found.recovered)} of ${shown(lines)} recovered in one order, ${found.lost} cores with losses`,
    );
    if (!one.killed) return report(lines, given, runs, checks);
  }
}

function report(lines: number, { cores, data }: Arguments, runs: readonly Run[], checks: readonly Check[]): number {
  const sum = (of: (one: Run) => number): number => runs.reduce((total, one) => total + of(one), 0);
  const lost = checks.reduce((total, { lost: each }) => total + each, 0);
  const wrong = checks.reduce((total, { wrong: each }) => total + each, 0);
  const recovered = checks.at(-1)?.recovered ?? 0;
  const epochsKept = runs.every(({ epoch }, index) => (checks[index]?.completeEpoch ?? 0) >= epoch);
  const rows: readonly (readonly [string, string])[] = [
    ['lines', shown(lines)],
    ['cores', shown(cores)],
    ['kills', shown(runs.filter(({ killed }) => killed).length)],
    ['recovered', shown(recovered)],
    ['lost', shown(lost)],
    ['wrong', shown(wrong)],
    ['epochs', shown(checks.at(-1)?.completeEpoch ?? 0)],
    ['lines/s', shown((sum((one) => one.lines) * 1000) / sum((one) => one.elapsedMs))],
  ];
  console.log(`\n${rows.map(([name, value]) => `  ${name.padEnd(9)}  ${value.padStart(12)}`).join('\n')}\n`);
  console.log(`The logs are in ${forUser(data)}.`);
  if (lost === 0 && wrong === 0 && recovered === lines && epochsKept) return 0;
  console.error(`\nFAILED: ${lost} lost, ${wrong} wrong, ${lines - recovered} missing, epochs kept: ${epochsKept}`);
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${HELP}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

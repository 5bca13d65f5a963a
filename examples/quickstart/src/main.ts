import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { WalError } from '@walstack/wal';
import { type Arguments, HELP, readArguments, UsageError } from './arguments.js';
import { type Check, check } from './check.js';
import { removeEarlierLog } from './earlier-log.js';
import { countLines } from './lines.js';
import { forUser } from './places.js';
import { outOf, Progress, table } from './report.js';
import { type Run, run } from './run.js';

const DEFAULT_FILE = 'pnpm-lock.yaml';

/** Commits under way at a time: fewer for a small file, so that a kill comes in mid-stream. */
const inFlightFor = (lines: number): number => Math.max(1, Math.min(64, Math.floor(lines / 20)));

/** The lines after which the child is killed, at random places in the file, in order. */
const killLines = (kills: number, lines: number): number[] =>
  Array.from({ length: kills }, () => 1 + Math.floor(Math.random() * Math.max(1, lines - 1))).sort((a, b) => a - b);

async function main(): Promise<number> {
  const given = readArguments(process.argv.slice(2), DEFAULT_FILE);
  if (given === undefined) {
    console.log(HELP);
    return 0;
  }
  await removeEarlierLog(given.data);
  if (given.file !== undefined) return commitFile(given, given.file, forUser(given.file));
  const folder = await mkdtemp(join(tmpdir(), 'walstack-quickstart-'));
  try {
    return await commitFile(given, await spool(process.stdin, join(folder, 'input')), 'standard input');
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function commitFile(given: Arguments, file: string, name: string): Promise<number> {
  const lines = await countLines(file);
  console.log(`Committing ${lines.toLocaleString('en-US')} lines of ${name}`);
  return report(given, lines, await commitAndKill(given, file, lines));
}

/** The results of committing everything, with all the kills. */
interface Outcome {
  readonly kills: number;
  readonly runs: readonly Run[];
  readonly checks: readonly Check[];
}

async function commitAndKill({ data: log, kills }: Arguments, file: string, lines: number): Promise<Outcome> {
  const progress = new Progress(lines);
  const targets = killLines(lines < 2 ? 0 : kills, lines);
  const runs: Run[] = [];
  const checks: Check[] = [];
  for (let killed = 0; ; ) {
    const recovered = checks.at(-1)?.recovered ?? 0;
    const target = targets[killed];
    const one = await run({
      log,
      file,
      inFlight: inFlightFor(lines),
      killAtLine: target === undefined ? undefined : Math.max(target, Math.min(recovered + 1, lines)),
      onProgress: (acknowledged) => progress.update(acknowledged),
    });
    // A run that was killed before it acknowledged anything is where the one before it ended.
    const acknowledged = Math.max(one.acknowledged, runs.at(-1)?.acknowledged ?? 0, recovered);
    runs.push({ ...one, acknowledged });
    const found = await check(log, file, acknowledged);
    checks.push(found);
    const state = one.killed ? 'killed' : 'came to the end';
    progress.say(
      `  run ${runs.length}: ${state}, ${outOf(acknowledged, lines)} lines acknowledged, ` +
        `${found.recovered.toLocaleString('en-US')} recovered, ${found.lost} lost`,
    );
    if (!one.killed) return { kills: killed, runs, checks };
    killed++;
  }
}

function report(given: Arguments, lines: number, { kills, runs, checks }: Outcome): number {
  const last = checks.at(-1) as Check;
  const acknowledged = runs.at(-1)?.acknowledged ?? 0;
  const elapsedMs = runs.reduce((sum, one) => sum + one.elapsedMs, 0);
  const lost = Math.max(...checks.map((found) => found.lost), lines - last.recovered);
  const duplicated = Math.max(...checks.map((found) => found.duplicated));
  console.log(
    `\n${table({
      lines,
      kills,
      acknowledged,
      recovered: last.recovered,
      lost,
      duplicated,
      commitsPerSecond: elapsedMs === 0 ? 0 : (acknowledged * 1000) / elapsedMs,
      backend: runs.at(-1)?.backend ?? '',
    })}\n`,
  );
  const log = forUser(given.data);
  console.log(`The log is in ${log}. To look at it:`);
  console.log(`  npm run look -- ${log}          its segments and first events`);
  console.log(`  npm run look -- ${log} --raw    every line, as it was committed`);
  if (lost === 0 && duplicated === 0) return 0;
  console.error(`\nFAILED: ${lost} lost, ${duplicated} duplicated`);
  return 1;
}

/** Stores a stream in a file, so that later runs of the child can read it again. */
async function spool(input: NodeJS.ReadableStream, path: string): Promise<string> {
  await pipeline(input, createWriteStream(path));
  return path;
}

// The reader of the output has ended: `| head`.
process.stdout.once('error', () => process.exit(1));

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${HELP}`);
  else if (WalError.is(error)) console.error(`${error.code}: ${error.message}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Check, check } from './check.js';
import { checkEarlierLog } from './earlier-log.js';
import { JobQueue } from './queue.js';
import { Workers } from './workers.js';

const HELP = `Adds jobs to a queue while worker processes do them, kills workers in mid-stream, and checks
that each job has exactly one result.

  pnpm jobs
  pnpm jobs --jobs 20000 --workers 4 --kills 20

  --jobs N      how many jobs, 1 to 10,000,000 (default 3000)
  --workers N   worker processes, 1 to 64 (default 2)
  --kills N     how often a worker is killed, 0 to 1000 (default 5)
  --data DIR    where the queue goes; that of an earlier run is removed (default data/job-queue)
  --help        this text`;

/** No jobs are added while a worker is so many behind. */
const BEHIND_MAX = 300;

class UsageError extends Error {}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof UsageError) console.error(`\n${HELP}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(argv: readonly string[]): Promise<void> {
  const { help, data, jobs, workers, kills } = read(argv);
  if (help) {
    console.log(HELP);
    return;
  }
  await removeEarlier(data);
  console.log(`${jobs} jobs for ${workers} workers, of which one is killed ${kills} times`);
  const added = await run(data, jobs, workers, kills);
  print(jobs, kills, await check(data, workers, added));
}

/** Removes the queue of an earlier run; other files are kept, and so is everything where a directory is no log. */
async function removeEarlier(data: string): Promise<void> {
  const names = existsSync(data) ? readdirSync(data) : [];
  const logs = names.filter((name) => /^(jobs|results-\d+)$/.test(name));
  for (const name of logs) await checkEarlierLog(join(data, name));
  for (const name of logs) rmSync(join(data, name), { recursive: true });
  for (const name of names) if (/^calls-\d+\.txt$/.test(name)) rmSync(join(data, name));
}

/** Adds the jobs and kills workers meanwhile, and waits until all jobs are done. */
async function run(data: string, jobs: number, shards: number, kills: number): Promise<ReadonlySet<number>> {
  const queue = await JobQueue.open(data, shards);
  const workers = new Workers(data, shards);
  const added = new Set<number>();
  try {
    for (let from = 0, killed = 0; from < jobs; from += 50) {
      const adding = Array.from({ length: Math.min(50, jobs - from) }, (_, index) => {
        const number = from + index + 1;
        return queue.add({ number, text: `the text of task ${number}` }, `customer ${number % 97}`);
      });
      for (const id of await Promise.all(adding)) added.add(id);
      while ((await queue.trim()) > BEHIND_MAX) await workers.turn();
      for (; killed < Math.floor((kills * added.size) / jobs); killed++) {
        await workers.kill(Math.floor(Math.random() * shards));
        console.log(`  killed one behind ${added.size} jobs; the log of jobs has ${queue.range.join(' to ')}`);
      }
    }
    while ((await queue.trim()) > 0) await workers.turn();
  } finally {
    await workers.end();
    await queue.close();
  }
  return added;
}

function print(jobs: number, kills: number, found: Check): void {
  const { done, failed, lost, duplicated, callsAgain } = found;
  const rows: Readonly<Record<string, number>> = {
    jobs,
    kills,
    done,
    failed,
    lost,
    duplicated,
    'done again': callsAgain,
  };
  console.log('');
  for (const [name, value] of Object.entries(rows)) console.log(`  ${name.padEnd(12)} ${String(value).padStart(9)}`);
  if (lost + duplicated > 0 || done + failed !== jobs) process.exitCode = 1;
}

function read(argv: readonly string[]) {
  const { values } = parsed(argv);
  return {
    help: values.help === true,
    data: values.data,
    jobs: whole('jobs', values.jobs, 1, 10_000_000),
    workers: whole('workers', values.workers, 1, 64),
    kills: whole('kills', values.kills, 0, 1000),
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        jobs: { type: 'string', default: '3000' },
        workers: { type: 'string', default: '2' },
        kills: { type: 'string', default: '5' },
        data: { type: 'string', default: 'data/job-queue' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}

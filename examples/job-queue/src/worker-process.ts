import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { callsIn, type Task } from './task.js';
import { work } from './worker.js';

/**
 * A worker process: does the jobs of a shard until it is sent SIGTERM.
 *
 * node worker-process.js DIRECTORY SHARD
 */
const [directory = '', shard = ''] = process.argv.slice(2);
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());

/** The jobs that this process has tried. */
const tried = new Set<number>();

async function handle(task: unknown, job: number): Promise<string> {
  const { number, text } = task as Task;
  // Outside the log, so that it is seen how often a job was done.
  appendFileSync(callsIn(directory, Number(shard)), `${job}\n`);
  if (number % 101 === 0) throw new Error(`task ${number} cannot be done`);
  const isFirst = !tried.has(job);
  tried.add(job);
  if (number % 13 === 0 && isFirst) throw new Error(`task ${number} is not done at the first try`);
  return createHash('sha256').update(text).digest('hex');
}

await work(directory, Number(shard), handle, { signal: ending.signal });

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { jobsIn, type Result } from '../src/job.js';
import { JobQueue } from '../src/queue.js';
import { resultsOf, work } from '../src/worker.js';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let directory: string;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'walstack-jobs-test-')), 'queue');
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

function run(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [program, ...args, '--data', directory], { encoding: 'utf8' });
}

/** The rows of the closing table. */
const rowsOf = (stdout: string): Record<string, number> =>
  Object.fromEntries(
    [...stdout.matchAll(/^ {2}([a-z][a-z ]*?) +(\d+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );

test('each job has one result, while workers are killed', () => {
  const { status, stdout, stderr } = run('--jobs', '1500', '--kills', '6', '--workers', '3');
  expect([status, stderr]).toEqual([0, '']);
  expect(rowsOf(stdout)).toMatchObject({ jobs: 1500, kills: 6, done: 1486, failed: 14, lost: 0, duplicated: 0 });
  // What was done left the log meanwhile, and the queue of the run before is gone.
  const last = /killed one behind 1500 jobs; the log of jobs has (\d+) to 1500/.exec(stdout)?.[1];
  expect(Number(last)).toBeGreaterThan(500);
  expect(rowsOf(run('--jobs', '60', '--kills', '0').stdout)).toMatchObject({ jobs: 60, done: 60, lost: 0 });
}, 120_000);

test('a directory of another purpose is not removed, nor the queue of a run that goes on', async () => {
  const note = join(directory, 'jobs', 'note.txt');
  mkdirSync(join(directory, 'jobs'), { recursive: true });
  writeFileSync(note, 'mine');
  expect(run('--jobs', '1', '--kills', '0')).toMatchObject({ status: 1, stderr: expect.stringContaining('note.txt') });
  expect(readFileSync(note, 'utf8')).toBe('mine');
  rmSync(note);
  const queue = await JobQueue.open(directory, 1);
  expect(run('--jobs', '1', '--kills', '0')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('LOCK is held'),
  });
  expect(await queue.add('task', 'key')).toBe(1);
  await queue.close();
});

/** Works until a shard has so many results, each handled by `handle`. */
async function workUntil(count: number, handle: (task: unknown) => Promise<unknown>): Promise<Result[]> {
  const ending = new AbortController();
  const working = work(directory, 0, handle, { attempts: 2, retryMs: 1, signal: ending.signal });
  for (;;) {
    await delay(5);
    const found = await resultsOf(directory, 0).catch(() => []);
    if (found.length < count) continue;
    ending.abort();
    await working;
    return found;
  }
}

test('a job is tried again, and then counts as failed; one that has a result is not done again', async () => {
  const queue = await JobQueue.open(directory, 1);
  for (const task of ['good', 'bad', 'late']) await queue.add(task, 'key');
  expect(await queue.trim()).toBe(3);
  const calls: unknown[] = [];
  const handle = async (task: unknown) => {
    calls.push(task);
    if (task === 'bad' || (task === 'late' && calls.filter((each) => each === 'late').length === 1)) {
      throw new Error(`${task} is not done`);
    }
    return `${task} is done`;
  };
  const expected: Result[] = [
    { job: 1, outcome: 'done', value: 'good is done', attempts: 1 },
    { job: 2, outcome: 'failed', value: 'bad is not done', attempts: 2 },
    { job: 3, outcome: 'done', value: 'late is done', attempts: 2 },
  ];
  expect(await workUntil(3, handle)).toEqual(expected);
  expect(calls).toEqual(['good', 'bad', 'bad', 'late', 'late']);

  // As after a kill between the results and their acknowledgement: all jobs come again.
  const earlier = Wal.follow(jobsIn(directory), 'first', { name: 'worker-0', encoding: 'json' });
  await earlier.next();
  await earlier.return();
  await queue.add('more', 'key');
  const more: Result = { job: 4, outcome: 'done', value: 'more is done', attempts: 1 };
  expect(await workUntil(4, handle)).toEqual([...expected, more]);
  expect(calls.slice(5)).toEqual(['more']);
  expect(await queue.trim()).toBe(0);
  await queue.close();
});

test('the command line', () => {
  expect(run('--jobs', 'many')).toMatchObject({ status: 2, stderr: expect.stringContaining('not "many"') });
  expect(run('--worker', '3')).toMatchObject({ status: 2 });
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('pnpm jobs') });
});

import { setTimeout as delay } from 'node:timers/promises';
import { Wal, WalError, type WalEvent } from '@walstack/wal';
import { followerOf, type Job, jobsIn, type Result, resultsIn } from './job.js';

export interface WorkerOptions {
  /** How often a job is tried before it counts as failed. Default 3. */
  readonly attempts?: number;
  /** How long the worker waits before it tries again, in milliseconds; twice as long each time. Default 10. */
  readonly retryMs?: number;
  /** Ends the worker behind the jobs that it has begun. */
  readonly signal?: AbortSignal;
}

/**
 * Does the jobs of a shard, in order, until it is ended. Each job is done at least once: where the process is killed between the work
 * and its result, the job comes again. It has one result in any case, as the worker knows by its log of results which
 * jobs have one.
 */
export async function work(
  directory: string,
  shard: number,
  handle: (task: unknown, job: number) => Promise<unknown>,
  { attempts = 3, retryMs = 10, signal }: WorkerOptions = {},
): Promise<void> {
  const results = await Wal.open<Result>(resultsIn(directory, shard), { encoding: 'json' });
  const follower = Wal.follow<Job>(jobsIn(directory), 'stored', {
    name: followerOf(shard),
    encoding: 'json',
    scope: { vshardId: shard },
    batch: 16,
    ...(signal === undefined ? {} : { signal }),
  });

  async function resultOf({ lsn, payload }: WalEvent<Job>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return { job: lsn, outcome: 'done', value: await handle(payload.task, lsn), attempts: attempt };
      } catch (error) {
        if (attempt >= attempts) {
          return { job: lsn, outcome: 'failed', value: (error as Error).message, attempts: attempt };
        }
        await delay(retryMs * 2 ** (attempt - 1));
      }
    }
  }

  try {
    let doneUpTo = results.lastLsn === 0 ? 0 : ((await results.read(results.lastLsn))?.payload.job ?? 0);
    for await (const jobs of follower) {
      const batch = results.batch();
      for (const job of jobs) if (job.lsn > doneUpTo) batch.add(await resultOf(job));
      // All results of the array or none, so that the last one says which jobs have a result.
      if (batch.length > 0) await results.commitBatch(batch);
      doneUpTo = Math.max(doneUpTo, jobs.at(-1)?.lsn ?? 0);
      // Now the log of jobs may forget them.
      await follower.acknowledge();
    }
  } catch (error) {
    if (!WalError.is(error, 'WAL_ABORTED')) throw error;
  } finally {
    await follower.return();
    await results.shutdown();
  }
}

/** Every result of a shard, in the order of its jobs. No worker has to be running. */
export async function resultsOf(directory: string, shard: number): Promise<Result[]> {
  const results = await Wal.open<Result>(resultsIn(directory, shard), { encoding: 'json', recoveryMode: 'readonly' });
  const found: Result[] = [];
  await results.replay('first', ({ payload }) => void found.push(payload));
  await results.shutdown();
  return found;
}

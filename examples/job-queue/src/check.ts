import { readFileSync } from 'node:fs';
import { callsIn } from './task.js';
import { resultsOf } from './worker.js';

/** What the logs of results say. */
export interface Check {
  readonly done: number;
  readonly failed: number;
  /** Jobs without a result. */
  readonly lost: number;
  /** Jobs with more than one result, or none of the jobs that were added. */
  readonly duplicated: number;
  /** Calls of the handler that no result counts: the worker was killed before it had recorded them. */
  readonly callsAgain: number;
}

/** Compares the results with the jobs that were added. */
export async function check(directory: string, shards: number, added: ReadonlySet<number>): Promise<Check> {
  const seen = new Set<number>();
  let failed = 0;
  let duplicated = 0;
  let calls = 0;
  let counted = 0;
  for (let shard = 0; shard < shards; shard++) {
    for (const { job, outcome, attempts } of await resultsOf(directory, shard)) {
      if (seen.has(job) || !added.has(job)) duplicated++;
      seen.add(job);
      if (outcome === 'failed') failed++;
      counted += attempts;
    }
    calls += readFileSync(callsIn(directory, shard), 'utf8').split('\n').length - 1;
  }
  const lost = [...added].filter((job) => !seen.has(job)).length;
  return { done: seen.size - failed, failed, lost, duplicated, callsAgain: calls - counted };
}

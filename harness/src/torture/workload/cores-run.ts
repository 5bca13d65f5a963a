import { setTimeout as sleep } from 'node:timers/promises';
import type { PerCoreWalManager } from '@walstack/percore';
import { Random } from '../../random.js';
import { backendNamed } from '../backends.js';
import type { CoresApi, Job } from '../job.js';
import type { Report } from '../reports.js';
import { type Authors, authorsOf, workersOf } from './authors.js';
import { Cores } from './cores.js';

/** A run on a log of several cores: all of them are written to at the same time, while epochs end and checkpoints are made. */
export async function runWithCores(job: Job, api: CoresApi, report: (report: Report) => void): Promise<never> {
  const random = new Random(job.seed, job.run);
  const how = { ...backendNamed(job.backend).options, ...workersOf(job, api) };
  for (let closed = false; ; closed = true) {
    const cores = await Cores.open(job, random, how, report);
    if (closed) expectClean(cores.manager, report);
    const authors = authorsOf(cores.manager, job, api, cores.found, report);
    await Promise.race([conduct(cores, authors, random), authors.working]);
    cores.acknowledged(await authors.close());
  }
}

/** Does what concerns all cores, for some time. */
async function conduct(cores: Cores, authors: Authors, random: Random): Promise<void> {
  while (random.chance(0.97)) {
    await sleep(random.integer(0, 12));
    const kind = random.next();
    if (kind < 0.4) {
      cores.acknowledged(await authors.upTo(await cores.manager.endEpoch()));
    } else if (kind < 0.7) {
      // What is appended from here on may be for the next sync.
      const counts = await authors.upTo(Number.POSITIVE_INFINITY);
      await cores.manager.syncAll();
      cores.acknowledged(counts);
    } else {
      await cores.checkpoint((epoch) => authors.upTo(epoch));
    }
  }
}

/** After a close there is nothing to recover. */
function expectClean({ statistics }: PerCoreWalManager, report: (report: Report) => void): void {
  const unclean = statistics.filter(({ cleanlyClosed, cutBytes }) => !cleanlyClosed || cutBytes > 0);
  if (unclean.length === 0) return;
  report({ what: 'wrong', text: `it was closed, and found to be killed: ${JSON.stringify(unclean)}` });
}

import type { PerCoreRecovery } from '@walstack/percore';
import type { Job } from './job.js';
import { Puts, readPut, sourceOf } from './puts.js';
import { Reading } from './reading.js';
import type { Report } from './reports.js';
import type { Counts, Snapshots } from './snapshots.js';

/** More cores than there ever are. */
export const CORES_MAXIMUM = 4;

/**
 * Reads everything that was found of the logs of all cores, and reports it of each core.
 *
 * @returns how many puts of each there are, with those that the last checkpoint stands for
 */
export async function takeStock(
  recovery: PerCoreRecovery,
  snapshots: Snapshots,
  job: Pick<Job, 'seed' | 'options'>,
  report: (report: Report) => void,
): Promise<Counts> {
  const covered: Counts = recovery.checkpoint === undefined ? new Map() : snapshots.read(recovery.checkpoint.id);
  const stocks = Array.from({ length: CORES_MAXIMUM }, (_, core) => new Stock(core, covered.get(core) ?? 0, job));
  await recovery.entries().forEach((entry) => {
    if (entry.operation !== 'put') return;
    const stock = stocks[entry.coreId];
    if (stock === undefined) throw new Error(`there is a put of core ${entry.coreId}, which was never made`);
    stock.reading.take(readPut(entry));
  });
  for (const stock of stocks) stock.tell(report, recovery.offsets.get(sourceOf(stock.core)) ?? 0n);
  return new Map(stocks.map(({ core, last }) => [core, last]));
}

/** What was found of one core. Where it ends is known when everything was read, and told before anything else. */
class Stock {
  readonly core: number;
  readonly reading: Reading;
  readonly #covered: number;
  readonly #reports: Report[] = [];

  constructor(core: number, covered: number, { seed, options }: Pick<Job, 'seed' | 'options'>) {
    this.core = core;
    this.#covered = covered;
    this.reading = new Reading(new Puts(seed, core, options).contents, (report) => this.#reports.push(report));
  }

  /** The number of the last put. */
  get last(): number {
    return Math.max(this.#covered, this.reading.last);
  }

  /** @param committed - how many puts the last commit is of */
  tell(report: (report: Report) => void, committed: bigint): void {
    const { core } = this;
    report({ what: 'opened', core, firstLsn: this.#covered + 1, nextLsn: this.last + 1 });
    this.reading.done();
    for (const each of this.#reports) report({ ...each, core });
    report({ what: 'commits', core, count: Number(committed) });
    if (committed <= this.last) return;
    report({ what: 'wrong', core, text: `${committed} puts were committed, and there are ${this.last}` });
  }
}

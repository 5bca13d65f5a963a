import type { DeleteEntry, PerCoreRecovery, PutEntry } from '@walstack/percore';
import type { Job } from '../job.js';
import type { Report } from '../reports.js';
import { numbersOf, Puts, readPut, sourceOf } from './puts.js';
import { Reading } from './reading.js';
import type { Counts, Snapshots } from './snapshots.js';

/** More cores than there ever are. */
export const CORES_MAX = 4;

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
  const stocks = Array.from({ length: CORES_MAX }, (_, core) => new Stock(core, covered.get(core) ?? 0, job));
  await recovery.entries().forEach((entry) => {
    if (entry.operation !== 'put' && entry.operation !== 'delete') return;
    const stock = stocks[entry.coreId];
    if (stock === undefined) throw new Error(`there is a ${entry.operation} of core ${entry.coreId}, which has none`);
    stock.take(entry);
  });
  for (const stock of stocks) stock.tell(report, recovery.offsets.get(sourceOf(stock.core)) ?? 0n);
  return new Map(stocks.map(({ core, last }) => [core, last]));
}

/** What was found of one core. Where it ends is known when everything was read, and told before anything else. */
class Stock {
  readonly core: number;
  readonly #reading: Reading;
  readonly #puts: Puts;
  /** The last put that was read, and the key that its run removed behind it, until that was read. */
  #behind: { readonly run: number; readonly number: number; removed: Uint8Array | undefined } | undefined;
  readonly #covered: number;
  readonly #reports: Report[] = [];

  constructor(core: number, covered: number, { seed, options }: Pick<Job, 'seed' | 'options'>) {
    this.core = core;
    this.#covered = covered;
    this.#puts = new Puts(seed, core, options);
    this.#reading = new Reading(this.#puts.contents, (report) => this.#reports.push(report));
  }

  /** Takes the next entry. */
  take(entry: PutEntry | DeleteEntry): void {
    if (entry.operation === 'put') this.#takePut(entry);
    else this.#takeRemoval(entry);
  }

  #takePut(entry: PutEntry): void {
    const put = readPut(entry);
    const { type: run, lsn: number } = put;
    const before = this.#behind;
    // At the end of a run it may be lost.
    if (before?.removed !== undefined && before.run === run) {
      this.#differs(before.number, 'what was removed behind it is not there');
    }
    this.#reading.take(put);
    this.#behind = { run, number, removed: this.#puts.removedBehind(run, number) };
  }

  #takeRemoval(entry: DeleteEntry): void {
    const { type: run, lsn: number } = numbersOf(entry);
    // A checkpoint may stand for the put, and not for what was removed behind it.
    const isCovered = this.#behind === undefined && number === this.#covered;
    const removed = isCovered ? this.#puts.removedBehind(run, number) : this.#behind?.removed;
    if (removed === undefined || Buffer.compare(removed, entry.key) !== 0) {
      this.#differs(number, 'something else was removed behind it');
    }
    this.#behind = { run, number, removed: undefined };
  }

  #differs(lsn: number, text: string): void {
    this.#reports.push({ what: 'differs', lsn, text });
  }

  /** The number of the last put. */
  get last(): number {
    return Math.max(this.#covered, this.#reading.last);
  }

  /** @param committed - how many puts the last commit is of */
  tell(report: (report: Report) => void, committed: bigint): void {
    const { core } = this;
    report({ what: 'opened', core, firstLsn: this.#covered + 1, nextLsn: this.last + 1 });
    this.#reading.done();
    for (const each of this.#reports) report({ ...each, core });
    report({ what: 'commits', core, count: Number(committed) });
    if (committed <= this.last) return;
    report({ what: 'wrong', core, text: `${committed} puts were committed, and there are ${this.last}` });
  }
}

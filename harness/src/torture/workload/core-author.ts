import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { CoreWalWriter } from '@walstack/percore';
import { Random } from '../../random.js';
import { Puts, sourceOf } from '../expected/puts.js';
import type { Job } from '../job.js';
import type { Report } from '../reports.js';

/** Writes to the log of one core, in whichever thread, and reports what it is promised. */
export class CoreAuthor {
  readonly #writer: CoreWalWriter;
  readonly #run: number;
  readonly #report: (report: Report) => void;
  readonly #puts: Puts;
  readonly #random: Random;
  /** The number of the last put. */
  #last: number;
  /** How many puts the last commit is of. */
  #committed = 0;
  /** The last put up to the end of each epoch that had one, in their order. */
  readonly #epochs: { readonly epoch: number; last: number }[];

  /** @param last - how many puts there are already */
  constructor(
    writer: CoreWalWriter,
    { seed, run, options }: Pick<Job, 'seed' | 'run' | 'options'>,
    last: number,
    report: (report: Report) => void,
  ) {
    this.#writer = writer;
    this.#run = run;
    this.#report = report;
    this.#puts = new Puts(seed, writer.coreId, options);
    this.#random = new Random(seed, run, writer.coreId);
    this.#last = last;
    this.#epochs = [{ epoch: 0, last }];
  }

  /** How many puts there are up to the end of an epoch that has its barrier; of `Infinity`, how many there are now. */
  upTo(epoch: number): number {
    return this.#epochs.findLast((each) => each.epoch <= epoch)?.last ?? 0;
  }

  /** Writes until the signal is aborted. @returns how many puts there are then */
  async write(signal: AbortSignal): Promise<number> {
    while (!signal.aborted) {
      await this.#writeSome();
      // Epochs and checkpoints wait for this thread.
      await setImmediate();
    }
    return this.#last;
  }

  async #writeSome(): Promise<void> {
    const writer = this.#writer;
    this.#appendSome();
    const upTo = this.#last;
    const committed = this.#committed;
    const kind = this.#random.next();
    if (kind < 0.5) {
      await writer.sync();
      this.#acknowledged(upTo, committed);
    } else if (kind < 0.8) {
      writer.submitSync();
      // What is appended while a sync is under way is for the next one.
      if (this.#random.chance(0.5)) this.#appendSome();
      while (!writer.checkCompletions()) await setImmediate();
      this.#acknowledged(upTo, committed);
    } else if (kind < 0.9) {
      await writer.flush();
      this.#report({ what: 'flushed', core: writer.coreId, lsn: upTo });
    } else await sleep(this.#random.integer(0, 5));
  }

  #appendSome(): void {
    const puts = this.#random.magnitude(12);
    for (let put = 0; put < puts; put++) {
      this.#appendPut();
      if (this.#random.chance(0.05)) this.#appendCommit();
    }
  }

  #appendCommit(): void {
    this.#writer.appendCommit({ [sourceOf(this.#writer.coreId)]: this.#last });
    this.#committed = this.#last;
  }

  #appendPut(): void {
    const { key, value } = this.#puts.of(this.#run, this.#last + 1);
    this.#writer.appendPut(key, value);
    this.#last++;
    // Another thread may go on to the next epoch at any moment: in which one the put is, the barrier before it says. What is
    // removed behind it may be in the next one.
    const epoch = (this.#writer.barrier?.epoch ?? -1) + 1;
    const present = this.#epochs.at(-1);
    if (present?.epoch === epoch) present.last = this.#last;
    else this.#epochs.push({ epoch, last: this.#last });
    const removed = this.#puts.removedBehind(this.#run, this.#last);
    if (removed !== undefined) this.#writer.appendDelete(removed);
  }

  #acknowledged(lsn: number, committed: number): void {
    const core = this.#writer.coreId;
    this.#report({ what: 'acknowledged', core, lsn });
    if (committed > 0) this.#report({ what: 'committed', core, count: committed });
  }
}

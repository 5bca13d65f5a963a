import type { ProcessRun } from '@walstack/storage-io/simulation';
import { Wal, type WalOptions } from '@walstack/wal';
import type { LogNote } from './knowledge.js';
import { DIRECTORY } from './modelled-log.js';
import { SimulatedEnvironment } from './simulated-environment.js';

/** A `Wal` that notes what it is asked for and what it acknowledges, for scenarios with several committers. */
export class ModelledWal {
  readonly wal: Wal;
  readonly #run: ProcessRun<LogNote>;
  readonly #environment: SimulatedEnvironment;
  /** The last LSN that was seen to be written to the operating system. */
  #writtenLsn = 0;

  private constructor(run: ProcessRun<LogNote>, environment: SimulatedEnvironment, wal: Wal) {
    this.#run = run;
    this.#environment = environment;
    this.wal = wal;
  }

  static async open(run: ProcessRun<LogNote>, config: WalOptions): Promise<ModelledWal> {
    const environment = new SimulatedEnvironment(run);
    const wal = await Wal.open(DIRECTORY, { blockBytes: 512, ...environment.options, ...config, io: run.io });
    return new ModelledWal(run, environment, wal);
  }

  /** Appends without waiting. Returns `false` when there was no room. */
  append(bytes: number): boolean {
    const payload = this.#payload(bytes);
    const lsn = this.wal.lastLsn + 1;
    this.#run.note({ kind: 'appended', lsn, payload });
    try {
      this.wal.append(payload);
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'WAL_BACKPRESSURE') return false;
      throw error;
    }
  }

  /** Commits, and notes that it was acknowledged. Others may commit at the same time. */
  async commit(bytes: number): Promise<void> {
    const payload = this.#payload(bytes);
    const expected = this.wal.lastLsn + 1;
    this.#run.note({ kind: 'appended', lsn: expected, payload });
    const lsn = await this.wal.commit(payload);
    if (lsn !== expected) throw new Error(`the commit got LSN ${lsn}, and ${expected} was next`);
    this.#run.note({ kind: 'durable', lsn });
  }

  /** Lets every timer fire: what waits for a while to be flushed is flushed, a quiet log is marked. */
  fire(): void {
    this.#environment.fire();
  }

  /** Commits, and gives up waiting before its group begins. */
  async commitAborted(bytes: number): Promise<void> {
    const payload = this.#payload(bytes);
    this.#run.note({ kind: 'appended', lsn: this.wal.lastLsn + 1, payload });
    const abort = new AbortController();
    const commit = this.wal.commit(payload, { signal: abort.signal });
    abort.abort();
    try {
      await commit;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'WAL_ABORTED') throw error;
    }
  }

  /** Lets the background run for some turns of the event loop, and takes note of what is written by then. */
  async idle(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    if (this.wal.failure === undefined && this.wal.stats().pendingBytes === 0) this.#writtenLsn = this.wal.lastLsn;
  }

  async sync(): Promise<void> {
    const { lastLsn } = this.wal;
    await this.wal.sync();
    this.#run.note({ kind: 'durable', lsn: lastLsn });
  }

  /** Makes everything durable and closes the log. */
  async shutdown(): Promise<void> {
    const { lastLsn } = this.wal;
    await this.wal.shutdown();
    this.#run.note({ kind: 'durable', lsn: lastLsn });
  }

  /** Closes the log, which makes durable what is written. Nothing before it has reported a failure. */
  async close(): Promise<void> {
    await this.wal.close({ discard: true });
    const { durableLsn } = this.wal;
    if (durableLsn < this.#writtenLsn) {
      throw new Error(`${this.#writtenLsn} was written, ${durableLsn} is durable, and no call has reported a failure`);
    }
    this.#run.note({ kind: 'durable', lsn: durableLsn });
  }

  #payload(bytes: number): string {
    return `${this.#run.notes.length}/${this.wal.lastLsn + 1}/`.padEnd(bytes, '#');
  }
}

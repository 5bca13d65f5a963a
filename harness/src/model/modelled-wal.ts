import type { ProcessRun } from '@walstack/storage-io/simulation';
import { Wal, type WalOptions } from '@walstack/wal';
import type { LogNote } from './knowledge.js';
import { DIRECTORY } from './modelled-log.js';
import { SimulatedWorld } from './simulated-world.js';

/** A `Wal` that notes what it is asked for and what it acknowledges, for scenarios with several committers. */
export class ModelledWal {
  readonly wal: Wal;
  readonly #life: ProcessRun<LogNote>;
  readonly #world: SimulatedWorld;

  private constructor(life: ProcessRun<LogNote>, world: SimulatedWorld, wal: Wal) {
    this.#life = life;
    this.#world = world;
    this.wal = wal;
  }

  static async open(life: ProcessRun<LogNote>, config: WalOptions): Promise<ModelledWal> {
    const world = new SimulatedWorld(life.random);
    const wal = await Wal.open(DIRECTORY, { blockBytes: 512, ...world.options, ...config, io: life.io });
    return new ModelledWal(life, world, wal);
  }

  /** Appends without waiting. Returns `false` when there was no room. */
  append(bytes: number): boolean {
    const payload = this.#payload(bytes);
    const lsn = this.wal.lastLsn + 1;
    this.#life.note({ kind: 'appended', lsn, payload });
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
    this.#life.note({ kind: 'appended', lsn: expected, payload });
    const lsn = await this.wal.commit(payload);
    if (lsn !== expected) throw new Error(`the commit got LSN ${lsn}, and ${expected} was next`);
    this.#life.note({ kind: 'durable', lsn });
  }

  /** Lets every timer fire: what waits for a while to be flushed is flushed, a quiet log is marked. */
  fire(): void {
    this.#world.fire();
  }

  async sync(): Promise<void> {
    const { lastLsn } = this.wal;
    await this.wal.sync();
    this.#life.note({ kind: 'durable', lsn: lastLsn });
  }

  /** Makes everything durable and closes the log. */
  async shutdown(): Promise<void> {
    const { lastLsn } = this.wal;
    await this.wal.shutdown();
    this.#life.note({ kind: 'durable', lsn: lastLsn });
  }

  #payload(bytes: number): string {
    return `${this.#life.notes.length}/${this.wal.lastLsn + 1}/`.padEnd(bytes, '#');
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import { type Wal, WalError } from '@walstack/wal';
import { readJson, writeJson } from './durable-json.js';
import type { IngestEvent } from './event.js';

/** How many events of each name there were, up to an LSN. */
export interface TotalsState {
  readonly lsn: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** Under this name the log keeps what is not counted yet. */
const FOLLOWER = 'totals';

/** How many events are counted between two writes of the file, at most. */
const BATCH = 2000;

/** How long counting waits after a failure, such as a full disk, in milliseconds. */
const AGAIN_MS = 500;

/**
 * Counts events by their names, each exactly once: the file has the LSN up to which its counts go, and events that come
 * again after a crash are skipped.
 */
export class Totals {
  readonly #wal: Wal<IngestEvent>;
  readonly #path: string;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly #counts: Map<string, number>;
  #lsn: number;
  #isStored: boolean;
  #reported: string | undefined;

  private constructor(wal: Wal<IngestEvent>, path: string, stored: TotalsState | undefined) {
    this.#wal = wal;
    this.#path = path;
    this.#isStored = stored !== undefined;
    this.#lsn = stored?.lsn ?? 0;
    this.#counts = new Map(Object.entries(stored?.counts ?? {}));
    this.#running = this.#run();
  }

  /** Goes on where the file ends. */
  static async start(wal: Wal<IngestEvent>, path: string): Promise<Totals> {
    return new Totals(wal, path, (await readJson(path)) as TotalsState | undefined);
  }

  get state(): TotalsState {
    return { lsn: this.#lsn, counts: Object.fromEntries(this.#counts) };
  }

  /** Ends behind the events that are being counted. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (WalError.is(error, 'WAL_ABORTED') || this.#wal.state !== 'running') return;
        this.#report((error as Error).message);
        await delay(AGAIN_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    // Without the file the position of the follower says nothing.
    const from = this.#isStored ? 'stored' : 'first';
    const follower = this.#wal.follow(from, { name: FOLLOWER, batch: BATCH, signal });
    try {
      for await (const events of follower) {
        for (const { lsn, payload } of events) this.#count(lsn, payload.name);
        await writeJson(this.#path, this.state);
        this.#isStored = true;
        // Only now the log may forget them.
        await follower.acknowledge();
        this.#reported = undefined;
      }
    } finally {
      await follower.return();
    }
  }

  /** Says once why counting waits, not at each attempt. */
  #report(reason: string): void {
    if (reason !== this.#reported) console.error(`the totals are behind: ${reason}`);
    this.#reported = reason;
  }

  #count(lsn: number, name: string): void {
    if (lsn <= this.#lsn) return;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.#lsn = lsn;
  }
}

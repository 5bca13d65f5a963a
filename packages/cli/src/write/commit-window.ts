/** Appends something, and resolves with its place in the log when it is durable. */
export type Commit<T> = (record: T) => Promise<number>;

/** Called with the place of each record, in order; waited for before the next one. */
export type Acknowledged<T> = (place: number, record: T) => Promise<void> | undefined;

const COMMITS_MAX = 1024;
const BYTES_MAX = 8 * 1024 * 1024;

interface Pending {
  readonly done: Promise<void>;
  readonly bytes: number;
}

/**
 * Commits records side by side, so that they share writes and syncs, and acknowledges them in order. Not more than a bounded
 * number of them, and of bytes, wait at a time. Behind the first failure nothing is committed: a record behind a missing one would
 * get its place.
 */
export class CommitWindow<T> {
  readonly #commit: Commit<T>;
  readonly #acknowledged: Acknowledged<T>;
  readonly #idle: () => Promise<void>;
  #pending: Pending[] = [];
  #bytes = 0;
  #unacknowledged = 0;
  #last: Promise<void> = Promise.resolve();
  readonly #underWay = new Set<Promise<number>>();
  readonly #failed: AbortController;

  /**
   * @param idle - called when everything that was added is acknowledged
   * @param failed - aborted at the first failure: nothing more is to be read
   */
  constructor(commit: Commit<T>, acknowledged: Acknowledged<T>, idle: () => Promise<void>, failed: AbortController) {
    this.#commit = commit;
    this.#acknowledged = acknowledged;
    this.#idle = idle;
    this.#failed = failed;
  }

  /** Commits a record; waits where too much is under way. @throws what committing an earlier one has thrown */
  async add(record: T, bytes: number): Promise<void> {
    while (this.#pending.length >= COMMITS_MAX || (this.#bytes + bytes > BYTES_MAX && this.#pending.length > 0)) {
      const first = this.#pending.shift() as Pending;
      await first.done;
      this.#bytes -= first.bytes;
    }
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
    const committed = this.#commit(record);
    this.#underWay.add(committed);
    // Its failure is reported in its turn.
    committed.catch((reason: unknown) => this.#failed.abort(reason)).finally(() => this.#underWay.delete(committed));
    this.#unacknowledged++;
    const done = this.#last.then(async () => {
      await this.#acknowledged(await committed, record);
      if (--this.#unacknowledged === 0) await this.#idle();
    });
    done.catch((reason: unknown) => this.#failed.abort(reason));
    this.#last = done;
    this.#pending.push({ done, bytes });
    this.#bytes += bytes;
  }

  /** Waits until everything that was added is acknowledged. @throws what the first failure was */
  async acknowledged(): Promise<void> {
    await this.#last;
  }

  /** Waits until everything is acknowledged, or nothing is under way any more. @throws what the first failure was */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await this.#last;
  }
}

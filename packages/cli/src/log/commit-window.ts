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
 * number of them, and of bytes, wait at a time.
 */
export class CommitWindow<T> {
  readonly #commit: Commit<T>;
  readonly #acknowledged: Acknowledged<T>;
  readonly #idle: () => Promise<void>;
  #pending: Pending[] = [];
  #bytes = 0;
  #unacknowledged = 0;
  #last: Promise<void> = Promise.resolve();

  /** @param idle - called when everything that was added is acknowledged */
  constructor(commit: Commit<T>, acknowledged: Acknowledged<T>, idle: () => Promise<void>) {
    this.#commit = commit;
    this.#acknowledged = acknowledged;
    this.#idle = idle;
  }

  /** Commits a record; waits where too much is under way. @throws what committing an earlier one has thrown */
  async add(record: T, bytes: number): Promise<void> {
    while (this.#pending.length >= COMMITS_MAX || (this.#bytes + bytes > BYTES_MAX && this.#pending.length > 0)) {
      const first = this.#pending.shift() as Pending;
      await first.done;
      this.#bytes -= first.bytes;
    }
    const committed = this.#commit(record);
    // Its failure is reported in its turn.
    committed.catch(() => {});
    this.#unacknowledged++;
    const done = this.#last.then(async () => {
      await this.#acknowledged(await committed, record);
      if (--this.#unacknowledged === 0) await this.#idle();
    });
    done.catch(() => {});
    this.#last = done;
    this.#pending.push({ done, bytes });
    this.#bytes += bytes;
  }

  /** Waits until everything is acknowledged. @throws what the first failure was */
  async settle(): Promise<void> {
    await this.#last;
  }
}

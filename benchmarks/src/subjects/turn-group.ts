/** A record that is waited for. */
interface Waiting {
  readonly number: number;
  readonly payload: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A record of a group. */
export type Numbered = Pick<Waiting, 'number' | 'payload'>;

/**
 * Group commit for databases that have none of their own: all commits that wait when a turn of the event loop ends share one
 * transaction, and what comes while it is under way shares the next one.
 */
export class TurnGroup {
  readonly #write: (group: readonly Numbered[]) => void | Promise<void>;
  #waiting: Waiting[] = [];
  #running = false;
  #count = 0;

  /** @param write - makes a group durable: on return, or when the promise that it returns is fulfilled */
  constructor(write: (group: readonly Numbered[]) => void | Promise<void>) {
    this.#write = write;
  }

  /** Resolves when the record is durable. */
  commit(payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ number: ++this.#count, payload: Buffer.from(payload), resolve, reject });
      if (this.#running) return;
      this.#running = true;
      setImmediate(this.#next);
    });
  }

  readonly #next = async (): Promise<void> => {
    const group = this.#waiting;
    this.#waiting = [];
    try {
      await this.#write(group);
      for (const each of group) each.resolve();
    } catch (error) {
      for (const each of group) each.reject(error);
    }
    this.#running = this.#waiting.length > 0;
    if (this.#running) setImmediate(this.#next);
  };
}

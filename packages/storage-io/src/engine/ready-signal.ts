/**
 * Tells one listener that completions wait: on the event loop, again as long as some are left, and never while it is
 * being told already.
 */
export class ReadySignal {
  readonly #waiting: () => boolean;
  #listener: (() => void) | undefined;
  #scheduled = false;
  #telling = false;

  /** @param waiting - whether completions wait to be polled */
  constructor(waiting: () => boolean) {
    this.#waiting = waiting;
  }

  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
    if (this.#waiting()) this.later();
  }

  /** Tells the listener at once. Only for a turn of the event loop in which no call of the backend is under way. */
  now(): void {
    if (this.#listener === undefined) return;
    if (this.#telling) this.later();
    else this.#notify(this.#listener);
  }

  /** Tells the listener in a later turn of the event loop. */
  later(): void {
    if (this.#scheduled || this.#listener === undefined) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    if (this.#listener !== undefined && this.#waiting()) this.#notify(this.#listener);
  };

  #notify(listener: () => void): void {
    this.#telling = true;
    try {
      listener();
    } finally {
      this.#telling = false;
      if (this.#waiting()) this.later();
    }
  }
}

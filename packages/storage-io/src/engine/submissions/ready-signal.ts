/**
 * Notifies one listener that completions wait: on the event loop, again as long as some are left, and never from inside
 * a notification.
 */
export class ReadySignal {
  readonly #waiting: () => boolean;
  #listener: (() => void) | undefined;
  #scheduled = false;
  #notifying = false;

  /** @param waiting - whether completions wait to be polled */
  constructor(waiting: () => boolean) {
    this.#waiting = waiting;
  }

  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
    if (this.#waiting()) this.notifyLater();
  }

  /** Notifies the listener at once. Only when no call of the backend is on the stack. */
  notifyNow(): void {
    if (this.#listener === undefined) return;
    if (this.#notifying) this.notifyLater();
    else this.#notify(this.#listener);
  }

  /** Notifies the listener in a later turn of the event loop. */
  notifyLater(): void {
    if (this.#scheduled || this.#listener === undefined) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    if (this.#listener !== undefined && this.#waiting()) this.#notify(this.#listener);
  };

  #notify(listener: () => void): void {
    this.#notifying = true;
    try {
      listener();
    } finally {
      this.#notifying = false;
      if (this.#waiting()) this.notifyLater();
    }
  }
}

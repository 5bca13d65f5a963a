import { setTimeout as delay } from 'node:timers/promises';

/** The time before the first attempt after a failure, in milliseconds. */
const FIRST_MS = 100;

/** The waiting between attempts to reach a server: it doubles with each failure. */
export class Retries {
  readonly #most: number;
  readonly #closing: AbortSignal;
  #ms = FIRST_MS;

  /**
   * @param most - the longest time, in milliseconds
   * @param closing - ends the waiting
   */
  constructor(most: number, closing: AbortSignal) {
    this.#most = most;
    this.#closing = closing;
  }

  /** An attempt had a result. */
  reset(): void {
    this.#ms = FIRST_MS;
  }

  /** Waits before the next attempt. */
  async wait(): Promise<void> {
    await delay(this.#ms, undefined, { signal: this.#closing }).catch(() => {});
    this.#ms = Math.min(this.#ms * 2, this.#most);
  }
}

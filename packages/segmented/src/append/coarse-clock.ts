const TURN_ENDED = Promise.resolve();

/**
 * The time in milliseconds since the Unix epoch, read once per turn of the event loop: reading the clock costs about a
 * third of an append. Code that blocks the thread between two groups calls {@link forget}.
 */
export class CoarseClock {
  readonly #now: () => number;
  #time: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The time of this turn if it was read: then {@link read} does not call the application's clock. */
  get cached(): number | undefined {
    return this.#time;
  }

  /** The time of the first call in this turn. */
  read(): number {
    if (this.#time !== undefined) return this.#time;
    this.#time = this.#now();
    void TURN_ENDED.then(this.forget);
    return this.#time;
  }

  /** Drops the cached time: the next {@link read} reads the clock. */
  readonly forget = (): void => {
    this.#time = undefined;
  };
}

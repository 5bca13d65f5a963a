const TURN_ENDED = Promise.resolve();

/**
 * The time, in milliseconds since the Unix epoch, asked for once in a turn of JavaScript: a clock costs about a third of an
 * append. What blocks the thread between two groups calls {@link forget}.
 */
export class CoarseClock {
  readonly #now: () => number;
  #time: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether it has the time of this turn, and {@link read} asks nothing that is the application's. */
  get isRead(): boolean {
    return this.#time !== undefined;
  }

  /** The time, as it was when it was first asked for in this turn. */
  read(): number {
    if (this.#time !== undefined) return this.#time;
    this.#time = this.#now();
    void TURN_ENDED.then(this.forget);
    return this.#time;
  }

  /** Has the clock asked again. */
  readonly forget = (): void => {
    this.#time = undefined;
  };
}

/** An environment without chance and without time: a clock that counts, timers that are fired by hand, bytes from a seed. */
export class SimulatedEnvironment {
  #time = 1_700_000_000_000;
  readonly #random: () => number;
  readonly #timers = new Set<() => void>();

  /** @param random - numbers from 0 to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** What a log takes of it. */
  readonly options = {
    now: (): number => this.#time++,
    setTimer: (callback: () => void): (() => void) => {
      this.#timers.add(callback);
      return () => this.#timers.delete(callback);
    },
    randomBytes: (bytes: number): Uint8Array =>
      Uint8Array.from({ length: bytes }, () => Math.floor(this.#random() * 256)),
  };

  /** Fires the timers that wait now. */
  fire(): void {
    for (const callback of [...this.#timers]) {
      this.#timers.delete(callback);
      callback();
    }
  }
}

/** A clock that is set by hand and timers that are fired by hand. */
export class ManualTime {
  time = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly callback: () => void; readonly delayMs: number }>();

  readonly now = (): number => this.time;

  readonly setTimer = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { callback, delayMs };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** The options for a log. */
  get options(): { readonly now: () => number; readonly setTimer: ManualTime['setTimer'] } {
    return { now: this.now, setTimer: this.setTimer };
  }

  /** Delays of the timers that wait, in milliseconds. */
  get waiting(): number[] {
    return [...this.#timers].map((timer) => timer.delayMs);
  }

  /** Fires the timers that wait now, of one delay where one is given, and returns how many there were. */
  fire(delayMs?: number): number {
    const due = [...this.#timers].filter((timer) => delayMs === undefined || timer.delayMs === delayMs);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.callback();
    }
    return due.length;
  }
}

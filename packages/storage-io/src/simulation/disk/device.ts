import { Random } from '../random.js';

/** An operation that the device will finish at some time. */
interface Started {
  readonly due: number;
  readonly finish: () => void;
}

const TICKS_PER_MS = 1000;

/**
 * Makes operations take simulated time, in ticks of one microsecond, independent of any clock. An operation takes from
 * one tick to the maximum latency; so an operation that was started later may end earlier.
 */
export class Device {
  readonly #random: Random;
  #now = 0;
  #started: Started[] = [];
  #scheduled = false;
  #off = false;
  /** Counts what was done, by which a wait sees whether there is progress. */
  progress = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Starts an operation. `finish` is called when it is done, in a later turn of the event loop or by {@link wait}. */
  start(latencyTicks: number, finish: () => void): void {
    this.#started.push({ due: this.#now + 1 + this.#random.below(latencyTicks), finish });
    this.#schedule();
  }

  /** Advances the time in the calling thread until `enough`, nothing is in flight, or the timeout has passed. */
  wait(enough: () => boolean, timeoutMs: number | undefined): void {
    // Time must advance for a caller that polls repeatedly without waiting.
    const until =
      timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#now + Math.max(1, timeoutMs * TICKS_PER_MS);
    while (!enough()) {
      if (this.#started.length === 0 || this.#nextDue() > until) {
        if (until < Number.POSITIVE_INFINITY) this.#now = until;
        return;
      }
      this.#step();
    }
  }

  /** The power fails: nothing that was started is ever finished. */
  powerOff(): void {
    this.#off = true;
    this.#started = [];
  }

  #nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#started) if (due < next) next = due;
    return next;
  }

  /** Finishes everything that is due next, one by one: the callback of one operation may run after the others are done. */
  #step(): void {
    const due = this.#nextDue();
    this.#now = due;
    for (;;) {
      const at = this.#started.findIndex((each) => each.due === due);
      const [next] = at === -1 ? [] : this.#started.splice(at, 1);
      if (next === undefined || this.#off) return;
      this.progress += 1;
      next.finish();
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#started.length === 0) return;
      try {
        this.#step();
      } finally {
        if (this.#started.length > 0) this.#schedule();
      }
    });
  }
}

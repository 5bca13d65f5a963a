import { Random } from './random.js';

/** Something that the device will have done at some time. */
interface Started {
  readonly due: number;
  readonly finish: () => void;
}

const TICKS_PER_MS = 1000;

/**
 * What makes operations take time, in ticks that mean microseconds and that no clock decides. An operation takes
 * from one tick to the longest latency; so what was started later may well end earlier.
 */
export class Device {
  readonly #random: Random;
  #now = 0;
  #started: Started[] = [];
  #scheduled = false;
  #off = false;
  /** How often something has been done: a wait sees whether anything still happens. */
  progress = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Starts an operation. `finish` is called when it is done, in a later turn of the event loop or by {@link wait}. */
  start(latencyTicks: number, finish: () => void): void {
    this.#started.push({ due: this.#now + 1 + this.#random.below(latencyTicks), finish });
    this.#schedule();
  }

  /** Lets time pass in the calling thread until there is enough, nothing is under way, or so many milliseconds are over. */
  wait(enough: () => boolean, timeoutMs: number | undefined): void {
    // A caller that polls again and again without waiting must see the time go on.
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

  /** The power goes: nothing that was started is ever done. */
  powerOff(): void {
    this.#off = true;
    this.#started = [];
  }

  #nextDue(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#started) if (due < next) next = due;
    return next;
  }

  /** Does everything that is due next, one by one: the answer to one operation may be given after the others are done. */
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

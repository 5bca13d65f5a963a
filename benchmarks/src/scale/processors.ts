import type { EventQueue } from './event-queue.js';

/** The cores of a machine, which are given to threads in the order in which they ask. */
export class Machine {
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #busyUs = 0;

  constructor(cores: number) {
    this.#free = cores;
  }

  /** The time that all its cores were busy. */
  get busyUs(): number {
    return this.#busyUs;
  }

  take(run: () => void): void {
    if (this.#free > 0) {
      this.#free--;
      run();
    } else this.#waiting.push(run);
  }

  give(us: number): void {
    this.#busyUs += us;
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** A thread of a machine: one piece of work after the other. */
export class Thread {
  readonly #events: EventQueue;
  readonly #machine: Machine;
  readonly #work: { readonly us: number; readonly done: () => void }[] = [];
  #isRunning = false;

  constructor(events: EventQueue, machine: Machine) {
    this.#events = events;
    this.#machine = machine;
  }

  /** Work that takes so long on a core; `done` is called behind it. */
  add(us: number, done: () => void): void {
    this.#work.push({ us, done });
    if (!this.#isRunning) this.#next();
  }

  /** Drops the work that has not begun. */
  clear(): void {
    this.#work.length = 0;
  }

  #next(): void {
    const work = this.#work.shift();
    this.#isRunning = work !== undefined;
    if (work === undefined) return;
    this.#machine.take(() =>
      this.#events.in(work.us, () => {
        this.#machine.give(work.us);
        work.done();
        this.#next();
      }),
    );
  }
}

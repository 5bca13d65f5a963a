import type { ProcessRun } from '@walstack/storage-io/simulation';

const FIRST_TIME = 1_700_000_000_000;

/** What passes for each note: more than a process reads the clock meanwhile. */
const NOTE_MS = 1000;

/** So many runs of a process begin with a clock that was set back. */
const SET_BACK = 0.2;

/** An environment without chance and without time: a clock that counts, timers that are fired by hand, bytes from a seed. */
export class SimulatedEnvironment {
  #time: number;
  readonly #random: () => number;
  readonly #timers = new Set<() => void>();

  /** @param run - its clock is behind those of the runs before, or was set back to the first time */
  constructor({ random, notes }: Pick<ProcessRun<unknown>, 'random' | 'notes'>) {
    this.#random = random;
    this.#time = FIRST_TIME + (random() < SET_BACK ? 0 : notes.length * NOTE_MS);
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

import { WalError } from '@walstack/codec';
import type { StorageIo } from '../storage-io.js';
import { CompletionRouter } from './completion-router.js';
import {
  drive,
  type Ended,
  type IoRoutine,
  type Outcome,
  outcomeValue,
  requireWait,
  waitForProgress,
} from './routine.js';
import { afterStep, beginStep, endStep, isExecuting } from './steps-under-way.js';

/**
 * Runs routines one after another, in the order in which they were added, however each is driven. Routines that must
 * not interleave (a roll, a sync, a truncation of one log) go through one queue.
 */
export class RoutineQueue {
  readonly #router: CompletionRouter;
  /** Routines to start; those before index `#begun` were started. */
  #waiting: (() => void)[] = [];
  #begun = 0;
  #running = false;
  /** The running routine; `undefined` also while it is being made. */
  #routine: IoRoutine<unknown> | undefined;
  #starting = false;

  constructor(io: StorageIo) {
    this.#router = CompletionRouter.for(io);
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return !this.#running && this.#waiting.length === this.#begun;
  }

  /**
   * Starts a routine after all that were added before, at once when there are none. It continues when completions are
   * handed out, which {@link CompletionRouter.drain} does without the event loop. `ended` is called with its outcome,
   * perhaps before this returns, but never in the middle of a step: it may call anything, blocking calls included.
   */
  start<T>(make: () => IoRoutine<T>, ended: Ended<T>): void {
    this.#add(make, (outcome) => afterStep(() => ended(outcome)));
  }

  /** {@link start} with an `ended` that is part of the last step of the routine, and calls no function of the application. */
  startWithin<T>(make: () => IoRoutine<T>, ended: Ended<T>): void {
    this.#add(make, ended);
  }

  /**
   * Runs what waits for nothing, while nothing else runs or waits: instead of a routine, which costs more. Calls of the
   * application wait for its end.
   */
  runAtOnce<T>(work: () => T): T {
    this.#running = true;
    beginStep();
    try {
      return work();
    } finally {
      this.#running = false;
      endStep();
      this.#startNext();
    }
  }

  /** Runs a routine after all that were added before, on the event loop. `make` is called when its turn has come. */
  run<T>(make: () => IoRoutine<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add(make, (outcome) => {
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      });
    });
  }

  /**
   * Runs a routine after all that were added before, blocking the thread until it has ended; those before it are driven
   * as well.
   *
   * @throws `WAL_UNSUPPORTED` before anything else on a backend that cannot wait; `WAL_STATE` when its turn can never
   * come, and then it never runs
   */
  runSync<T>(make: () => IoRoutine<T>): T {
    this.requireTurn();
    const ended: { outcome?: Outcome<T> } = {};
    const start = this.#add(make, (outcome) => {
      ended.outcome = outcome;
    });
    try {
      while (ended.outcome === undefined) waitForProgress(this.#router);
    } catch (error) {
      this.#remove(start);
      throw error;
    }
    return outcomeValue(ended.outcome);
  }

  /**
   * Throws if {@link runSync} would. A blocking call makes this check before it changes anything.
   *
   * @throws `WAL_UNSUPPORTED` on a backend that cannot wait; `WAL_STATE` when the routine that runs is in the middle of a
   * step, which ends only when the caller has returned
   */
  requireTurn(): void {
    requireWait(this.#router.io);
    if (this.#routine === undefined ? this.#running : isExecuting(this.#routine)) throw insideStep();
  }

  /**
   * Runs a routine after all that were added before, as a step of another one, which may be in another queue: driving
   * that one drives this one, too. A routine must not wait for its own queue.
   */
  *join<T>(make: () => IoRoutine<T>): IoRoutine<T> {
    const ended: { outcome?: Outcome<T>; resume?: () => void } = {};
    this.#add(make, (outcome) => {
      ended.outcome = outcome;
      ended.resume?.();
    });
    while (ended.outcome === undefined) {
      yield (resume) => {
        ended.resume = resume;
      };
    }
    return outcomeValue(ended.outcome);
  }

  /** @returns the function that starts it, by which {@link #remove} finds it */
  #add<T>(make: () => IoRoutine<T>, ended: Ended<T>): () => void {
    const end: Ended<T> = (outcome) => {
      this.#running = false;
      this.#routine = undefined;
      ended(outcome);
      this.#startNext();
    };
    const start = (): void => {
      let routine: IoRoutine<T>;
      try {
        routine = make();
      } catch (error) {
        end({ error });
        return;
      }
      this.#routine = routine;
      drive(this.#router, routine, end);
    };
    this.#waiting.push(start);
    this.#startNext();
    return start;
  }

  /** Removes a routine that has not begun. */
  #remove(start: () => void): void {
    const at = this.#waiting.indexOf(start, this.#begun);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** Removes the next routine at a constant cost; `Array.shift` would cost more the more routines wait. */
  #takeNext(): (() => void) | undefined {
    const start = this.#waiting[this.#begun];
    if (start === undefined) return undefined;
    this.#begun++;
    // Entries of begun routines stay in the array until they are more than half of it.
    if (this.#begun === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#begun = 0;
    } else if (this.#begun * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#begun);
      this.#begun = 0;
    }
    return start;
  }

  /** A loop, not a recursion: thousands of routines may end before `start` returns. */
  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    // As one step: a function called at the end of a routine may add to this queue.
    beginStep();
    try {
      while (!this.#running) {
        const start = this.#takeNext();
        if (start === undefined) break;
        this.#running = true;
        start();
      }
    } finally {
      this.#starting = false;
      endStep();
    }
  }
}

function insideStep(): WalError {
  return new WalError(
    'WAL_STATE',
    'a blocking call cannot wait for the routine from inside which it is called: nothing was done; use the promise form of the call',
    { operation: 'wait', state: 'inside-a-step' },
  );
}

import { CompletionRouter } from './completion-router.js';
import { drive, type Ended, type IoRoutine, requireWait, waitForProgress } from './io-routine.js';
import type { StorageIo } from './storage-io.js';

/**
 * Runs routines one after another, in the order they came, whichever way each is driven. What must not interleave (a
 * roll, a sync, a truncation of one log) goes through one queue.
 */
export class RoutineQueue {
  readonly #router: CompletionRouter;
  readonly #waiting: (() => void)[] = [];
  #running = false;
  #starting = false;

  constructor(io: StorageIo) {
    this.#router = CompletionRouter.for(io);
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return !this.#running && this.#waiting.length === 0;
  }

  /**
   * Starts a routine after all that came before, at once when nothing did. It goes on when completions are handed out,
   * which {@link CompletionRouter.drain} does without the event loop. `ended` is told how it ended, perhaps before this
   * returns.
   */
  start<T>(make: () => IoRoutine<T>, ended: Parameters<typeof drive<T>>[2]): void {
    this.#add(make, ended);
  }

  /** Runs a routine after all that came before, on the event loop. `make` is called when its turn has come. */
  run<T>(make: () => IoRoutine<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add(make, (ended) => {
        if ('error' in ended) reject(ended.error);
        else resolve(ended.value);
      });
    });
  }

  /**
   * Runs a routine after all that came before, blocking the thread until it has ended; what came before is driven along.
   *
   * @throws `WAL_UNSUPPORTED` before anything else on a backend that cannot wait
   */
  runSync<T>(make: () => IoRoutine<T>): T {
    requireWait(this.#router.io);
    const outcome: { ended?: Parameters<Ended<T>>[0] } = {};
    this.#add(make, (ended) => {
      outcome.ended = ended;
    });
    while (outcome.ended === undefined) waitForProgress(this.#router);
    if ('error' in outcome.ended) throw outcome.ended.error;
    return outcome.ended.value;
  }

  /**
   * Runs a routine after all that came before, as a step of another one, which may come from another queue: whoever
   * waits for that one drives this one along. A routine of this queue must not wait for its own queue.
   */
  *join<T>(make: () => IoRoutine<T>): IoRoutine<T> {
    const outcome: { ended?: Parameters<Ended<T>>[0]; resume?: () => void } = {};
    this.#add(make, (ended) => {
      outcome.ended = ended;
      outcome.resume?.();
    });
    while (outcome.ended === undefined) {
      yield (resume) => {
        outcome.resume = resume;
      };
    }
    if ('error' in outcome.ended) throw outcome.ended.error;
    return outcome.ended.value;
  }

  #add<T>(make: () => IoRoutine<T>, ended: Ended<T>): void {
    const end: Ended<T> = (outcome) => {
      this.#running = false;
      ended(outcome);
      this.#startNext();
    };
    this.#waiting.push(() => {
      let routine: IoRoutine<T>;
      try {
        routine = make();
      } catch (error) {
        end({ error });
        return;
      }
      drive(this.#router, routine, end);
    });
    this.#startNext();
  }

  /** A loop, not a recursion: thousands of routines may end while they are being started. */
  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    while (!this.#running) {
      const start = this.#waiting.shift();
      if (start === undefined) break;
      this.#running = true;
      start();
    }
    this.#starting = false;
  }
}

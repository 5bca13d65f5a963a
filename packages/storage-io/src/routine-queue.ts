import { CompletionRouter } from './completion-router.js';
import { drive, type IoRoutine, requireWait, waitForProgress } from './io-routine.js';
import type { StorageIo } from './storage-io.js';

/**
 * Runs routines one after another, in the order they came, whichever way each is driven. What must not interleave (a
 * roll, a sync, a truncation of one log) goes through one queue.
 */
export class RoutineQueue {
  readonly #router: CompletionRouter;
  readonly #waiting: (() => void)[] = [];
  #running = false;

  constructor(io: StorageIo) {
    this.#router = CompletionRouter.for(io);
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return !this.#running && this.#waiting.length === 0;
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
    const outcome: { ended?: { readonly value: T } | { readonly error: unknown } } = {};
    this.#add(make, (ended) => {
      outcome.ended = ended;
    });
    while (outcome.ended === undefined) waitForProgress(this.#router);
    if ('error' in outcome.ended) throw outcome.ended.error;
    return outcome.ended.value;
  }

  #add<T>(make: () => IoRoutine<T>, ended: Parameters<typeof drive<T>>[2]): void {
    const start = (): void => {
      drive(this.#router, lazily(make), (outcome) => {
        ended(outcome);
        this.#next();
      });
    };
    if (this.#running) {
      this.#waiting.push(start);
      return;
    }
    this.#running = true;
    start();
  }

  #next(): void {
    const start = this.#waiting.shift();
    if (start === undefined) this.#running = false;
    else start();
  }
}

/** What `make` throws counts as thrown by the routine. */
function* lazily<T>(make: () => IoRoutine<T>): IoRoutine<T> {
  return yield* make();
}

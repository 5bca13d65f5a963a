import type { IoRoutine } from '../routines/routine.js';
import type { RoutineQueue } from '../routines/routine-queue.js';

/** A queued routine that all calls share until its turn comes: it does the work of all of them at once. */
export class SharedRoutine {
  readonly #queue: RoutineQueue;
  readonly #make: () => IoRoutine<void>;
  #waiting: Promise<void> | undefined;

  constructor(queue: RoutineQueue, make: () => IoRoutine<void>) {
    this.#queue = queue;
    this.#make = make;
  }

  /** Resolves when a run has ended that began with this call or after it. */
  run(): Promise<void> {
    if (this.#waiting !== undefined) return this.#waiting;
    let begun = false;
    const done = this.#queue.run(() => {
      begun = true;
      this.#waiting = undefined;
      return this.#make();
    });
    if (!begun) this.#waiting = done;
    return done;
  }

  /** Like {@link run}, blocking the thread. */
  runSync(): void {
    this.#queue.runSync(this.#make);
  }
}

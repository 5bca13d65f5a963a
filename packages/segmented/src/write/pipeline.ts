import { type CompletionRouter, drive, type IoCondition, type IoRoutine } from '@walstack/storage-io';

/** A routine that was started and not yet counted. */
interface Item {
  done: boolean;
  readonly count: () => void;
}

/**
 * Routines under way side by side, which count in the order in which they were started: one that is done counts only
 * when everything before it is done too. After a failure nothing behind it counts any more.
 */
export class Pipeline {
  readonly #router: CompletionRouter;
  readonly #fail: (error: unknown) => void;
  /** In the order in which they were started. */
  readonly #items: Item[] = [];
  #running = 0;
  #failed = false;
  #waiting: (() => void)[] = [];

  /** @param fail - told of each failure; is to call {@link stop} */
  constructor(router: CompletionRouter, fail: (error: unknown) => void) {
    this.#router = router;
    this.#fail = fail;
  }

  /** How many routines have begun and not ended. */
  get running(): number {
    return this.#running;
  }

  /** Whether all that was started counts. */
  get empty(): boolean {
    return this.#items.length === 0;
  }

  /** Starts a routine at once; `count` is called when it and all before it have succeeded. */
  start(routine: IoRoutine<void>, count: () => void): void {
    const item: Item = { done: false, count };
    this.#items.push(item);
    this.#running++;
    drive(this.#router, routine, (ended) => {
      this.#running--;
      if ('error' in ended) this.#fail(ended.error);
      else {
        item.done = true;
        this.#count();
      }
      this.changed();
    });
  }

  /**
   * Waits until something holds that depends on what is under way.
   *
   * @returns whether it does; `false` after a failure
   */
  *until(holds: () => boolean): IoRoutine<boolean> {
    while (!holds()) {
      if (this.#failed) return false;
      yield this.#change;
    }
    return true;
  }

  /** Waits until no routine is under way, whatever became of them. */
  *ended(): IoRoutine<void> {
    while (this.#running > 0) yield this.#change;
  }

  /** Ends all waiting for what is not under way: there was a failure elsewhere. */
  stop(): void {
    this.#failed = true;
    this.changed();
  }

  /** Has every waiting routine look again. */
  changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  readonly #change: IoCondition = (resume) => {
    this.#waiting.push(resume);
  };

  #count(): void {
    try {
      while (this.#items[0]?.done === true) this.#items.shift()?.count();
    } catch (error) {
      this.#fail(error);
    }
  }
}

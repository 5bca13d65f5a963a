import { type CompletionRouter, drive, type IoCondition, type IoRoutine, type Outcome } from '@walstack/storage-io';

/** Something that was started and whose result was not applied yet. */
export interface Item {
  done: boolean;
  readonly apply: () => void;
}

/**
 * Runs routines concurrently and applies their results in the order in which they were started: the result of a routine
 * is applied only when all routines before it have succeeded. After a failure no result behind it is applied any more.
 */
export class Pipeline {
  readonly #router: CompletionRouter;
  readonly #fail: (error: unknown) => void;
  /** In the order in which they were started. */
  readonly #items: Item[] = [];
  #running = 0;
  #failed = false;
  /** Whether a write waits for room on the disk: then nothing is waited for that depends on it. */
  #stalled = false;
  #waiting: (() => void)[] = [];

  /** @param fail - called with each failure; must call {@link stop} */
  constructor(router: CompletionRouter, fail: (error: unknown) => void) {
    this.#router = router;
    this.#fail = fail;
  }

  /** The number of routines that have started and not ended. */
  get running(): number {
    return this.#running;
  }

  /** Whether the results of all routines were applied. */
  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Starts a routine at once; `apply` is called when it and all routines before it have succeeded. */
  start(routine: IoRoutine<void>, apply: () => void): void {
    const item = this.begin(apply);
    drive(this.#router, routine, (outcome) => this.end(item, outcome));
  }

  /** Begins what is no routine: {@link end} follows when it has ended. */
  begin(apply: () => void): Item {
    const item: Item = { done: false, apply };
    this.#items.push(item);
    this.#running++;
    return item;
  }

  /** Ends what {@link begin} has begun: as part of a step. */
  end(item: Item, outcome: Outcome<void>): void {
    this.#running--;
    if ('error' in outcome) this.#fail(outcome.error);
    else {
      item.done = true;
      this.#applyInOrder();
    }
    this.notify();
  }

  /**
   * Takes back what has begun and found no room: {@link beginAgain} follows. Until then no result behind it is applied, and
   * {@link until} and {@link when} wait for nothing.
   */
  stall(item?: Item): void {
    if (item !== undefined) this.#running--;
    this.#stalled = true;
    this.notify();
  }

  /** Called before what has found no room is begun again: it can be waited for again. */
  unstall(): void {
    this.#stalled = false;
  }

  /** Begins again what {@link stall} has taken back, in its place. */
  beginAgain(): void {
    this.#running++;
  }

  /**
   * {@link until} without a routine.
   *
   * @param ended - called once, perhaps before this returns, as part of a step: with whether the condition holds
   */
  when(holds: () => boolean, ended: (held: boolean) => void): void {
    if (holds()) ended(true);
    else if (this.#failed || this.#stalled) ended(false);
    else this.#waiting.push(() => this.when(holds, ended));
  }

  /**
   * Waits until a condition holds that depends on the running routines.
   *
   * @returns whether it holds; `false` after a failure, and while something waits for room on the disk
   */
  *until(holds: () => boolean): IoRoutine<boolean> {
    while (!holds()) {
      if (this.#failed || this.#stalled) return false;
      yield this.#change;
    }
    return true;
  }

  /** {@link until} for a running routine itself, which waits on while something waits for room. */
  *untilWritten(holds: () => boolean): IoRoutine<boolean> {
    while (!holds()) {
      if (this.#failed) return false;
      yield this.#change;
    }
    return true;
  }

  /** Waits until no routine is running, whether they succeed or fail. */
  *ended(): IoRoutine<void> {
    while (this.#running > 0) yield this.#change;
  }

  /** Ends all waiting in {@link until}, as the log has failed. */
  stop(): void {
    this.#failed = true;
    this.notify();
  }

  /** Makes every waiting routine check its condition again. */
  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  readonly #change: IoCondition = (resume) => {
    this.#waiting.push(resume);
  };

  #applyInOrder(): void {
    try {
      while (this.#items[0]?.done === true) this.#items.shift()?.apply();
    } catch (error) {
      this.#fail(error);
    }
  }
}

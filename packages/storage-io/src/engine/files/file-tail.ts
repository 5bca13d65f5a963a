/** An operation at the end of a file; only one of them may run at a time. */
export interface TailOperation {
  readonly isAppend: boolean;
  /** Where it begins to write. Valid once it was started. */
  readonly offset: number;
  /** Starts it. It calls {@link FileTail.ended} when it ends, perhaps before this returns. */
  start(): void;
  /** Ends it with a result without starting it. */
  cancel(result: number): void;
}

/**
 * The operations at the end of one file, one after another in the order of submission: appends, fills with zeros, and
 * writes that end after the offset at which one of these is running.
 */
export class FileTail {
  #running: TailOperation | undefined;
  #waiting: TailOperation[] = [];
  #starting = false;

  /** Whether a write that ends at `end` has to queue here, because zeros or an append might overlap it. */
  mustQueue(end: number): boolean {
    return this.#running !== undefined && end > this.#running.offset;
  }

  add(operation: TailOperation): void {
    this.#waiting.push(operation);
    this.#startNext();
  }

  /**
   * The running operation has ended. When it was an append that failed, the queued appends end with the same result,
   * unwritten: after a torn append they would be in the file, and could not be found.
   */
  ended(result: number): void {
    const failedAppend = result < 0 && this.#running?.isAppend === true;
    this.#running = undefined;
    const cancelled = failedAppend ? this.#waiting.filter((each) => each.isAppend) : [];
    if (cancelled.length > 0) this.#waiting = this.#waiting.filter((each) => !each.isAppend);
    this.#startNext();
    for (const each of cancelled) each.cancel(result);
  }

  /** A loop, not a recursion: operations may end before `start` returns. */
  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    while (this.#running === undefined && this.#waiting.length > 0) {
      this.#running = this.#waiting.shift();
      this.#running?.start();
    }
    this.#starting = false;
  }
}

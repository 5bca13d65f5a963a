/** Something done to the end of a file that must not happen beside another such thing. */
export interface TailOperation {
  readonly isAppend: boolean;
  /** Where it begins to write. Known once it was started. */
  readonly offset: number;
  /** Starts it. It calls {@link FileTail.ended} when it has ended, perhaps before this returns. */
  start(): void;
  /** Ends it with a result, without its ever having been started. */
  cancel(result: number): void;
}

/**
 * What is done to the end of one file, one after another in the order of submission: appends, filling with zeros, and
 * writes that reach behind the place where one of these is at work.
 */
export class FileTail {
  #running: TailOperation | undefined;
  #waiting: TailOperation[] = [];
  #starting = false;

  /** Whether a write that ends at `end` has to queue up here, lest zeros or an append run into it. */
  mustQueue(end: number): boolean {
    return this.#running !== undefined && end > this.#running.offset;
  }

  add(operation: TailOperation): void {
    this.#waiting.push(operation);
    this.#startNext();
  }

  /**
   * The running operation has ended. Appends that queued up behind one that failed end as it did, unwritten: behind a
   * torn append they would be in the file, and could not be found.
   */
  ended(result: number): void {
    const failedAppend = result < 0 && this.#running?.isAppend === true;
    this.#running = undefined;
    const cancelled = failedAppend ? this.#waiting.filter((each) => each.isAppend) : [];
    if (cancelled.length > 0) this.#waiting = this.#waiting.filter((each) => !each.isAppend);
    this.#startNext();
    for (const each of cancelled) each.cancel(result);
  }

  /** A loop, not a recursion: operations may end while they are being started. */
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

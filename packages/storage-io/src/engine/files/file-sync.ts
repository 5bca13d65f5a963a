/** Called with the result of a sync. */
type SyncEnded = (result: number) => void;

/**
 * The datasyncs of a file, carried out one after another: of two at the same time only one reports that the system
 * could not write something, and the other one would succeed wrongly. Requests made while one is in flight share the
 * next one, which covers everything written before them; when the one in flight fails, they fail with it.
 */
export class FileSync {
  readonly #begin: (ended: SyncEnded) => void;
  readonly #final: boolean;
  #underWay: readonly SyncEnded[] = [];
  #waiting: SyncEnded[] = [];
  /** The result of the first sync that failed, where a failure is final. */
  #failure = 0;

  /**
   * @param begin - begins a datasync of the file, and calls back exactly once
   * @param final - whether all syncs fail after one has failed: a later one that succeeds would prove nothing about
   * what was not written, and a caller whose durable write is carried out by a sync cannot know which sync that was
   */
  constructor(begin: (ended: SyncEnded) => void, final: boolean) {
    this.#begin = begin;
    this.#final = final;
  }

  /** Calls `ended` when everything written so far is durable, with 0, or with the error number if it cannot be. */
  add(ended: SyncEnded): void {
    if (this.#failure < 0) {
      ended(this.#failure);
      return;
    }
    this.#waiting.push(ended);
    if (this.#underWay.length === 0) this.#next();
  }

  #next(): void {
    this.#underWay = this.#waiting;
    this.#waiting = [];
    this.#begin(this.#ended);
  }

  readonly #ended = (result: number): void => {
    let done = this.#underWay;
    this.#underWay = [];
    if (result < 0) {
      if (this.#final) this.#failure = result;
      done = [...done, ...this.#waiting.splice(0)];
    }
    if (this.#waiting.length > 0) this.#next();
    for (const each of done) each(result);
  };
}

/** Told the result of a sync. */
type SyncEnded = (result: number) => void;

/**
 * The datasyncs of a file, carried out one after another: of two at a time only one reports that the system could not write
 * something, and the other one would say that it is durable. Requests made while one is under way share the next one, which
 * begins behind everything written before them; when the one under way fails, they fail with it.
 */
export class FileSync {
  readonly #begin: (ended: SyncEnded) => void;
  readonly #final: boolean;
  #underWay: readonly SyncEnded[] = [];
  #waiting: SyncEnded[] = [];
  /** The result of the first one that failed, where that is final. */
  #failure = 0;

  /**
   * @param begin - begins a datasync of the file, and calls back, once
   * @param final - whether all fail once one has: a later one that succeeds would prove nothing about what was not written,
   * and where it stands for durable writes, the calls that ask for them are not told which sync that is
   */
  constructor(begin: (ended: SyncEnded) => void, final: boolean) {
    this.#begin = begin;
    this.#final = final;
  }

  /** Has `ended` told when everything that has been written is durable: 0, or why it cannot be. */
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

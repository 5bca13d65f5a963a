import type { Lsn } from '@walstack/codec';
import { afterStep } from '@walstack/storage-io/internal';

/**
 * The cuts of the end of a log that are in progress: appends are rejected until they are done, as their records would get
 * LSNs that a cut drops.
 */
export class Cuts {
  /** For each cut in progress, the LSN with which the log will continue. */
  readonly #nextLsns: Lsn[] = [];
  readonly #listeners = new Set<(lastLsn: Lsn) => void>();

  get isInProgress(): boolean {
    return this.#nextLsns.length > 0;
  }

  /** @param nextLsn - the LSN with which the log continues after the cut */
  async run<T>(nextLsn: Lsn, cut: () => Promise<T>): Promise<T> {
    this.#nextLsns.push(nextLsn);
    try {
      return await cut();
    } finally {
      this.#nextLsns.splice(this.#nextLsns.indexOf(nextLsn), 1);
    }
  }

  /** The same for a blocking call, during which other routines may call functions of the application. */
  runSync<T>(nextLsn: Lsn, cut: () => T): T {
    this.#nextLsns.push(nextLsn);
    try {
      return cut();
    } finally {
      this.#nextLsns.splice(this.#nextLsns.indexOf(nextLsn), 1);
    }
  }

  /**
   * The end of the LSNs that a call may name. A call runs after the cuts in progress: LSNs from the one on with which a cut
   * continues the log will belong to other records by then.
   */
  endOfKept(nextLsn: Lsn): Lsn {
    return Math.min(nextLsn, ...this.#nextLsns);
  }

  /** @param listener - called at each cut with the last LSN that is left. @returns a function that ends this */
  listen(listener: (lastLsn: Lsn) => void): () => void {
    // A wrapper, as two readers may pass the same function.
    const each = (lastLsn: Lsn): void => listener(lastLsn);
    this.#listeners.add(each);
    return () => {
      this.#listeners.delete(each);
    };
  }

  /** Called when a cut is done. */
  notify(lastLsn: Lsn): void {
    for (const listener of this.#listeners) {
      try {
        listener(lastLsn);
      } catch (error) {
        // The cut is done: an error of a listener becomes an uncaught exception and does not reject the cut.
        afterStep(() => {
          throw error;
        });
      }
    }
  }
}

import type { Lsn } from '@walstack/codec';

/** An LSN that has to be given. */
interface Wanted {
  /** The last one that it can be. */
  readonly lsn: Lsn;
  readonly what: string;
}

/**
 * What the files do not show, and only the operator can say: where segments began that are missing, and that nothing is missed between
 * two segments. The answers are LSNs; each has one place in the log that it can be meant for. What is not answered is collected, so
 * that everything is asked for at once.
 */
export class Answers {
  readonly #given: readonly Lsn[];
  readonly #wanted: Wanted[] = [];

  constructor(salvageLsn: Lsn | readonly Lsn[] | undefined) {
    this.#given = salvageLsn === undefined ? [] : typeof salvageLsn === 'number' ? [salvageLsn] : salvageLsn;
  }

  /** Whether everything was answered that was asked for so far. */
  get areComplete(): boolean {
    return this.#wanted.length === 0;
  }

  /** What is to be given in addition, in the order of the log. */
  get wanted(): string {
    const inOrder = [...this.#wanted].sort((a, b) => a.lsn - b.lsn).map(({ what }) => what);
    return `${this.#given.length === 0 ? '' : `beside ${this.#given.join(', ')}: `}${inOrder.join('; ')}`;
  }

  /** Whether the operator has named an LSN: where the log begins with it, that nothing is missed before it. */
  includes(lsn: Lsn): boolean {
    return this.#given.includes(lsn);
  }

  /**
   * Where a lost part begins whose number is not the next one: a segment may be missing before it, and may have cut off records of the
   * one below.
   *
   * @param least - not before this, as a segment is there that began before it
   * @param firstLsn - of the part; the answer that no segment is missing, or that it does not matter
   */
  beginningOfLost(least: Lsn, firstLsn: Lsn): Lsn {
    const begun = this.#lowest(least, firstLsn);
    if (begun !== undefined) return begun;
    if (!this.includes(firstLsn)) {
      const missing = least < firstLsn ? `, or else the first LSN of the missing one, from ${least} on` : '';
      this.#want(firstLsn, `${firstLsn}, if no segment is missing before it, or if it does not matter${missing}`);
    }
    return firstLsn;
  }

  /** Where a missing segment began: not before `least`, as one is there that began before that. */
  beginningOf(least: Lsn, successor: Lsn): Lsn | undefined {
    const begun = this.#lowest(least, successor);
    if (begun === undefined) {
      const range = least < successor - 1 ? `from ${least} to ${successor - 1}` : `${least}`;
      this.#want(successor - 1, `the first LSN of the missing segment before ${successor}, ${range}`);
    }
    return begun;
  }

  /** Where the first segments of a log began that are missing; `undefined` where nothing is missed before the LSN, or this is not known. */
  beginningOfLog(firstLsn: Lsn): Lsn | undefined {
    const begun = this.#lowest(1, firstLsn);
    if (begun === undefined && !this.includes(firstLsn)) {
      this.#want(
        firstLsn,
        `the first LSN of the missing beginning of the log, below ${firstLsn}, or ${firstLsn} if nothing is missed`,
      );
    }
    return begun;
  }

  /** The lowest given LSN in a range: of segments that follow each other all may be given. */
  #lowest(from: Lsn, before: Lsn): Lsn | undefined {
    const inRange = this.#given.filter((lsn) => lsn >= from && lsn < before);
    return inRange.length === 0 ? undefined : Math.min(...inRange);
  }

  #want(lsn: Lsn, what: string): void {
    this.#wanted.push({ lsn, what });
  }
}

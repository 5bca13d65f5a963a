import type { Lsn, Predecessor } from '@walstack/codec';
import { HoleReason } from '@walstack/codec/internal';
import type { Link } from '@walstack/mmap-reader/internal';
import { isSound, type SalvageFiles } from '../salvage-files.js';
import type { Remains } from '../salvage-survey.js';
import type { Answers } from './answers.js';

/** A segment of which nothing can be read. */
export interface Lost {
  /** As its successor names it; `undefined` at the end of the log. */
  readonly own: Predecessor | undefined;
  readonly firstLsn: Lsn;
  /** The number of the oldest lost segment, where several follow each other. */
  readonly lowest: number;
  readonly reason: number;
  /** Files with traces of what is lost at the end of the log. */
  readonly remains: readonly Remains[];
}

/** A part of the log: a segment, or a lost one. */
export type Part = Link | Lost;

export const isLost = (part: Part): part is Lost => 'lowest' in part;

export const firstLsnOf = (part: Part): Lsn => (isLost(part) ? part.firstLsn : part.header.firstLsn);

/** Searches for the parts of the log, from the newest to the oldest. */
export class PartsSearch {
  readonly #files: SalvageFiles;
  readonly #answers: Answers;
  readonly #parts: Part[] = [];

  constructor(files: SalvageFiles, answers: Answers) {
    this.#files = files;
    this.#answers = answers;
  }

  /** From the oldest to the newest, as far as the answers are complete; `undefined` when the files do not show them. */
  find(): readonly Part[] | undefined {
    const { highestBelow } = this.#files;
    let found = highestBelow.call(this.#files, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    while (found !== undefined) {
      const next = isSound(found) ? this.#addSound(found) : this.#addRemains(found);
      if (next === 'unknown') return undefined;
      found = next;
    }
    this.#begin();
    return this.#parts.length === 0 ? undefined : this.#parts.reverse();
  }

  /** @returns what is below it; `undefined` at the beginning of the log */
  #addSound(link: Link): Link | Remains | undefined | 'unknown' {
    const files = this.#files;
    const { predecessor, number, firstLsn } = link.header;
    if (files.isDoubled(number)) return 'unknown';
    this.#parts.push(link);
    if (predecessor === undefined || predecessor.number < (files.firstKept ?? 1)) return undefined;
    const below = files.below(link);
    if (below !== undefined) return below;
    const [remains, ...others] = files.remainsOf(predecessor.number);
    if (others.length > 0) return 'unknown';
    if (remains !== undefined && remains.firstLsn < firstLsn) {
      return this.#addLost(predecessor, remains.firstLsn, HoleReason.header, []);
    }
    if (remains !== undefined) return 'unknown';
    if (!files.isLowest(predecessor.number)) {
      // Where the missing segment began is not known: it may have cut off records of the one before it.
      const under = files.highestBelow(predecessor.number, firstLsn);
      const least = under === undefined ? 1 : (isSound(under) ? under.header : under).firstLsn + 1;
      const begun = this.#answers.beginningOf(least, firstLsn);
      return this.#addLost(predecessor, begun ?? firstLsn, HoleReason.missing, []);
    }
    // Without any file below it, the log begins with this segment where no checkpoint tells otherwise, or the operator says so.
    if (files.isBeginning(predecessor.number)) return undefined;
    const begun = this.#answers.beginningOfLog(firstLsn);
    return begun === undefined ? undefined : this.#addLost(predecessor, begun, HoleReason.missing, []);
  }

  /** Nothing is below the lowest part. Where it is a lost one, nothing in it names what was: the number tells that there was something. */
  #begin(): void {
    const lowest = this.#parts.at(-1);
    const { firstKept } = this.#files;
    if (lowest === undefined || !isLost(lowest) || firstKept === undefined) return;
    if (lowest.lowest <= firstKept || lowest.firstLsn === 1) return;
    const begun = this.#answers.beginningOfLog(lowest.firstLsn);
    if (begun !== undefined) this.#parts[this.#parts.length - 1] = { ...lowest, firstLsn: begun };
  }

  #addLost(
    own: Predecessor,
    firstLsn: Lsn,
    reason: number,
    remains: readonly Remains[],
  ): Link | Remains | undefined | 'unknown' {
    this.#parts.push({ own, firstLsn, lowest: own.number, reason, remains });
    return this.#files.highestBelow(own.number, firstLsn);
  }

  /** A damaged segment that no readable one names: at the end of the log, or below a lost one, which becomes longer. */
  #addRemains(remains: Remains): Link | Remains | undefined | 'unknown' {
    const { number, firstLsn } = remains;
    if (this.#files.remainsOf(number).length > 1) return 'unknown';
    const above = this.#parts.at(-1);
    if (above === undefined) {
      this.#parts.push({ own: undefined, firstLsn, lowest: number, reason: HoleReason.header, remains: [remains] });
    } else {
      const lost = above as Lost;
      // All that is between the two is lost in any case.
      if (number !== lost.lowest - 1) this.#answers.beginningOfLost(firstLsn + 1, lost.firstLsn);
      this.#parts[this.#parts.length - 1] = { ...lost, firstLsn, lowest: number, remains: [...lost.remains, remains] };
    }
    return this.#files.highestBelow(number, firstLsn);
  }
}

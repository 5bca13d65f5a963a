import type { Report } from './reports.js';

/** A promise that was broken. */
export interface Breach {
  readonly text: string;
  /** Acknowledged records that are not there as they were appended. */
  readonly lost: number;
}

/** What a log says that cannot be read any more. */
const UNREADABLE = new Set<string | undefined>([
  'WAL_BAD_HEADER',
  'WAL_CORRUPT',
  'WAL_NOT_FOUND',
  'WAL_UNSUPPORTED_VERSION',
]);

/** What a log owes, in one ledger or in several. */
export interface Accounts {
  /** How many records were acknowledged. */
  readonly acknowledged: number;
  /** Records that have to be there. */
  readonly owed: number;
  /** Takes everything that a life reported; ends with the first breach. */
  takeAll(life: number, reports: readonly Report[]): Breach | undefined;
  /** Takes one report of a life. */
  take(life: number, report: Report): Breach | undefined;
}

/** Records from `start` on are those of this life, up to where the next one's begin. */
interface Share {
  readonly life: number;
  readonly start: number;
}

/**
 * What a log owes: what it was asked to keep and has promised, drawn up from the reports of those who wrote to it. Each
 * report is held against it, and what contradicts it is a breach.
 *
 * Who owns an LSN follows from the openings alone: a life that found the log to end before an LSN has taken it from all
 * lives before, so a record with it is of the last such life, or there is none.
 */
export class Ledger implements Accounts {
  /** In the order of their starts. */
  readonly #shares: Share[] = [];
  /** Everything up to this LSN has to be there: acknowledged, or found when the log was opened. */
  #required = 0;
  /** The highest LSN that the log may begin with, and the lowest. */
  #firstAtMost = 1;
  #firstAtLeast = 1;
  #acknowledged = 0;
  /** Batches of which the next opening shows whether they were appended. */
  #batches: { readonly from: number; readonly to: number }[] = [];
  /** The LSN that the reading under way comes to next, and where it ends. */
  #reading: { next: number; readonly end: number } | undefined;

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The last LSN that has to be there; the one before the first when none has. */
  get required(): number {
    return this.#required;
  }

  get owed(): number {
    return Math.max(0, this.#required - this.#firstAtMost + 1);
  }

  takeAll(life: number, reports: readonly Report[]): Breach | undefined {
    this.#reading = undefined;
    for (const report of reports) {
      const breach = this.take(life, report);
      if (breach !== undefined) return breach;
    }
    return undefined;
  }

  take(life: number, report: Report): Breach | undefined {
    switch (report.what) {
      case 'opened':
        return this.#open(life, report.firstLsn, report.nextLsn);
      case 'held':
        return this.#hold(report.life, report.from, report.to);
      case 'checked':
        return this.#endReading();
      case 'batch':
        this.#batches.push(report);
        return undefined;
      case 'acknowledged':
        return this.#acknowledge(life, report.lsn);
      case 'truncating':
        this.#firstAtMost = Math.max(this.#firstAtMost, report.lsn);
        return undefined;
      case 'truncated':
        return this.#truncated(report.firstLsn);
      case 'full':
        return undefined;
      case 'differs':
        return {
          text: `the record with LSN ${report.lsn}: ${report.text}`,
          lost: report.lsn <= this.#required ? 1 : 0,
        };
      case 'wrong':
        return { text: report.text, lost: UNREADABLE.has(report.code) ? this.owed : 0 };
    }
  }

  #open(life: number, firstLsn: number, nextLsn: number): Breach | undefined {
    if (nextLsn <= this.#required) {
      const text = `records up to LSN ${this.#required} have to be there, and the log ends with ${nextLsn - 1}`;
      return { text, lost: this.#required - nextLsn + 1 };
    }
    const breach = this.#checkFirst(firstLsn);
    if (breach !== undefined) return breach;
    const half = this.#batches.find(({ from, to }) => from < nextLsn && nextLsn <= to);
    if (half !== undefined) {
      return {
        text: `of the batch with LSNs ${half.from} to ${half.to}, the log has those before ${nextLsn}`,
        lost: 0,
      };
    }
    // Each is whole, and never may go, or is not there, and its LSNs are given out again.
    this.#batches = [];
    while ((this.#shares.at(-1)?.start ?? 0) >= nextLsn) this.#shares.pop();
    if (this.#shares.at(-1)?.life !== life) this.#shares.push({ life, start: nextLsn });
    // What was found when the log was opened is durable, and never may go.
    this.#required = nextLsn - 1;
    this.#reading = { next: firstLsn, end: nextLsn };
    return undefined;
  }

  #hold(life: number, from: number, to: number): Breach | undefined {
    const reading = this.#reading;
    if (reading === undefined) return { text: 'records were read of a log that is not open', lost: 0 };
    if (from !== reading.next || to >= reading.end) {
      const text = `LSNs ${from} to ${to} were read where ${reading.next} to ${reading.end - 1} should follow`;
      return { text, lost: Math.abs(from - reading.next) };
    }
    reading.next = to + 1;
    for (let lsn = from; lsn <= to; lsn++) {
      const owner = this.#ownerOf(lsn);
      if (owner === life) continue;
      return {
        text: `the record with LSN ${lsn} is of life ${life} and should be of life ${owner}`,
        lost: to - lsn + 1,
      };
    }
    return undefined;
  }

  #endReading(): Breach | undefined {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined || reading.next === reading.end) return undefined;
    const text = `the log says that it ends with LSN ${reading.end - 1}, and reading ends before ${reading.next}`;
    return { text, lost: reading.end - reading.next };
  }

  #acknowledge(life: number, lsn: number): Breach | undefined {
    if (lsn <= this.#required) return undefined;
    const owner = this.#ownerOf(this.#required + 1);
    if (owner !== life) {
      return { text: `life ${life} was acknowledged LSN ${lsn}, which life ${owner} has`, lost: 0 };
    }
    this.#acknowledged += lsn - this.#required;
    this.#required = lsn;
    return undefined;
  }

  #truncated(firstLsn: number): Breach | undefined {
    const breach = this.#checkFirst(firstLsn);
    this.#firstAtLeast = Math.max(this.#firstAtLeast, firstLsn);
    return breach;
  }

  #checkFirst(firstLsn: number): Breach | undefined {
    if (firstLsn > this.#firstAtMost) {
      const text = `records from LSN ${this.#firstAtMost} on are needed, and the log begins with ${firstLsn}`;
      return { text, lost: Math.min(firstLsn, this.#required + 1) - this.#firstAtMost };
    }
    if (firstLsn < this.#firstAtLeast) {
      return { text: `the log was truncated to LSN ${this.#firstAtLeast}, and begins with ${firstLsn}`, lost: 0 };
    }
    return undefined;
  }

  #ownerOf(lsn: number): number | undefined {
    return this.#shares.findLast(({ start }) => start <= lsn)?.life;
  }
}

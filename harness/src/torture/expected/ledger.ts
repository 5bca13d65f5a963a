import type { LsnRange } from '@walstack/segmented';
import type { Report, SalvageNeeds } from '../reports.js';
import { CHECKPOINT, Claims, type FoundClaims } from './claims.js';
import { runOf } from './generations.js';

/** A promise that was broken. */
export interface Breach {
  readonly text: string;
  /** Acknowledged records that are not there as they were appended. */
  readonly lost: number;
}

/** What a log says that cannot be read any more. */
export const UNREADABLE = new Set<string | undefined>([
  'WAL_BAD_HEADER',
  'WAL_CORRUPT',
  'WAL_FOREIGN_DIRECTORY',
  'WAL_NOT_FOUND',
  'WAL_UNSUPPORTED_VERSION',
]);

/** What a log owes, in one ledger or in several. */
export interface Accounts {
  /** How many records were acknowledged. */
  readonly acknowledged: number;
  /** Records that have to be there. */
  readonly owed: number;
  /** Takes everything that a run reported; ends with the first breach. */
  takeAll(run: number, reports: readonly Report[]): Breach | undefined;
  /** Takes one report of a run. */
  take(run: number, report: Report): Breach | undefined;
  /** The power was cut behind what was reported so far: what was flushed only need not be there. */
  losePower(): void;
}

/** Records from `start` on are those of this generation, up to where the next one's begin. */
interface Share {
  readonly generation: number;
  readonly start: number;
}

/** What a cut leaves: nothing behind `lastLsn`, and nothing before `firstLsn`. */
interface Cut {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/**
 * What a log owes: what it was asked to keep and has promised, drawn up from the reports of the runs that wrote to it. Each
 * report is held against it, and what contradicts it is a breach.
 *
 * Which run owns an LSN follows from the openings alone: a run that found the log to end before an LSN has taken it from all
 * runs before, so a record with it is of the last such run, or there is none. A cut does the same within a run: what it
 * drops never comes back, and what is appended from then on is of another generation. A cut that was begun and not done has
 * happened when the log ends where it leaves it, and else it has not.
 */
export class Ledger implements Accounts {
  /** In the order of their starts. */
  readonly #shares: Share[] = [];
  /** Everything up to this LSN has to be there: acknowledged, or found when the log was opened. */
  #required = 0;
  /** Everything up to this LSN was flushed: it has to be there, too, unless the power is cut. */
  #flushed = 0;
  /** The highest LSN that the log may begin with, and the lowest. */
  #firstAtMost = 1;
  #firstAtLeast = 1;
  #acknowledged = 0;
  /** The last commit of puts that has to be there. */
  #committed = 0;
  /** The checkpoint, and the holds: nothing goes past these. */
  readonly #claims = new Claims();
  /** A cut that was begun: until it is done, or the log was opened, it may have happened. */
  #cut: Cut | undefined;
  /** Whose records come next. */
  #generation = 0;
  /** What salvage has to keep and to say, until the log was opened. */
  #salvage: SalvageNeeds | undefined;
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

  takeAll(run: number, reports: readonly Report[]): Breach | undefined {
    this.#reading = undefined;
    for (const report of reports) {
      const breach = this.take(run, report);
      if (breach !== undefined) return breach;
    }
    return undefined;
  }

  losePower(): void {
    this.#flushed = 0;
  }

  take(run: number, report: Report): Breach | undefined {
    switch (report.what) {
      case 'opened':
        return this.#open(run, report.firstLsn, report.nextLsn);
      case 'claims':
        return this.#find(report);
      case 'held':
        return this.#hold(report.run, report.from, report.to);
      case 'checked':
        return this.#endReading();
      case 'batch':
        this.#batches.push(report);
        return undefined;
      case 'acknowledged':
        return this.#acknowledge(run, report.lsn);
      case 'flushed':
        this.#flushed = Math.max(this.#flushed, report.lsn);
        return undefined;
      case 'committed':
        this.#committed = Math.max(this.#committed, report.count);
        return undefined;
      case 'commits':
        return this.#findCommit(report.count);
      case 'truncating':
        this.#firstAtMost = Math.max(this.#firstAtMost, Math.min(report.lsn, this.#claims.keptFrom));
        return undefined;
      case 'truncated':
        return this.#truncated(report.firstLsn);
      case 'cutting':
        this.#beginCut({ firstLsn: 1, lastLsn: report.lsn });
        return undefined;
      case 'cut':
        this.#endCut({ firstLsn: 1, lastLsn: report.lsn }, report.generation);
        return undefined;
      case 'resetting':
        this.#beginCut({ firstLsn: report.lsn, lastLsn: report.lsn - 1 });
        return undefined;
      case 'reset':
        this.#endCut({ firstLsn: report.lsn, lastLsn: report.lsn - 1 }, report.generation);
        return undefined;
      case 'claiming':
        this.#claims.begin(report.name, report.lsn);
        return undefined;
      case 'claimed':
        return this.#claimed(run, report.name, report.lsn);
      case 'damaged':
        this.#damaged(report);
        return undefined;
      case 'salvaged':
        return this.#salvaged(report.lost);
      case 'salvaging':
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

  #open(run: number, firstLsn: number, nextLsn: number): Breach | undefined {
    const generation = runOf(this.#generation) === run ? this.#generation : run;
    this.#generation = generation;
    const cut = this.#cut;
    this.#cut = undefined;
    if (cut !== undefined && this.#isLeftBy(cut, firstLsn, nextLsn)) this.#endCut(cut, generation);
    if (nextLsn <= this.#required) {
      const text = `records up to LSN ${this.#required} have to be there, and the log ends with ${nextLsn - 1}`;
      return { text, lost: this.#required - nextLsn + 1 };
    }
    if (nextLsn <= this.#flushed) {
      const text = `records up to LSN ${this.#flushed} were flushed, and the log ends with ${nextLsn - 1}`;
      return { text, lost: this.#flushed - nextLsn + 1 };
    }
    this.#flushed = 0;
    const salvage = this.#salvage;
    this.#salvage = undefined;
    if (salvage !== undefined && salvage.nextLsn !== nextLsn) {
      return {
        text: `salvage has to keep what is before LSN ${salvage.nextLsn}, and keeps that before ${nextLsn}`,
        lost: 0,
      };
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
    if (this.#shares.at(-1)?.generation !== generation) this.#shares.push({ generation, start: nextLsn });
    // What was found when the log was opened is durable, and never may go.
    this.#required = nextLsn - 1;
    this.#reading = { next: firstLsn, end: nextLsn };
    return undefined;
  }

  #beginCut(cut: Cut): void {
    this.#cut = cut;
    this.#claims.beginCut(cut.lastLsn);
  }

  /** A cut was done. Before it drops anything it makes everything durable. */
  #endCut({ firstLsn, lastLsn }: Cut, generation: number): void {
    this.#cut = undefined;
    this.#claims.cut(lastLsn);
    this.#acknowledged += Math.max(0, lastLsn - Math.max(this.#required, firstLsn - 1));
    this.#required = lastLsn;
    this.#flushed = 0;
    // What it leaves of a batch stays.
    this.#batches = [];
    this.#firstAtMost = Math.max(firstLsn, Math.min(this.#firstAtMost, lastLsn + 1));
    this.#firstAtLeast = Math.max(firstLsn, Math.min(this.#firstAtLeast, lastLsn + 1));
    while ((this.#shares.at(-1)?.start ?? 0) > lastLsn) this.#shares.pop();
    this.#shares.push({ generation, start: lastLsn + 1 });
    this.#generation = generation;
  }

  /** What salvage cannot keep is owed no more: it has happened, as it were, before the log is opened. */
  #damaged(needs: SalvageNeeds): void {
    this.#endCut({ firstLsn: needs.firstLsn, lastLsn: needs.nextLsn - 1 }, this.#generation);
    this.#salvage = needs;
  }

  /** Reported before the log is said to be open. All behind what is kept is lost, and before it what can be known to have been. */
  #salvaged(lost: readonly LsnRange[]): Breach | undefined {
    const { firstLsn, nextLsn, begun, lastLsn } = this.#salvage ?? { firstLsn: 0, nextLsn: 0, begun: 0, lastLsn: 0 };
    const behind = lost.filter(({ fromLsn }) => fromLsn >= nextLsn);
    const before = lost.filter(({ fromLsn }) => fromLsn < nextLsn);
    const isAll = behind.length === (nextLsn <= lastLsn ? 1 : 0);
    const isRight = isAll && behind.every(({ fromLsn, toLsn }) => fromLsn === nextLsn && toLsn === lastLsn);
    if (isRight && before.every(({ fromLsn, toLsn }) => fromLsn >= begun && toLsn < firstLsn)) return undefined;
    const was = `of ${begun} to ${lastLsn} it has to keep ${firstLsn} to ${nextLsn - 1}`;
    return { text: `salvage says that ${JSON.stringify(lost)} are lost, and ${was}`, lost: 0 };
  }

  /** Whether a log with this beginning and this end is what a cut leaves. */
  #isLeftBy(cut: Cut, firstLsn: number, nextLsn: number): boolean {
    if (nextLsn !== cut.lastLsn + 1) return false;
    // A reset that goes on with the next LSN anyway is known by what is left before it.
    return firstLsn >= cut.firstLsn && firstLsn <= Math.max(this.#firstAtMost, cut.firstLsn);
  }

  /** What stands before a hold, and up to the checkpoint, is durable. */
  #claimed(run: number, name: string, lsn: number | undefined): Breach | undefined {
    this.#claims.done(name, lsn);
    if (lsn === undefined) return undefined;
    if (name === CHECKPOINT) return this.#acknowledge(run, lsn);
    this.#firstAtMost = Math.min(this.#firstAtMost, lsn);
    return this.#acknowledge(run, lsn - 1);
  }

  #find(found: FoundClaims): Breach | undefined {
    const text = this.#claims.find(found);
    if (text !== undefined) return { text, lost: 0 };
    this.#firstAtMost = Math.min(this.#firstAtMost, ...Object.values(found.holds));
    return undefined;
  }

  /** What was found is durable. */
  #findCommit(count: number): Breach | undefined {
    const before = this.#committed;
    this.#committed = count;
    if (count >= before) return undefined;
    return { text: `${before} puts were committed for good, and the last commit there is of ${count}`, lost: 1 };
  }

  #hold(generation: number, from: number, to: number): Breach | undefined {
    const reading = this.#reading;
    if (reading === undefined) return { text: 'records were read of a log that is not open', lost: 0 };
    if (from !== reading.next || to >= reading.end) {
      const text = `LSNs ${from} to ${to} were read where ${reading.next} to ${reading.end - 1} should follow`;
      return { text, lost: Math.abs(from - reading.next) };
    }
    reading.next = to + 1;
    for (let lsn = from; lsn <= to; lsn++) {
      const owner = this.#ownerOf(lsn);
      if (owner === generation) continue;
      return {
        text: `the record with LSN ${lsn} is of ${nameOf(generation)} and should be of ${nameOf(owner)}`,
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

  #acknowledge(run: number, lsn: number): Breach | undefined {
    if (lsn <= this.#required) return undefined;
    const owner = this.#ownerOf(this.#required + 1);
    if (owner === undefined || runOf(owner) !== run) {
      return { text: `run ${run} was acknowledged LSN ${lsn}, which is of ${nameOf(owner)}`, lost: 0 };
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
    return this.#shares.findLast(({ start }) => start <= lsn)?.generation;
  }
}

function nameOf(generation: number | undefined): string {
  if (generation === undefined) return 'no run';
  const run = runOf(generation);
  return run === generation ? `run ${run}` : `run ${run} behind a cut (generation ${generation})`;
}

import type { Report } from '../reports.js';
import { type Accounts, type Breach, Ledger } from './ledger.js';

/** What a log of several cores owes: a ledger for each, in which its puts are counted 1, 2, 3 …, and stand for LSNs. */
export class CoreLedgers implements Accounts {
  readonly #ledgers = new Map<number, Ledger>();
  /** For reports on all cores together: nothing but failures. */
  readonly #common = new Ledger();

  get acknowledged(): number {
    return this.#sum(({ acknowledged }) => acknowledged);
  }

  get owed(): number {
    return this.#sum(({ owed }) => owed);
  }

  /** The ledgers of the cores with any report. */
  get cores(): ReadonlyMap<number, Ledger> {
    return this.#ledgers;
  }

  takeAll(run: number, reports: readonly Report[]): Breach | undefined {
    for (const report of reports) {
      const breach = this.take(run, report);
      if (breach !== undefined) return breach;
    }
    return undefined;
  }

  take(run: number, report: Report): Breach | undefined {
    if (report.core !== undefined) {
      const breach = this.#of(report.core).take(run, report);
      return breach && { ...breach, text: `core ${report.core}, by the numbers of its puts: ${breach.text}` };
    }
    const breach = this.#common.take(run, report);
    // What cannot be read any more is lost on every core.
    return breach && { ...breach, lost: this.#sum((ledger) => ledger.take(run, report)?.lost ?? 0) };
  }

  losePower(): void {
    for (const ledger of this.#ledgers.values()) ledger.losePower();
  }

  #of(core: number): Ledger {
    const known = this.#ledgers.get(core) ?? new Ledger();
    this.#ledgers.set(core, known);
    return known;
  }

  #sum(of: (ledger: Ledger) => number): number {
    return [...this.#ledgers.values()].reduce((sum, ledger) => sum + of(ledger), 0);
  }
}

import type { WalRecord } from '@walstack/segmented';
import type { Contents } from './contents.js';
import type { Report } from './reports.js';

/** Compares what is read from a log with what was appended to it, and reports it in runs, one for each life. */
export class Reading {
  readonly #contents: Contents;
  readonly #report: (report: Report) => void;
  #run: { life: number; from: number; to: number } | undefined;

  constructor(contents: Contents, report: (report: Report) => void) {
    this.#contents = contents;
    this.#report = report;
  }

  /** Takes the next record. */
  readonly take = (record: WalRecord): void => {
    const { lsn, type: life } = record;
    const problem = this.#contents.problemOf(record);
    if (problem !== undefined) this.#report({ what: 'differs', lsn, text: `it is of life ${life}, and ${problem}` });
    if (this.#run?.life === life && this.#run.to === lsn - 1) {
      this.#run.to = lsn;
      return;
    }
    this.#endRun();
    this.#run = { life, from: lsn, to: lsn };
  };

  /** Everything was read. */
  done(): void {
    this.#endRun();
    this.#report({ what: 'checked' });
  }

  #endRun(): void {
    if (this.#run !== undefined) this.#report({ what: 'held', ...this.#run });
    this.#run = undefined;
  }
}

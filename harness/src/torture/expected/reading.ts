import type { Report } from '../reports.js';
import type { Contents, ReadBack } from './contents.js';

/** Compares what is read from a log with what was appended to it, and reports it in runs, one for each life. */
export class Reading {
  readonly #contents: Contents;
  readonly #report: (report: Report) => void;
  #last = 0;
  #run: { life: number; from: number; to: number } | undefined;

  constructor(contents: Contents, report: (report: Report) => void) {
    this.#contents = contents;
    this.#report = report;
  }

  /** The LSN of the last record; 0 when there was none. */
  get last(): number {
    return this.#last;
  }

  /** Takes the next record. */
  readonly take = (record: ReadBack): void => {
    const { lsn, type: life } = record;
    this.#last = lsn;
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

import type { Report } from '../reports.js';
import type { Contents, ReadBack } from './contents.js';

/** Compares what is read from a log with what was appended to it, and reports it in ranges of LSNs, each of one run. */
export class Reading {
  readonly #contents: Contents;
  readonly #report: (report: Report) => void;
  #last = 0;
  #range: { run: number; from: number; to: number } | undefined;

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
    const { lsn, type: run } = record;
    this.#last = lsn;
    const problem = this.#contents.problemOf(record);
    if (problem !== undefined) this.#report({ what: 'differs', lsn, text: `it is of run ${run}, and ${problem}` });
    if (this.#range?.run === run && this.#range.to === lsn - 1) {
      this.#range.to = lsn;
      return;
    }
    this.#endRange();
    this.#range = { run, from: lsn, to: lsn };
  };

  /** Everything was read. */
  done(): void {
    this.#endRange();
    this.#report({ what: 'checked' });
  }

  #endRange(): void {
    if (this.#range !== undefined) this.#report({ what: 'held', ...this.#range });
    this.#range = undefined;
  }
}

import { type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';

/** Why a reading of a log ends early: the log is closed, or records of the reading are cut off. */
export class EarlyEnd {
  /** The last LSN that is to be read. */
  readonly #to: Lsn;
  readonly #firstLsn: () => Lsn;
  #closed: WalError | undefined;
  /** The last LSN left by a cut that removed records of this reading. */
  #cutLsn: Lsn | undefined;
  /** Aborts waiting for a key service; `undefined` while nothing waits. */
  #waiting: AbortController | undefined;

  /** @param firstLsn - the log's first LSN now */
  constructor(to: Lsn, firstLsn: () => Lsn) {
    this.#to = to;
    this.#firstLsn = firstLsn;
  }

  /** Aborted, with the reason, when the reading has to end. */
  get signal(): AbortSignal {
    this.#waiting ??= new AbortController();
    return this.#waiting.signal;
  }

  /** The error that ends the reading; `undefined` while it may continue. */
  get reason(): WalError | undefined {
    if (this.#closed !== undefined) return this.#closed;
    return this.#cutLsn === undefined ? undefined : cutWhileReading(this.#cutLsn, this.#firstLsn());
  }

  /** Whether the log or the reader was closed. */
  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** @param what - is closed: the log, or the reader itself */
  close(what: 'log' | 'reader'): void {
    this.#closed ??= closedWhileReading(what);
    this.#waiting?.abort(this.#closed);
  }

  /** Every record behind `lastLsn` was dropped, which matters to a reading that extends further. */
  cutAfter(lastLsn: Lsn): void {
    if (this.#to <= lastLsn) return;
    this.#cutLsn = Math.min(lastLsn, this.#cutLsn ?? lastLsn);
    this.#waiting?.abort(cutWhileReading(this.#cutLsn, this.#firstLsn()));
  }

  /** Runs a routine, and throws {@link reason} into it where it waits, so that it closes the files it has opened. */
  *unlessEnded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    for (let step = routine.next(0); ; ) {
      if (step.done === true) return step.value;
      const result = yield step.value;
      const { reason } = this;
      step = reason === undefined ? routine.next(result) : routine.throw(reason);
    }
  }
}

/** Records that were to be read were removed from the end of the log. */
export function cutWhileReading(lastLsn: Lsn, firstLsn: Lsn): WalError {
  const what = `the records behind LSN ${lastLsn} were removed from the log while it was being read: read it again`;
  return new WalError('WAL_TRUNCATED', what, { lsn: lastLsn + 1, firstLsn });
}

function closedWhileReading(what: 'log' | 'reader'): WalError {
  const message =
    what === 'log'
      ? 'the log was closed while it was being read: open it again'
      : 'the reader is closed: open another one';
  return new WalError('WAL_CLOSED', message, { state: 'closed' });
}

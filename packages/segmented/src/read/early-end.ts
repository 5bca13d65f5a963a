import { type Lsn, WalError } from '@walstack/codec';
import { type CallWatch, watchOf } from '@walstack/mmap-reader/internal';
import type { Watch } from '@walstack/storage-io/internal';

/**
 * Why a reading of a log ends early: the log is closed, records of the reading are cut off, or the signal of the call is
 * aborted.
 */
export class EarlyEnd {
  /** Ends the reading for the first of these reasons, and reports its progress. */
  readonly watch: Watch;
  /** The last LSN that is to be read. */
  readonly #to: Lsn;
  readonly #firstLsn: () => Lsn;
  #closed: WalError | undefined;
  /** The last LSN left by a cut that removed records of this reading. */
  #cutLsn: Lsn | undefined;
  /** Aborts waiting for a key service; `undefined` while nothing waits. */
  #waiting: AbortController | undefined;

  /**
   * @param firstLsn - the log's first LSN now
   * @param call - `undefined` when the call has no signal, and nothing is reported
   */
  constructor(to: Lsn, firstLsn: () => Lsn, call: CallWatch | undefined) {
    this.#to = to;
    this.#firstLsn = firstLsn;
    this.watch = watchOf(call, { reason: () => this.#reason });
  }

  /** Aborted, with the reason, when the reading has to end. */
  get signal(): AbortSignal {
    this.#waiting ??= new AbortController();
    return this.#waiting.signal;
  }

  /** Whether the log or the reader was closed. */
  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  get #reason(): WalError | undefined {
    if (this.#closed !== undefined) return this.#closed;
    return this.#cutLsn === undefined ? undefined : cutWhileReading(this.#cutLsn, this.#firstLsn());
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

import { callListener } from '@walstack/storage-io/internal';
import type { Environment } from '../../environment.js';

/** The log, as the idle marker uses it. */
export interface MarkableLog {
  /** A number that changes whenever something is appended. */
  readonly activity: () => number;
  /** Whether a mark would prove something that is not proven yet. */
  readonly wanted: () => boolean;
  readonly mark: () => void;
}

/**
 * Requests a mark when nothing was appended for a while. There is at most one timer at a time, however many syncs there are.
 */
export class IdleMarker {
  readonly #setTimer: Environment['setTimer'];
  readonly #delayMs: number;
  readonly #log: MarkableLog;
  #cancel: (() => void) | undefined;

  /** @param delayMs - time without appends, in milliseconds, after which a mark is written; 0 turns it off */
  constructor(setTimer: Environment['setTimer'], delayMs: number, log: MarkableLog) {
    this.#setTimer = setTimer;
    this.#delayMs = delayMs;
    this.#log = log;
  }

  /** Called after a sync. */
  arm(): void {
    if (this.#delayMs === 0 || this.#cancel !== undefined || !this.#log.wanted()) return;
    const before = this.#log.activity();
    this.#cancel = this.#setTimer(() => {
      this.#cancel = undefined;
      if (this.#log.activity() !== before) this.arm();
      else if (this.#log.wanted()) this.#log.mark();
    }, this.#delayMs);
  }

  stop(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    // What the timer of the application throws does not prevent the log from being closed.
    if (cancel !== undefined) callListener(cancel, undefined);
  }
}

import type { Environment } from '../environment.js';

/** What the timer asks and does. */
export interface MarkableLog {
  /** A number that changes whenever something is appended. */
  readonly activity: () => number;
  /** Whether a mark would tell something new. */
  readonly wanted: () => boolean;
  readonly mark: () => void;
}

/**
 * Calls for a mark once when the log has been quiet for a while. One timer at a time, however many syncs there are.
 */
export class IdleMarker {
  readonly #setTimer: Environment['setTimer'];
  readonly #delayMs: number;
  readonly #log: MarkableLog;
  #cancel: (() => void) | undefined;

  /** @param delayMs - how long is quiet; 0 turns it off */
  constructor(setTimer: Environment['setTimer'], delayMs: number, log: MarkableLog) {
    this.#setTimer = setTimer;
    this.#delayMs = delayMs;
    this.#log = log;
  }

  /** To be called after a sync. */
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
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

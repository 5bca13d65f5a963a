import { WalError } from '@walstack/codec';
import type { Environment, SegmentedWal } from '@walstack/segmented';
import { type BackgroundCalls, backgroundCallsOf } from '@walstack/segmented/internal';
import { callListener } from '@walstack/storage-io/internal';
import type { FlushSettings } from '../options.js';
import { NO_SPACE_DELAY_MS } from './room-retry.js';

/**
 * Writes appended records without a call of the application: when `flushBytes` are pending, or `flushDelayMs` after an
 * append. One flush at a time.
 */
export class BackgroundFlush {
  readonly #log: SegmentedWal;
  readonly #calls: BackgroundCalls;
  readonly #settings: FlushSettings;
  readonly #setTimer: Environment['setTimer'];
  readonly #flushed: () => void;
  #underWay = false;
  /** The delay ended during a flush, which may not cover the latest records: another flush follows. */
  #flushAgain = false;
  #cancel: (() => void) | undefined;
  #isEnded = false;

  /** @param flushed - called after each flush, which made room */
  constructor(log: SegmentedWal, settings: FlushSettings, setTimer: Environment['setTimer'], flushed: () => void) {
    this.#log = log;
    this.#calls = backgroundCallsOf(log);
    this.#settings = settings;
    this.#setTimer = setTimer;
    this.#flushed = flushed;
  }

  /** Must be called after every append. */
  appended(): void {
    if (this.#cancel === undefined) this.#cancel = this.#setTimer(this.#timeIsUp, this.#settings.flushDelayMs);
    if (!this.#underWay && this.#log.pendingBytes >= this.#settings.flushBytes) this.#flush();
  }

  /** Flushes nothing any more, as the log is being closed. */
  end(): void {
    this.#isEnded = true;
    this.#stop();
  }

  /** Cancels the scheduled flush. */
  #stop(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    // What the timer of the application throws does not prevent the log from being closed.
    if (cancel !== undefined) callListener(cancel, undefined);
  }

  readonly #timeIsUp = (): void => {
    this.#cancel = undefined;
    if (this.#underWay) this.#flushAgain = true;
    else this.#flush();
  };

  #flush(): void {
    this.#stop();
    this.#flushAgain = false;
    this.#underWay = true;
    this.#calls.flush().then(
      () => {
        this.#underWay = false;
        this.#flushed();
        if (this.#flushAgain || this.#log.pendingBytes >= this.#settings.flushBytes) this.#flush();
      },
      (error: unknown) => this.#failed(error),
    );
  }

  /**
   * The log has failed or was closed: no further flush. A failure is in the log's `failure`; the calls that wait for
   * durability or room are rejected with it when the next group fails, and if no call was, closing the log is.
   *
   * Where the disk has no room, it is tried again after a while.
   */
  #failed(error: unknown): void {
    if (this.#isEnded || !WalError.is(error, 'WAL_NO_SPACE') || this.#log.failure !== undefined) return;
    this.#underWay = false;
    this.#stop();
    this.#cancel = this.#setTimer(this.#timeIsUp, Math.max(this.#settings.flushDelayMs, NO_SPACE_DELAY_MS));
  }
}

import type { Environment, SegmentedWal } from '@walstack/segmented';
import type { FlushSettings } from '../options.js';

/**
 * Hands appended records to the operating system without being asked: when many bytes are pending, or some for a while.
 * One flush at a time.
 */
export class BackgroundFlush {
  readonly #log: SegmentedWal;
  readonly #settings: FlushSettings;
  readonly #setTimer: Environment['setTimer'];
  readonly #flushed: () => void;
  #underWay = false;
  /** The time was up while a flush was under way, which may not have what was appended behind it. */
  #due = false;
  #cancel: (() => void) | undefined;

  /** @param flushed - called after each flush: room was made */
  constructor(log: SegmentedWal, settings: FlushSettings, setTimer: Environment['setTimer'], flushed: () => void) {
    this.#log = log;
    this.#settings = settings;
    this.#setTimer = setTimer;
    this.#flushed = flushed;
  }

  /** To be called after an append. */
  appended(): void {
    if (this.#cancel === undefined) this.#cancel = this.#setTimer(this.#timeIsUp, this.#settings.flushDelayMs);
    if (!this.#underWay && this.#log.pendingBytes >= this.#settings.flushBytes) this.#flush();
  }

  /** Forgets that something is to be flushed in some time. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  readonly #timeIsUp = (): void => {
    this.#cancel = undefined;
    if (this.#underWay) this.#due = true;
    else this.#flush();
  };

  #flush(): void {
    this.stop();
    this.#due = false;
    this.#underWay = true;
    this.#log.flush().then(
      () => {
        this.#underWay = false;
        this.#flushed();
        if (this.#due || this.#log.pendingBytes >= this.#settings.flushBytes) this.#flush();
      },
      // Nothing is to be flushed any more. Why is in the log's `failure`, unless it was closed, and whoever waits for
      // durability or room hears it when the next group fails.
      () => {},
    );
  }
}

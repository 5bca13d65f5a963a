import type { SegmentedWal, World } from '@walstack/segmented';
import type { FlushSettings } from './options.js';

/**
 * Hands appended records to the operating system without being asked: when many bytes are pending, or some for a while.
 */
export class BackgroundFlush {
  readonly #log: SegmentedWal;
  readonly #settings: FlushSettings;
  readonly #setTimer: World['setTimer'];
  readonly #flushed: () => void;
  readonly #failed: () => void;
  #underWay = false;
  #cancel: (() => void) | undefined;

  /**
   * @param flushed - called after each flush
   * @param failed - called when one has failed; why is in the log's `failure`
   */
  constructor(
    log: SegmentedWal,
    settings: FlushSettings,
    setTimer: World['setTimer'],
    flushed: () => void,
    failed: () => void,
  ) {
    this.#log = log;
    this.#settings = settings;
    this.#setTimer = setTimer;
    this.#flushed = flushed;
    this.#failed = failed;
  }

  /** To be called after an append. */
  appended(): void {
    if (this.#underWay) return;
    if (this.#log.pendingBytes >= this.#settings.flushBytes) this.#flush();
    else this.#cancel ??= this.#setTimer(() => this.#flush(), this.#settings.flushDelayMs);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#underWay = true;
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#underWay) return;
    this.#underWay = true;
    this.#log.flush().then(
      () => {
        this.#underWay = false;
        this.#flushed();
      },
      () => this.#failed(),
    );
  }
}

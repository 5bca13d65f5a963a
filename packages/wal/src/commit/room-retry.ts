import type { Environment } from '@walstack/segmented';
import { callListener } from '@walstack/storage-io/internal';

/** How long to wait before records that found no room on the disk are written again, in milliseconds. */
export const NO_SPACE_DELAY_MS = 1000;

/** The longest delay of a timer of Node.js: it is never reached. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** Tries again to make records durable that found no room on the disk, once a second until there is some. */
export class RoomRetry {
  readonly #setTimer: Environment['setTimer'];
  readonly #retry: () => void;
  #cancel: (() => void) | undefined;
  #keepsAlive: NodeJS.Timeout | undefined;

  /** @param retry - must lead to {@link arm} where there is still no room, and else to {@link stop} */
  constructor(setTimer: Environment['setTimer'], retry: () => void) {
    this.#setTimer = setTimer;
    this.#retry = retry;
  }

  /**
   * Tries again after a second, if that is not going to happen anyway.
   *
   * @param isAwaited - whether a call waits for it, which keeps the process alive: timers of a log do not
   */
  arm(isAwaited: boolean): void {
    this.#cancel ??= this.#setTimer(() => {
      this.#cancel = undefined;
      this.#retry();
    }, NO_SPACE_DELAY_MS);
    if (isAwaited) this.#keepsAlive ??= setTimeout(() => {}, FOR_EVER_MS);
    else this.#letEnd();
  }

  /** Called when nothing waits for room any more. */
  stop(): void {
    this.#letEnd();
    const cancel = this.#cancel;
    this.#cancel = undefined;
    // What the timer of the application throws has no caller here.
    if (cancel !== undefined) callListener(cancel, undefined);
  }

  #letEnd(): void {
    clearTimeout(this.#keepsAlive);
    this.#keepsAlive = undefined;
  }
}

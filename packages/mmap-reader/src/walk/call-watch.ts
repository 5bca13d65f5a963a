import type { WalError } from '@walstack/codec';
import { invalidType } from '@walstack/codec/internal';
import {
  aborted,
  checkSignal,
  onAbort,
  TURN_MS,
  turnNumber,
  turnTime,
  type Watch,
} from '@walstack/storage-io/internal';

/**
 * What a call that reads a log is doing. `'verify'`: it reads all records and verifies their checksums. `'search'`: it
 * searches what is behind the last readable record for a proof that something acknowledged is missing. `'salvage'`: it reads
 * a damaged log for what can be kept. `'replay'`: it reads the entries of a per-core log to find its state. `'read'`: it
 * reads records that are returned.
 */
export type ProgressPhase = 'verify' | 'search' | 'salvage' | 'replay' | 'read';

/** How far a call is that reads a log. */
export interface WalProgress {
  readonly phase: ProgressPhase;
  /** Bytes of files that were read. It never decreases, and is `totalBytes` at the end of a call that succeeds. */
  readonly bytes: number;
  /** All bytes to be read, as far as that is known: it grows where something has to be read once more. */
  readonly totalBytes: number;
  /** Records that were read, those included that a filter leaves out. */
  readonly records: number;
}

/** Options of a call that may take long, as it reads a log. */
export interface LongCallOptions<Progress extends WalProgress = WalProgress> {
  /** Ends the call: it rejects with `WAL_ABORTED`, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Called with the progress at most once in each turn of the event loop that the call takes, and once at its end. An
   * error that it throws ends the call, which rejects with it. Default: not called.
   */
  readonly onProgress?: (progress: Progress) => void;
}

/** The names of the options of a long call. */
export const LONG_CALL_OPTIONS = ['signal', 'onProgress'] as const satisfies readonly (keyof LongCallOptions)[];

/** The options of a long call, checked. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkLongCall<Progress extends WalProgress>(
  signal: AbortSignal | undefined,
  onProgress: ((progress: Progress) => void) | undefined,
): LongCallOptions<Progress> {
  checkSignal(signal);
  checkOnProgress('onProgress', onProgress);
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
}

/** Returns a callback, or nothing. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkOnProgress<T>(name: string, onProgress: T): T {
  if (onProgress !== undefined && typeof onProgress !== 'function') throw invalidType(name, 'a function', onProgress);
  return onProgress;
}

/** The message of the error when a signal has ended a reading. */
export const READING_ABORTED = 'the reading was aborted: begin it again at the next LSN';

/** @throws `WAL_ABORTED` when the signal of a reading is aborted */
export function throwIfAborted({ signal }: LongCallOptions): void {
  if (signal?.aborted === true) throw aborted(signal, READING_ABORTED);
}

/** Ends a call with its signal, and reports its progress. */
export class CallWatch<Progress extends WalProgress = WalProgress> implements Watch {
  readonly listen: Watch['listen'];
  readonly #options: LongCallOptions<Progress>;
  readonly #message: string;
  readonly #progress: () => Progress;
  #isReported: boolean;
  #isOver = false;
  /** While something is changed that is to be done to its end. */
  #isHeld = false;
  /** The turn of the event loop in which progress was reported last. */
  #turn = turnNumber();
  #reportedAt = turnTime();

  /**
   * @param message - of the error when the signal ends the call
   * @param progress - returns how far the call is
   */
  constructor(options: LongCallOptions<Progress>, message: string, progress: () => Progress) {
    const { signal, onProgress } = options;
    this.#options = options;
    this.#message = message;
    this.#progress = progress;
    this.#isReported = onProgress !== undefined;
    this.listen = signal === undefined ? undefined : (wake) => listenTo(signal, wake);
  }

  /** A watch for options that have a signal or a callback; `undefined` for those that have none: nothing is to be done. */
  static for<Progress extends WalProgress>(
    options: LongCallOptions<Progress>,
    message: string,
    progress: () => Progress,
  ): CallWatch<Progress> | undefined {
    if (options.signal === undefined && options.onProgress === undefined) return undefined;
    return new CallWatch(options, message, progress);
  }

  /** Whether progress is reported: else nothing has to be counted for it. */
  get isReported(): boolean {
    return this.#isReported;
  }

  /** Whether {@link end} was called. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get reason(): WalError | undefined {
    const { signal } = this.#options;
    return signal?.aborted === true && !this.#isOver && !this.#isHeld ? aborted(signal, this.#message) : undefined;
  }

  /** @throws `WAL_ABORTED` when the signal has ended the call */
  throwIfEnded(): void {
    const { reason } = this;
    if (reason !== undefined) throw reason;
  }

  /** Reports where that is due. @throws `WAL_ABORTED`, and what the callback throws */
  beforeItem(): void {
    this.throwIfEnded();
    if (this.isReportDue) this.report();
  }

  /** Reports how far the call is. @throws what the callback throws */
  readonly report = (): void => {
    if (!this.#isReported) return;
    this.#turn = turnNumber();
    this.#reportedAt = turnTime();
    this.#options.onProgress?.(this.#progress());
  };

  /** Whether the event loop had its turn since progress was reported, and some milliseconds have passed. */
  get isReportDue(): boolean {
    return this.#isReported && !this.#isHeld && this.#turn !== turnNumber() && turnTime() - this.#reportedAt >= TURN_MS;
  }

  /** Reports that everything was read; from then on nothing is reported. @throws what the callback throws */
  readonly finish = (): void => {
    if (!this.#isReported) return;
    this.#isReported = false;
    const progress = this.#progress();
    this.#options.onProgress?.({ ...progress, bytes: progress.totalBytes });
  };

  /** While it is held, the signal is not seen, and nothing is reported. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
  }

  /** From now on the signal is not seen, and nothing is reported: what follows has to be done to its end. */
  end(): void {
    this.#isOver = true;
    this.#isReported = false;
  }
}

/** The watch of a call that something else ends as well, or that reports in another way. */
export function watchOf(
  call: CallWatch | undefined,
  own: { readonly reason?: () => unknown; readonly report?: () => void },
): Watch {
  return {
    get reason() {
      return own.reason?.() ?? call?.reason;
    },
    listen: call?.listen,
    get isReportDue() {
      return call?.isReportDue === true;
    },
    report: own.report ?? call?.report,
  };
}

/** Calls `wake` when a signal is aborted, at once when it is already. @returns a function that ends the listening */
export function listenTo(signal: AbortSignal, wake: () => void): () => void {
  if (!signal.aborted) return onAbort(signal, wake);
  wake();
  return () => {};
}

import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { announceFailure } from '../diagnostics.js';
import type { Settings } from '../options.js';
import type { Stall } from './stall.js';

/**
 * The first failure of a log. It is final: after a failed sync, a later successful one does not prove durable what the
 * kernel dropped, and only recovery can find out what the disk holds.
 */
export class FinalFailure {
  readonly #settings: Settings;
  readonly #stall: Stall;
  readonly #stop: () => void;
  #error: WalError | undefined;

  /**
   * @param stall - whose error is no failure
   * @param stop - ends what waits for anything in flight
   */
  constructor(settings: Settings, stall: Stall, stop: () => void) {
    this.#settings = settings;
    this.#stall = stall;
    this.#stop = stop;
  }

  /** `undefined` while there is none. */
  get error(): WalError | undefined {
    return this.#error;
  }

  /**
   * Records a final failure: from now on nothing is accepted.
   *
   * @returns the first failure
   */
  readonly fail = (error: unknown): WalError => {
    if (this.#error === undefined) {
      this.#error = WalError.is(error)
        ? error
        : new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
      announceFailure(this.#settings, this.#error);
    }
    this.#stop();
    return this.#error;
  };

  /** @throws an error with the code of the first failure */
  throwIfFailed(): void {
    if (this.#error === undefined) return;
    const { code, path, systemCode } = this.#error;
    throw new WalError(
      code,
      `the log has failed and accepts nothing any more (${this.#error.message}): open it again to recover what is ` +
        'really on the disk',
      { ...(path === undefined ? {} : { path }), ...(systemCode === undefined ? {} : { systemCode }) },
      { cause: this.#error },
    );
  }

  /** Runs a routine whose failure is final, unless it waits for room on the disk. */
  *guarded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    this.throwIfFailed();
    let result: T;
    try {
      result = yield* routine;
    } catch (error) {
      throw this.#isStall(error) ? error : this.fail(error);
    }
    // A background routine may have failed meanwhile.
    if (this.#error !== undefined) throw this.#error;
    return result;
  }

  /**
   * @param waiting - returns `false` after a failure, or while the log waits for room
   * @throws the first failure, or why the log waits
   */
  *unless(waiting: IoRoutine<boolean>): IoRoutine<void> {
    if (!(yield* waiting)) throw this.reason();
  }

  /** Why what was waited for has not come: the first failure, or why the log waits for room. Never without one, as after success. */
  reason(): WalError {
    return this.#error ?? this.#stall.error ?? this.fail(new Error('waiting has ended, and nothing has failed'));
  }

  #isStall(error: unknown): boolean {
    return this.#error === undefined && error !== undefined && error === this.#stall.error;
  }
}

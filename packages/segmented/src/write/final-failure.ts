import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { announceFailure } from '../diagnostics.js';
import type { Settings } from '../options.js';

/**
 * The first failure of a log. It is final: after a failed sync, a later successful one does not prove durable what the
 * kernel dropped, and only recovery can find out what the disk holds.
 */
export class FinalFailure {
  readonly #settings: Settings;
  readonly #stop: () => void;
  #error: WalError | undefined;

  /** @param stop - ends what waits for anything in flight */
  constructor(settings: Settings, stop: () => void) {
    this.#settings = settings;
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

  /** Runs a routine whose failure is final. */
  *guarded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    this.throwIfFailed();
    let result: T;
    try {
      result = yield* routine;
    } catch (error) {
      throw this.fail(error);
    }
    // A background routine may have failed meanwhile.
    if (this.#error !== undefined) throw this.#error;
    return result;
  }

  /** @param waiting - returns `false` after a failure. @throws the first failure */
  *unless(waiting: IoRoutine<boolean>): IoRoutine<void> {
    if (!(yield* waiting)) throw this.#error;
  }
}

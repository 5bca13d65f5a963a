import { WalError } from '@walstack/codec';

/**
 * The states of a log, in order; a log only goes forward. `'failed'` stands for `'running'` and `'draining'` once it has a
 * `failure`: it accepts nothing more, and is to be closed and opened again.
 */
export type WalState = 'init' | 'running' | 'draining' | 'failed' | 'closed';

/** The states that calls move a log to. */
type Stage = Exclude<WalState, 'failed'>;

const ORDER: readonly Stage[] = ['init', 'running', 'draining', 'closed'];

/** The state of one log; rejects the calls that the state does not allow. */
export class Lifecycle {
  readonly #path: string;
  #state: Stage = 'init';

  /** @param path - the directory of the log, which errors name */
  constructor(path: string) {
    this.#path = path;
  }

  get state(): Stage {
    return this.#state;
  }

  /** Moves to a later state; an earlier or the same state changes nothing. */
  advance(to: Stage): void {
    if (ORDER.indexOf(to) > ORDER.indexOf(this.#state)) this.#state = to;
  }

  /** @throws `WAL_CLOSED` or `WAL_STATE`, naming the state, unless the log is running */
  requireRunning(call: string): void {
    if (this.#state !== 'running') throw this.#refusal(call);
  }

  /** @throws `WAL_CLOSED` or `WAL_STATE`, naming the state, unless the log is running or draining */
  requireOpen(call: string): void {
    if (this.#state !== 'running' && this.#state !== 'draining') throw this.#refusal(call);
  }

  /** The error of a call that the closing of the log has ended. */
  closedError(message: string): WalError {
    return new WalError('WAL_CLOSED', message, { path: this.#path, state: 'closed' });
  }

  #refusal(call: string): WalError {
    const code = this.#state === 'closed' ? 'WAL_CLOSED' : 'WAL_STATE';
    const advice = this.#state === 'init' ? 'wait until it is open' : 'open it again';
    return new WalError(code, `${call}() is refused while the log is ${this.#state}: ${advice}`, {
      state: this.#state,
      operation: call,
    });
  }
}

import { invalidType, WalError, type WalErrorFacts } from '@walstack/codec';

/** What can be given up. */
export interface Abortable {
  /** Ends the waiting: what is waited for is rejected with `WAL_ABORTED`, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal;
}

/** @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  // Not `instanceof`: a signal may come from another realm.
  if (typeof signal === 'object' && signal !== null && typeof signal.aborted === 'boolean') return signal;
  throw invalidType('signal', 'an AbortSignal', signal);
}

/** What is thrown when a signal has ended something. */
export function aborted(signal: AbortSignal, message: string, facts: WalErrorFacts = {}): WalError {
  return new WalError('WAL_ABORTED', message, facts, { cause: signal.reason });
}

/** @throws `WAL_ABORTED` when the signal was aborted before */
export function throwIfAborted(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted === true) throw aborted(signal, message);
}

/** Waits for a promise, or until a signal is aborted. What is waited for goes on. */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  error: (signal: AbortSignal) => WalError,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(error(signal));
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

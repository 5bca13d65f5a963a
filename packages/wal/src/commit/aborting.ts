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
  if (isSignal(signal)) return signal;
  throw invalidType('signal', 'an AbortSignal', signal);
}

const isSignal = (value: Partial<AbortSignal> | null): value is AbortSignal =>
  typeof value === 'object' &&
  value !== null &&
  typeof value.aborted === 'boolean' &&
  typeof value.addEventListener === 'function' &&
  typeof value.removeEventListener === 'function';

/** What is thrown when a signal has ended something. */
export function aborted(signal: AbortSignal, message: string, facts: WalErrorFacts = {}): WalError {
  return new WalError('WAL_ABORTED', message, facts, { cause: signal.reason });
}

/** @throws `WAL_ABORTED` when the signal was aborted before */
export function throwIfAborted(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted === true) throw aborted(signal, message);
}

/** What listens to a signal, one listener for all of it: a signal looks through its listeners when one is added. */
const listening = new WeakMap<AbortSignal, Listening>();

interface Listening {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls a function once when a signal is aborted, which it is not yet. Any number of functions may listen to one signal,
 * and each costs the same.
 *
 * @returns what ends the listening
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let present = listening.get(signal);
  if (present === undefined) {
    const callbacks = new Set<() => void>();
    const listener = (): void => {
      listening.delete(signal);
      for (const each of callbacks) each();
    };
    present = { callbacks, listener };
    listening.set(signal, present);
    signal.addEventListener('abort', listener, { once: true });
  }
  const { callbacks, listener } = present;
  // Two calls may come with one function.
  const own = (): void => callback();
  callbacks.add(own);
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0 || listening.get(signal)?.callbacks !== callbacks) return;
    listening.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

/** Waits for a promise, or until a signal is aborted. What is waited for goes on. */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  error: (signal: AbortSignal) => WalError,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    let forget = (): void => {};
    if (signal.aborted) reject(error(signal));
    else forget = onAbort(signal, () => reject(error(signal)));
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (failure: unknown) => {
        forget();
        reject(failure);
      },
    );
  });
}

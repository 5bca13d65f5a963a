import { WalError, type WalErrorFacts } from '@walstack/codec';
import { invalidType } from '@walstack/codec/internal';

/** Returns a signal, or nothing. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
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

/** The error of a call that a signal has ended. */
export function aborted(signal: AbortSignal, message: string, facts: WalErrorFacts = {}): WalError {
  return new WalError('WAL_ABORTED', message, facts, { cause: signal.reason });
}

/** The callbacks of a signal, behind one listener: `addEventListener` searches all listeners, so many would be slow. */
const listening = new WeakMap<AbortSignal, Listening>();

interface Listening {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls a function once when a signal is aborted, which must not be aborted yet. Any number of functions can listen to one
 * signal, at the same cost for each.
 *
 * @returns a function that ends the listening
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
  // The same function may be registered twice: each registration needs an identity of its own.
  const own = (): void => callback();
  callbacks.add(own);
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0 || listening.get(signal)?.callbacks !== callbacks) return;
    listening.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

/**
 * Waits for a promise, or until a signal is aborted. The operation behind the promise continues.
 *
 * @param late - called with what the promise resolves to behind that
 */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  error: (signal: AbortSignal) => WalError,
  late?: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    let stopListening = (): void => {};
    let isAborted = false;
    const abort = (): void => {
      isAborted = true;
      reject(error(signal));
    };
    if (signal.aborted) abort();
    else stopListening = onAbort(signal, abort);
    promise.then(
      (value) => {
        stopListening();
        if (isAborted) late?.(value);
        else resolve(value);
      },
      (failure: unknown) => {
        stopListening();
        reject(failure);
      },
    );
  });
}

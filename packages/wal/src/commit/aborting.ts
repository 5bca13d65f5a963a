import { checkOptions } from '@walstack/codec/internal';
import { aborted, checkSignal } from '@walstack/storage-io/internal';

/** Options of a call that can be aborted. */
export interface Abortable {
  /** Ends the waiting: the call rejects with `WAL_ABORTED`, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Whether options have a signal, given as `undefined` perhaps. The log checks the other options. */
export function hasSignal(options: Abortable): boolean {
  return typeof options === 'object' && options !== null && 'signal' in options;
}

/** The signal of options that have nothing else. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function signalIn(options: Abortable): AbortSignal | undefined {
  return checkSignal(checkOptions('options', options, ['signal']).signal);
}

/** @throws `WAL_ABORTED` when the signal is aborted already */
export function throwIfAborted(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted === true) throw aborted(signal, message);
}

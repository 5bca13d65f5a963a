import { invalidType } from '@walstack/codec';

/**
 * Returns what an operation has returned that is done when it returns. A promise says that it is not: functions that are
 * `async` can be given where such an operation is wanted, and would count as done before they have begun.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`)
 */
export function requireDone<T>(operation: string, returned: T): T {
  if (typeof (returned as { then?: unknown } | null | undefined)?.then !== 'function') return returned;
  // It has failed already, whatever comes of it.
  Promise.resolve(returned).catch(() => {});
  throw invalidType(`what ops.${operation} returns`, 'no promise: it has to be done when it returns', returned);
}

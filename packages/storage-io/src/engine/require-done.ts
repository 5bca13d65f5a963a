import { invalidType } from '@walstack/codec/internal';

/**
 * Checks the return value of a synchronous operation, and returns it. An `async` function can be passed where a
 * synchronous one is expected; the promise that it returns would count as success before the work is done.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`)
 */
export function requireDone<T>(operation: string, returned: T): T {
  if (typeof (returned as { then?: unknown } | null | undefined)?.then !== 'function') return returned;
  // The operation counts as failed already; the outcome of the promise does not matter.
  Promise.resolve(returned).catch(() => {});
  throw invalidType(
    `what ops.${operation} returns`,
    'no promise: the operation has to be done when it returns',
    returned,
  );
}

import { WalError } from '@walstack/codec';

/** The error for a payload, meta or batch over its limit, in bytes. */
export function tooLarge(what: string, actual: number, limit: number, done = 'appended'): WalError {
  return new WalError(
    'WAL_TOO_LARGE',
    `a ${what} of ${actual} bytes is over the limit of ${limit}: nothing was ${done}`,
    { actual, limit },
  );
}

import { WalError, type WalErrorCode, type WalErrorFacts } from '@walstack/codec';
import { nameOfErrno, nameOfError, systemError } from './system-error.js';

/** Errors of the operating system with a `WalError` code of their own; all others are `WAL_IO_FAILED`. */
const CODES: Readonly<Record<string, WalErrorCode>> = {
  ENOENT: 'WAL_NOT_FOUND',
  ENOSPC: 'WAL_NO_SPACE',
  EDQUOT: 'WAL_NO_SPACE',
};

const ADVICE: Readonly<Partial<Record<WalErrorCode, string>>> = {
  WAL_NOT_FOUND: 'check the path',
  WAL_NO_SPACE: 'free some space, then open the log again',
  WAL_IO_FAILED: 'see the cause; what was acknowledged is recovered by opening the log again',
};

/** The {@link WalError} for a completion with a negative result. */
export function completionFailure(operation: string, path: string, result: number, facts?: WalErrorFacts): WalError {
  return failure(operation, path, nameOfErrno(result), systemError(result, operation, path), facts);
}

/** The {@link WalError} for what a plain call threw; a `WalError` is returned as it is. */
export function callFailure(operation: string, path: string, error: unknown, facts?: WalErrorFacts): WalError {
  if (WalError.is(error)) return error;
  return failure(operation, path, nameOfError(error), error, facts);
}

function failure(
  operation: string,
  path: string,
  systemCode: string,
  cause: unknown,
  facts: WalErrorFacts | undefined,
): WalError {
  const code = CODES[systemCode] ?? 'WAL_IO_FAILED';
  return new WalError(
    code,
    `${operation} of ${path} failed with ${systemCode}: ${ADVICE[code]}`,
    { ...facts, path, operation, systemCode },
    { cause },
  );
}

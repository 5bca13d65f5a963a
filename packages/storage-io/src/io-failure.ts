import { getSystemErrorMap } from 'node:util';
import { WalError, type WalErrorCode, type WalErrorFacts } from '@walstack/codec';

/** The operating system's errors that have a code of their own; all others are `WAL_IO_FAILED`. */
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

const nameOfErrno = (errno: number): string => getSystemErrorMap().get(errno)?.[0] ?? `errno ${-errno}`;

/** libuv's number, negative, for an error thrown by `node:fs` or a `WalError`; that of `EIO` when it has none. */
export function errnoOf(error: unknown): number {
  if (WalError.is(error)) return errnoNamed(error.systemCode ?? 'EIO');
  const errno = (error as NodeJS.ErrnoException | undefined)?.errno;
  if (typeof errno === 'number' && Number.isInteger(errno) && errno < 0) return errno;
  return errnoNamed((error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO');
}

/** libuv's number, negative, for a name such as `'EIO'`; that of `EIO` when this platform does not know the name. */
export function errnoNamed(name: string): number {
  let fallback = -5;
  for (const [errno, [known]] of getSystemErrorMap()) {
    if (known === name) return errno;
    if (known === 'EIO') fallback = errno;
  }
  return fallback;
}

/** The {@link WalError} for a completion with a negative result. */
export function completionFailure(operation: string, path: string, result: number, facts?: WalErrorFacts): WalError {
  return failure(operation, path, nameOfErrno(result), undefined, facts);
}

/** The {@link WalError} for what a plain call threw; a `WalError` is returned as it is. */
export function callFailure(operation: string, path: string, error: unknown, facts?: WalErrorFacts): WalError {
  if (WalError.is(error)) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return failure(operation, path, typeof code === 'string' ? code : 'EIO', error, facts);
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
    cause === undefined ? undefined : { cause },
  );
}

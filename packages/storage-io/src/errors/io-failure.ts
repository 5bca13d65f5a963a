import { WalError, type WalErrorCode, type WalErrorFacts } from '@walstack/codec';
import { nameOfErrno, nameOfError, systemError } from './system-error.js';

/** Errors of the operating system with a `WalError` code of their own; all others are `WAL_IO_FAILED`. */
const CODES: Readonly<Record<string, WalErrorCode>> = {
  ENOENT: 'WAL_NOT_FOUND',
  ENOSPC: 'WAL_NO_SPACE',
  EDQUOT: 'WAL_NO_SPACE',
};

const NO_PERMISSION =
  'this user has no permission for it; check the owner and the mode of the path and of the directories above it';
const NO_ROOM = 'free some space; where the log has failed, open it again then';
const TOO_MANY_FILES = 'too many files are open; close some, or raise the limit (ulimit -n)';

/** What to do, by the name of the error. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'check the path',
  ENOSPC: NO_ROOM,
  EDQUOT: NO_ROOM,
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
  EROFS: 'the file system is mounted read-only; use another directory, or open what is there only for reading',
  ENOTDIR: 'a part of the path is not a directory; check the path',
  EISDIR: 'there is a directory at the path; check the path',
  ENAMETOOLONG: 'the path, or a name in it, is too long; use a shorter one',
  ELOOP: 'too many symbolic links lead to the path; check them',
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
};
const OTHER_ADVICE = 'see the cause; what was acknowledged is recovered by opening the log again';

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
    `${operation} of ${path} failed with ${systemCode}: ${ADVICE[systemCode] ?? OTHER_ADVICE}`,
    { ...facts, path, operation, systemCode },
    { cause },
  );
}

import { type Lsn, WalError } from '@walstack/codec';
import { outOfRange } from '@walstack/codec/internal';

// The errors with which calls on a log are refused: nothing was changed.

export function closedError(directory: string, state: string): WalError {
  return new WalError('WAL_CLOSED', `the log in ${directory} is ${state}: open it again`, { path: directory, state });
}

export function readonlyError(directory: string): WalError {
  const what = "was opened with recoveryMode 'readonly': nothing was changed; open it without that to write";
  return new WalError('WAL_STATE', `the log in ${directory} ${what}`, { path: directory, state: 'readonly' });
}

export function insideBackup(directory: string): WalError {
  const what =
    'is calling onProgress, and goes on when that returns: nothing was changed; make the next backup behind it';
  return new WalError('WAL_STATE', `a backup of the log in ${directory} ${what}`, {
    path: directory,
    state: 'reporting',
  });
}

export function cutInProgress(directory: string): WalError {
  const what = 'a truncateAfter or resetTo is in progress: nothing was appended; await it first';
  return new WalError('WAL_STATE', what, { path: directory, state: 'truncating' });
}

export function withoutKeyRing(directory: string): WalError {
  const what = `the log in ${directory} has no key ring: open it with one, or set one first`;
  return new WalError('WAL_STATE', what, { path: directory, state: 'not-encrypted' });
}

export function tooLateForRing(directory: string): WalError {
  return new WalError(
    'WAL_STATE',
    `something was appended to the log in ${directory} already: set the key ring before the first append, or open the ` +
      'log with it',
    { path: directory, state: 'appended' },
  );
}

export function emptyBatch(): WalError {
  return new WalError('WAL_EMPTY_BATCH', 'the batch has no record: add one before appending it');
}

export function backpressure(pendingBytes: number, bytes: number, maxPendingBytes: number): WalError {
  return new WalError(
    'WAL_BACKPRESSURE',
    `${pendingBytes} bytes are pending and maxPendingBytes is ${maxPendingBytes}: nothing was appended; sync or flush first`,
    { limit: maxPendingBytes, actual: pendingBytes + bytes },
  );
}

/** The error for a payload, meta or batch over its limit, in bytes. */
export function tooLarge(what: string, actual: number, limit: number, done = 'appended'): WalError {
  return new WalError(
    'WAL_TOO_LARGE',
    `a ${what} of ${actual} bytes is over the limit of ${limit}: nothing was ${done}`,
    { actual, limit },
  );
}

export function behindNextLsn(name: string, lsn: Lsn, nextLsn: Lsn): RangeError {
  return outOfRange(name, `at most ${nextLsn}, the next LSN`, lsn);
}

export function behindLastLsn(lsn: Lsn, lastLsn: Lsn): RangeError {
  return outOfRange('lsn', `at most ${lastLsn}, the last LSN`, lsn);
}

export function usedUp(): WalError {
  return new WalError('WAL_RANGE', 'the log has no LSNs left: nothing was appended; begin a new log', {
    limit: Number.MAX_SAFE_INTEGER - 1,
  });
}

export function recordsPending(directory: string): WalError {
  return new WalError('WAL_STATE', `records in ${directory} are pending: the log cannot continue with another LSN`, {
    path: directory,
    state: 'pending',
  });
}

export function appendedMeanwhile(directory: string): WalError {
  const what =
    'the clock or the source of random bytes appended to the log or the batch, cut the log, or set its key ring: ' +
    'nothing else was appended; append again';
  return new WalError('WAL_STATE', what, { path: directory, state: 'appended' });
}

export function rollsBack(path: string): WalError {
  return new WalError('WAL_STATE', `records are pending for ${path}, which is sealed already`, { path, state: 'left' });
}

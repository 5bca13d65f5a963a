import { type Lsn, WalError, type WalErrorFacts } from '@walstack/codec';

const ADVICE = 'nothing was changed; restore the file, or a copy of the log';

/** Something acknowledged is lost or damaged. */
export function corruption(path: string, reason: string, what: string, facts: WalErrorFacts = {}): WalError {
  return new WalError('WAL_CORRUPT', `${path}: ${what}; ${ADVICE}`, { ...facts, path, reason });
}

/** A record that had been acknowledged cannot be read. */
export function lostRecord(path: string, offset: number, lsn: Lsn, reason: string, proof: string): WalError {
  return corruption(path, reason, `the record with LSN ${lsn} at offset ${offset} cannot be read, but ${proof}`, {
    offset,
    lsn,
  });
}

/** What was asked for is not in the log any more. */
export function truncated(lsn: Lsn, firstLsn: Lsn): WalError {
  return new WalError('WAL_TRUNCATED', `LSN ${lsn} was removed from the log, which now begins with ${firstLsn}`, {
    lsn,
    firstLsn,
  });
}

/** What was read before is not in the log any more: it was cut off behind `lsn − 1`. */
export function cutBack(lsn: Lsn, lastRead: Lsn): WalError {
  return new WalError(
    'WAL_TRUNCATED',
    `the log was cut off behind LSN ${lsn - 1}, and had been read up to LSN ${lastRead}: read it again from LSN ${lsn}`,
    { lsn, reason: 'cut-back' },
  );
}

/** The file of a segment has got a new life, which only one that was removed from the log gets. */
export function recycled(path: string, lsn: Lsn): WalError {
  const what = `${path} was removed from the log, and its file is used again`;
  return new WalError('WAL_TRUNCATED', what, { path, lsn, reason: 'recycled' });
}

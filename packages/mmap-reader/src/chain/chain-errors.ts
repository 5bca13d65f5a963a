import { type Checkpoint, type Lsn, WalError, type WalErrorFacts } from '@walstack/codec';

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

/**
 * Whether the checkpoint proves records durable that would be dropped: it is never written before the LSNs in it, the
 * checkpoint's own and those of holds, are durable.
 *
 * @param droppedFrom - the first LSN that would be dropped
 * @returns the reason and the proof; `undefined` when the checkpoint proves nothing
 */
export function provenByCheckpoint(
  checkpoint: Checkpoint | undefined,
  droppedFrom: Lsn,
): { readonly reason: string; readonly proof: string } | undefined {
  if (checkpoint === undefined) return undefined;
  const { checkpointLsn, holds } = checkpoint;
  if (checkpointLsn >= droppedFrom) {
    return { reason: 'hole-before-checkpoint', proof: `the checkpoint has LSN ${checkpointLsn}` };
  }
  const hold = Object.entries(holds).find(([, lsn]) => lsn > droppedFrom);
  if (hold === undefined) return undefined;
  return { reason: 'hole-before-hold', proof: `the hold ${JSON.stringify(hold[0])} has LSN ${hold[1]}` };
}

/** The requested record is no longer in the log. */
export function truncated(lsn: Lsn, firstLsn: Lsn): WalError {
  return new WalError('WAL_TRUNCATED', `LSN ${lsn} was removed from the log, which now begins with ${firstLsn}`, {
    lsn,
    firstLsn,
  });
}

/**
 * What was read before is no longer in the log.
 *
 * @param lsn - what was read from this LSN on was cut off, or may have been
 * @param firstLsn - of the log as it is now
 */
export function cutBack(lsn: Lsn, lastRead: Lsn, firstLsn: Lsn): WalError {
  const from = Math.max(lsn, firstLsn);
  const what = lsn === 1 ? 'what had been read of the log' : `the log was cut off after LSN ${lsn - 1}, and`;
  const read = lsn === 1 ? `, up to LSN ${lastRead}, is not in it any more` : ` had been read up to LSN ${lastRead}`;
  const where = from > lsn ? `it begins with LSN ${from} now` : `read it again from LSN ${lsn}`;
  return new WalError('WAL_TRUNCATED', `${what}${read}: ${where}`, { lsn, firstLsn, reason: 'cut-back' });
}

/**
 * What was to be read next is no longer in the log, and perhaps what was read before is not either.
 *
 * @param lsn - everything from this LSN on was cut off, or may have been
 */
export function cutWhileRead(lsn: Lsn, nextLsn: Lsn, firstLsn: Lsn): WalError {
  const what = `the log was cut off while it was read, before LSN ${nextLsn}: read it again`;
  return new WalError('WAL_TRUNCATED', what, { lsn, firstLsn, reason: 'cut-back' });
}

/** The file of a segment was reused for another segment, which happens only after the segment was removed from the log. */
export function recycled(path: string, lsn: Lsn): WalError {
  const what = `${path} was removed from the log, and its file is reused`;
  return new WalError('WAL_TRUNCATED', what, { path, lsn, reason: 'recycled' });
}

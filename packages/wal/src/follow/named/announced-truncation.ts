import { join } from 'node:path';
import { FileName, type Lsn, WalError } from '@walstack/codec';
import type { ReadFrom } from '@walstack/mmap-reader';
import { readChainFrom } from '@walstack/mmap-reader/internal';
import type { Environment } from '@walstack/segmented';
import { type IoRoutine, runAsync, type StorageIo } from '@walstack/storage-io';
import { isHeld } from '@walstack/storage-io/internal';

/** A log that another process writes. */
interface LogElsewhere extends Pick<Environment, 'setTimer'> {
  readonly io: StorageIo;
  readonly directory: string;
}

/** So often a follower looks whether a truncation is settled: twice as long after each look, from a millisecond to 8 s, 16 s in all. */
const LOOKS = 15;

/** Where the log begins when a truncation that is announced is done, for a reader from there on. @throws `WAL_TRUNCATED` */
export function* firstWhenSettled(io: StorageIo, directory: string, from: ReadFrom): IoRoutine<Lsn> {
  return (yield* readChainFrom(io, directory, from, undefined, undefined, { countsAnnounced: true })).firstWanted;
}

/** Why a record is not in the log; `undefined` while it is, also when a truncation of it is announced. */
export function* removalOf(io: StorageIo, directory: string, from: ReadFrom): IoRoutine<WalError | undefined> {
  try {
    yield* readChainFrom(io, directory, from);
    return undefined;
  } catch (error) {
    if (WalError.is(error, 'WAL_TRUNCATED')) return error;
    throw error;
  }
}

/**
 * Waits while a truncation of a record is announced: the writer may have read the followers before one of them has stored that it
 * needs the record, and then it removes it; or it sees the position, and takes the truncation back. Of a writer that was killed
 * nothing is removed: the next opening takes the truncation back.
 *
 * The wait is bounded: a truncation that is given up stays announced while the disk is full, and the room may be what the follower
 * acknowledges.
 *
 * @param ended - ends the wait
 * @returns why the record was removed; `undefined` when it was not
 */
export async function removedWhenSettled(
  log: LogElsewhere,
  lsn: Lsn,
  ended: AbortSignal,
): Promise<WalError | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    const seen = await runAsync(log.io, looking(log, lsn));
    if (seen !== 'announced') return seen === 'kept' ? undefined : seen;
    if (look < LOOKS - 1) await pause(log, 2 ** look, ended);
    if (ended.aborted) return undefined;
  }
  return undefined;
}

/** What becomes of a record; `'announced'` while that is not known. */
function* looking({ io, directory }: LogElsewhere, lsn: Lsn): IoRoutine<'kept' | 'announced' | WalError> {
  // First: what a writer has removed until its end is seen behind that.
  const isWritten = !io.capabilities.realFiles || isHeld(join(directory, FileName.lock)) !== false;
  try {
    yield* firstWhenSettled(io, directory, lsn);
    return 'kept';
  } catch (error) {
    if (!WalError.is(error, 'WAL_TRUNCATED')) throw error;
  }
  return (yield* removalOf(io, directory, lsn)) ?? (isWritten ? 'announced' : 'kept');
}

async function pause({ setTimer }: LogElsewhere, ms: number, ended: AbortSignal): Promise<void> {
  if (ended.aborted) return;
  let cancel: (() => void) | undefined;
  let end: (() => void) | undefined;
  try {
    await new Promise<void>((resolve) => {
      end = () => resolve();
      ended.addEventListener('abort', end, { once: true });
      cancel = setTimer(end, ms);
    });
  } finally {
    if (end !== undefined) ended.removeEventListener('abort', end);
    if (ended.aborted) cancel?.();
  }
}

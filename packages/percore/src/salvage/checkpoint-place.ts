import { WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { type DualModeRoutine, wait } from '../core/dual-mode-routine.js';

/** Which entry ends at a position. */
interface EntryBefore {
  /** Its LSN; `undefined` when no entry of the log ends there. */
  readonly before: number | undefined;
  /** The finding, for the message of an error. */
  readonly what: string;
}

/** Finds which entry of a log ends at a position. */
export function* entryBefore(log: SegmentedWal, position: number): DualModeRoutine<EntryBefore> {
  try {
    const before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
    return { before, what: `position ${position} is the end of LSN ${before}` };
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE') && !WalError.is(error, 'WAL_TRUNCATED')) throw error;
    return { before: undefined, what: error.message };
  }
}

/** The position after an entry of the log, found by binary search. */
export function* endPositionOf(log: SegmentedWal, lsn: number): DualModeRoutine<number> {
  let low = log.listSegments()[0]?.firstPosition ?? 0;
  let high = log.position;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (yield* endsAtOrBefore(log, lsn, middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function* endsAtOrBefore(log: SegmentedWal, lsn: number, position: number): DualModeRoutine<boolean> {
  try {
    const before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
    return before >= lsn;
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE')) throw error;
    return (error.lsn ?? 0) > lsn;
  }
}

/** The error when a log does not have the place of the last checkpoint. */
export function notThere(log: SegmentedWal, lsn: number, what: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the checkpoint covers LSN ${lsn} of core ${log.coreId}, but its log does not have it there: ${what}; nothing but torn tails was cut off`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}

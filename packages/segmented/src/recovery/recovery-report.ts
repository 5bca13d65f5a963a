import type { Lsn, WalError } from '@walstack/codec';

/** How a log is opened that was not closed cleanly. */
export type RecoveryMode = 'strict' | 'salvage' | 'readonly';

export const RECOVERY_MODES: readonly RecoveryMode[] = ['strict', 'salvage', 'readonly'];

/**
 * Why the log was changed by opening it, or would have been: it was made (`'created'`), was closed cleanly (`'clean'`) and
 * is as it was, was not closed (`'unclosed'`), ended with a torn tail (`'torn-tail'`), or something acknowledged was lost
 * (`'salvaged'`).
 */
export type RecoveryReason = 'created' | 'clean' | 'unclosed' | 'torn-tail' | 'salvaged';

/** A stretch of LSNs, both ends included. */
export interface LsnRange {
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
}

/** What salvage has given up. */
export interface SalvageReport {
  /** What `'strict'` would have thrown: file, offset, LSN and reason. */
  readonly damage: WalError;
  /**
   * Records that were in the log and are not any more, as far as traces of them were found: before the first one kept, and
   * behind the last one. What had been truncated or cut off, and what files of other logs hold, is not among them.
   */
  readonly lost: readonly LsnRange[];
  /** The directory for the files that are not part of the log any more, with the file `salvage`, which holds this report. */
  readonly quarantine: string;
  /** The names of these files. */
  readonly quarantined: readonly string[];
}

/** What opening a log found and did. */
export interface RecoveryReport {
  readonly mode: RecoveryMode;
  readonly reason: RecoveryReason;
  /** Whether the log was made new. */
  readonly created: boolean;
  /** Whether the log had been closed cleanly. */
  readonly cleanlyClosed: boolean;
  /** Segments of the log that hold records or marks from before. */
  readonly segments: number;
  /** Records kept. */
  readonly records: number;
  readonly firstLsn: Lsn;
  /** The last record kept; `firstLsn − 1` when there is none. */
  readonly lastLsn: Lsn;
  /**
   * Bytes cut off at the end of the newest segment, of which nothing had been acknowledged: a torn tail, and in a file that
   * had an earlier life what that has left, as the two cannot be told apart. With `'readonly'`, bytes that would be.
   */
  readonly cutBytes: number;
  /** What was lost; `undefined` unless `reason` is `'salvaged'`. */
  readonly salvage: SalvageReport | undefined;
}

/** The facts that a report is made of. */
export type RecoveryFacts = Omit<RecoveryReport, 'lastLsn' | 'reason' | 'salvage'> & {
  readonly nextLsn: Lsn;
  readonly salvage?: SalvageReport;
};

export function reportOf({ nextLsn, salvage, ...facts }: RecoveryFacts): RecoveryReport {
  return Object.freeze({ ...facts, lastLsn: nextLsn - 1, reason: reasonOf(facts, salvage), salvage });
}

function reasonOf(facts: Omit<RecoveryFacts, 'nextLsn'>, salvage: SalvageReport | undefined): RecoveryReason {
  if (salvage !== undefined) return 'salvaged';
  if (facts.created) return 'created';
  if (facts.cutBytes > 0) return 'torn-tail';
  return facts.cleanlyClosed ? 'clean' : 'unclosed';
}

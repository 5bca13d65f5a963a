import type { Lsn, WalError } from '@walstack/codec';
import type { Hole } from '@walstack/mmap-reader';

/** How a log is opened that was not closed cleanly. */
export type RecoveryMode = 'strict' | 'salvage' | 'skip-corrupt' | 'readonly';

export const RECOVERY_MODES: readonly RecoveryMode[] = ['strict', 'salvage', 'skip-corrupt', 'readonly'];

/** Whether a log that cannot be opened otherwise is salvaged. */
export const salvages = (mode: RecoveryMode): boolean => mode === 'salvage' || mode === 'skip-corrupt';

/**
 * What opening found: the log was created (`'created'`), had been closed cleanly and was not changed (`'clean'`), had not
 * been closed (`'unclosed'`), ended with a torn tail (`'torn-tail'`), or had lost something acknowledged (`'salvaged'`).
 */
export type RecoveryReason = 'created' | 'clean' | 'unclosed' | 'torn-tail' | 'salvaged';

/** A range of LSNs, both ends included. */
export interface LsnRange {
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
}

/** What salvage has taken out of the log. */
export interface SalvageReport {
  /** The error that `'strict'` would have thrown: file, offset, LSN and reason. */
  readonly damage: WalError;
  /**
   * Records that are lost, as far as traces of them were found: before the first kept record, behind the last one, and with
   * `'skip-corrupt'` between them: the holes that it has made.
   * Records that had been truncated or cut off, and those of other logs, are not included.
   */
  readonly lost: readonly LsnRange[];
  /**
   * The directory for the files that are not part of the log any more, with the file `salvage`, which holds this
   * report.
   */
  readonly quarantine: string;
  /**
   * The names of these files in the directory. With `'skip-corrupt'` the log has other files with the names of damaged segments; the
   * second file of a name has a number appended.
   */
  readonly quarantined: readonly string[];
}

/** The result of opening a log: what recovery found and did. */
export interface RecoveryReport {
  readonly mode: RecoveryMode;
  readonly reason: RecoveryReason;
  /** Whether a new log was created. */
  readonly created: boolean;
  /** Whether the log had been closed cleanly. */
  readonly cleanlyClosed: boolean;
  /** The number of existing segments that are part of the log. */
  readonly segments: number;
  /** Records kept. */
  readonly records: number;
  readonly firstLsn: Lsn;
  /** The last record kept, or the last one lost in a hole behind it; `firstLsn − 1` when there is none. */
  readonly lastLsn: Lsn;
  /**
   * Bytes cut off at the end of the newest segment, of which nothing had been acknowledged: a torn tail. In a recycled file
   * this includes the remaining bytes of its earlier segment, as the two cannot be distinguished. With `'readonly'`, the
   * bytes that would be cut off.
   */
  readonly cutBytes: number;
  /**
   * The records that are missing between the first and the last one, in ascending order: a salvage with `'skip-corrupt'` has
   * gone around them, in this opening or an earlier one.
   */
  readonly holes: readonly Hole[];
  /** The report of salvage; `undefined` unless `reason` is `'salvaged'`. */
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

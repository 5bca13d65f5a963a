import type { EntryCounts } from '../core/core-state.js';
import type { RecoveredCore } from './recovered-logs.js';

/** What recovery found in the log of one core, behind the last checkpoint. */
export interface CoreStatistics extends EntryCounts {
  readonly coreId: number;
  /** Entries that are taken, barriers included. */
  readonly entries: number;
  /** Entries that are left, since their epochs are not complete or not asked for. */
  readonly entriesLeft: number;
  /** The first LSN behind the last checkpoint, and the last that is taken; one less when there is none. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** The highest epoch of an entry in the log. */
  readonly lastEpoch: number;
  /** The last epoch of which nothing can come behind what is in this log. */
  readonly barrierEpoch: number;
  /** The core had been taken away. */
  readonly left: boolean;
  /** Whether the log had been closed cleanly. */
  readonly cleanlyClosed: boolean;
  /** Bytes cut off at the end: a torn tail, of which nothing had been acknowledged. */
  readonly cutBytes: number;
}

/** What a recovered log comes to. A frozen snapshot. */
export function statisticsOf({ coreId, log, before, whole, taken }: RecoveredCore): CoreStatistics {
  return Object.freeze({
    ...taken.counts,
    coreId,
    entries: taken.lsn - before.lsn,
    entriesLeft: whole.lsn - taken.lsn,
    firstLsn: before.lsn + 1,
    lastLsn: taken.lsn,
    lastEpoch: whole.epoch,
    barrierEpoch: whole.barrierEpoch,
    left: whole.left,
    cleanlyClosed: log.recovery.cleanlyClosed,
    cutBytes: log.recovery.cutBytes,
  });
}

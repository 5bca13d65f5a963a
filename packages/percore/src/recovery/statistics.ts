import type { EntryCounts } from '../core/core-state.js';
import type { RecoveredCore } from './recovered-logs.js';

/** What recovery found in the log of one core after the last checkpoint. */
export interface CoreStatistics extends EntryCounts {
  readonly coreId: number;
  /** Entries that are taken, barriers included. */
  readonly entries: number;
  /** Entries that are not taken, because their epochs are not complete or not asked for. */
  readonly entriesLeft: number;
  /** The first LSN after the last checkpoint, and the last LSN that is taken; one less than the first when there is none. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** The highest epoch of an entry in the log. */
  readonly lastEpoch: number;
  /** The last epoch that ends in this log: no later entry can belong to it. */
  readonly barrierEpoch: number;
  /** The core was retired. */
  readonly retired: boolean;
  /** Whether the log was closed cleanly. */
  readonly cleanlyClosed: boolean;
  /** Bytes cut off at the end: a torn tail, of which nothing was acknowledged. */
  readonly cutBytes: number;
}

/** The statistics of a recovered log, frozen. */
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
    retired: whole.retired,
    cleanlyClosed: log.recovery.cleanlyClosed,
    cutBytes: log.recovery.cutBytes,
  });
}

import type { TruncateResult } from '@walstack/segmented';
import type { Committed } from '../commits/commit.js';
import type { CommitPlaces } from '../commits/commit-ledger.js';

/** The positions and LSNs that the log of one core has reached. */
export interface CorePlace {
  readonly coreId: number;
  /** The position after the last entry, in bytes of the core's log. */
  readonly position: number;
  /** Every entry before it survives a crash. */
  readonly syncedPosition: number;
  /** The LSN of the last entry. */
  readonly lastLsn: number;
  /** Everything up to this LSN survives a crash. */
  readonly durableLsn: number;
  readonly entriesSinceSync: number;
}

/** The barrier of an epoch in the log of one core, durable. */
export interface DurableBarrier {
  readonly lsn: number;
  /** The position after the barrier. */
  readonly position: number;
  readonly timestampUs: number;
  /** What was committed before it. */
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
  /** It is the last barrier of a retired core, appended in this epoch or an earlier one. */
  readonly retired: boolean;
}

/** The log of one core as epochs and checkpoints use it, of a retired core too. */
export interface CheckpointedCore {
  readonly coreId: number;
  /** Appends the barrier of an ended epoch unless the log has it, and makes it durable with everything before it. */
  endEpoch(epoch: number): Promise<DurableBarrier>;
  /** Removes what was committed before the barrier with an LSN; the manifest without it is durable already. */
  forgetCommitted(lsn: number): Promise<void>;
  /** Removes the segments whose entries are all before an LSN. */
  truncateBefore(lsn: number): Promise<TruncateResult>;
  /** Makes everything durable and closes the log. */
  close(): Promise<void>;
}

/** The log of a core that takes part, with its writer in the same thread or in a worker. */
export interface ActiveCore extends CheckpointedCore {
  /**
   * Appends the last barrier of the core again, for an epoch of which no log has a barrier: all cores have appended their last one
   * before. Durable then: else the number of that epoch would be used again.
   */
  repeatLastBarrier(epoch: number): Promise<DurableBarrier>;
  /** Makes everything appended so far durable. */
  sync(): Promise<CorePlace>;
  place(): Promise<CorePlace>;
}

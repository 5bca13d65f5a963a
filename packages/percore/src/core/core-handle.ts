import type { TruncateResult } from '@walstack/segmented';
import type { Committed } from './commit.js';
import type { CommitPlaces } from './commit-ledger.js';

/** Where the log of one core stands. */
export interface CorePlace {
  readonly coreId: number;
  /** Behind the last entry, in bytes of the core's log. */
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
  /** Behind it. */
  readonly position: number;
  readonly timestampUs: number;
  /** What had been committed before it. */
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
  /** The core had appended its last barrier before. */
  readonly left: boolean;
}

/** The log of one core as its manager sees it, whichever thread it is in. */
export interface Core {
  readonly coreId: number;
  /** Has the barrier of an epoch that has ended in the log, and makes it durable with everything before it. */
  endEpoch(epoch: number): Promise<DurableBarrier>;
  /** Makes everything appended so far durable. */
  sync(): Promise<CorePlace>;
  place(): Promise<CorePlace>;
  /** Forgets what was committed before the barrier with an LSN: it is forgotten durably already. */
  forgetCommitted(lsn: number): Promise<void>;
  /** Removes segments that hold nothing but entries before an LSN. */
  truncateBefore(lsn: number): Promise<TruncateResult>;
  /** Makes everything durable and closes the log. */
  close(): Promise<void>;
}

import type { Lsn } from '@walstack/codec';
import type { SegmentedWalStats } from '@walstack/segmented';
import type { WalState } from './lifecycle.js';

/** Counters and sizes of a log since it was opened. A frozen snapshot. */
export interface WalStats extends SegmentedWalStats {
  readonly state: WalState;
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly durableLsn: Lsn;
  /** Bytes of all segment files. */
  readonly sizeBytes: number;
  /** Resolved commits, and other resolved calls that waited for an LSN to be durable. */
  readonly commits: number;
  /** Commits that wait for durability. */
  readonly waitingCommits: number;
  /** Commits and `ready()` calls that wait for room in memory. */
  readonly waitingForRoom: number;
}

import type { Checkpoint, Lsn } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { ActiveSegment } from '../segments/active-segment.js';

/** The state of the log that a writer starts with: as recovery left it, or new. */
export interface LogStart {
  readonly logId: Uint8Array;
  /** `undefined` in a log that belongs to no core. */
  readonly coreId: number | undefined;
  /** Sealed segments of the chain, from the oldest to the newest. */
  readonly sealed: readonly Segment[];
  /**
   * An empty segment whose name is durable, or the one that was closed cleanly, in which the log goes on; `undefined` when the
   * next append plans one.
   */
  readonly active: ActiveSegment | undefined;
  readonly nextLsn: Lsn;
  /** Everything up to it survives a crash. Default: every record. */
  readonly durableLsn?: Lsn;
  /** The number of the next segment. */
  readonly nextNumber: number;
  readonly checkpoint: Checkpoint | undefined;
  /** Whether the checkpoint is known to be durable. Default `true`. */
  readonly checkpointIsDurable?: boolean;
  /** Names of the free segment files. */
  readonly free: readonly string[];
  /** Size of the reserve that is there; 0 when there is none. Default 0. */
  readonly reservedBytes?: number;
  /** The LSN from which on the log is encrypted; `undefined` while it is not known, as there is no ring. */
  readonly encryptedFrom?: Lsn | undefined;
}

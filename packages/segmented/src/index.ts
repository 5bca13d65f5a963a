/**
 * A write-ahead log in a directory of segment files: append, roll, sync, recover, truncate, replay.
 *
 * How a log works: `SegmentedWal.open` locks the directory and reads every segment. Before it changes anything it decides
 * whether the end of the log is a torn tail, of which nothing had been acknowledged, or whether something acknowledged is
 * lost, which is `WAL_CORRUPT`. It makes the kept records durable, writes a mark behind them and continues in a new
 * segment. `append` encodes into memory; `sync` seals the checksums of everything encoded in one pass, writes it in one
 * piece and makes it durable. A record that would make the segment longer than `segmentBytes` goes to the next segment,
 * whose file the next sync creates. When the log is idle, and when it is closed, a mark states that everything before it
 * is durable.
 *
 * @packageDocumentation
 */

export { type CompressionOptions, type EncryptionKey, KeyRing, type KeySource } from '@walstack/codec';
export type {
  Hole,
  HoleCause,
  LongCallOptions,
  OnHole,
  OnTruncated,
  ProgressPhase,
  ReadFrom,
  ResumePoint,
  SkippedRecords,
  WalProgress,
  WalRecord,
} from '@walstack/mmap-reader';

export type { AppendOptions } from './append/record-body.js';
export type { BackupOptions, BackupProgress, BackupReport } from './backup/backup-options.js';
export { Batch } from './batch.js';
export type { CloseOptions } from './closing.js';
export type { ErrorMessage, LogMessage, RecycleMessage, RollMessage, TypedChannel } from './diagnostics.js';
export { type Environment, systemEnvironment } from './environment.js';
export type { FollowerState, FollowerStats, KeptFor } from './followers/follower-stats.js';
export type { FollowerMessage } from './followers/followers.js';
export {
  type CautionMessage,
  channels,
  type OpenMessage,
  type RecoverMessage,
  type TruncateMessage,
} from './log-diagnostics.js';
export type { Preallocation, SegmentedWalConfig } from './options.js';
export type { QuarantinePosition, UnreadablePart } from './quarantine/quarantine-reader.js';
export {
  type QuarantineReplay,
  type ReplayQuarantineOptions,
  replayQuarantine,
} from './quarantine/replay-quarantine.js';
export type { LogReader, ReadOptions } from './read/log-reader.js';
export {
  type CheckedFilter,
  checkFilter,
  type Filtered,
  type RecordFilter,
  type ScopeFilter,
} from './read/record-filter.js';
export type { Replay, ReplayPage } from './read/replay.js';
export type {
  LsnRange,
  RecoveryMode,
  RecoveryReason,
  RecoveryReport,
  SalvageReport,
} from './recovery/recovery-report.js';
export { SegmentedWal } from './segmented-wal.js';
export type { SegmentMeta } from './segments/segment.js';
export type { SegmentedWalStats } from './stats.js';
export type { Reserve } from './write/allocation/disk-reserve.js';
export type { Preparation } from './write/allocation/segment-allocator.js';
export type { TruncateResult } from './write/allocation/segment-removal.js';

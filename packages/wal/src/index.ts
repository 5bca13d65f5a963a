/**
 * A write-ahead log for Node.js.
 *
 * ```ts
 * const wal = await Wal.open('data/orders');
 * const lsn = await wal.commit('paid 17');          // durable when it resolves
 * await wal.replay('first', (event) => apply(event)); // after a restart
 * await wal.shutdown();
 * ```
 *
 * Commits that wait at the same time share one write and one sync. After a crash `open` finds everything that was
 * acknowledged, drops the torn tail of what was not, and refuses with `WAL_CORRUPT` when something acknowledged is lost.
 *
 * @packageDocumentation
 */

export {
  type CompressionOptions,
  type EncryptionKey,
  KeyRing,
  type KeySource,
  type Lsn,
  WalError,
  type WalErrorCode,
  type WalErrorFacts,
} from '@walstack/codec';
export {
  type AppendOptions,
  type BackupOptions,
  type BackupProgress,
  type BackupReport,
  Batch,
  type CautionMessage,
  type ErrorMessage,
  type FollowerMessage,
  type FollowerState,
  type FollowerStats,
  type Hole,
  type HoleCause,
  type KeptFor,
  type LogMessage,
  type LongCallOptions,
  type LsnRange,
  type OnHole,
  type OnTruncated,
  type OpenMessage,
  type ProgressPhase,
  type QuarantinePosition,
  type QuarantineReplay,
  type ReadFrom,
  type ReadOptions,
  type RecoverMessage,
  type RecoveryMode,
  type RecoveryReason,
  type RecoveryReport,
  type RecycleMessage,
  type ReplayQuarantineOptions,
  type ResumePoint,
  type RollMessage,
  replayQuarantine,
  type SalvageReport,
  type SegmentMeta,
  type SkippedRecords,
  type TruncateMessage,
  type TruncateResult,
  type TypedChannel,
  type UnreadablePart,
  type WalProgress,
} from '@walstack/segmented';
export type { Abortable } from './commit/aborting.js';
export type { CommitOptions } from './commit/committer.js';
export type { EventBatch } from './commit/event-batch.js';
export { type CommitMessage, channels } from './diagnostics.js';
export type {
  Encoding,
  EncodingName,
  InputOf,
  PayloadInput,
  PayloadOf,
  WalEvent,
  WalIterator,
} from './encoding.js';
export type { MappedEvent } from './event-map.js';
export type { WalFollower } from './follow/follow.js';
export type { FollowDirectoryOptions } from './follow/follow-directory.js';
export type { FollowFrom, FollowOptions } from './follow/follow-options.js';
export type { NamedOptions, StoreEvery } from './follow/named/named-options.js';
export type { ImportOptions, ImportReport } from './import/import-options.js';
export type { WalState } from './lifecycle.js';
export type { Preset, WalOptions } from './options.js';
export type { WalReadOptions } from './reading.js';
export type {
  EventSchemas,
  SchemaError,
  SchemaInputs,
  SchemaIssue,
  SchemaOutputs,
  SchemaResult,
  StandardSchema,
} from './schema.js';
export type { WalStats } from './stats.js';
export { type EventMapBatch, type EventMapWal, Wal, type WalBuilder } from './wal.js';

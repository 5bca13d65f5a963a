/**
 * A write-ahead log with one writer for each core. Every writer has a log of its own, in a thread of its own, and never
 * waits for another writer; recovery returns the entries of all of them in one order.
 *
 * The life of such a log: `PerCoreWalManager.open` recovers the log of every core and opens one writer for each, in the
 * calling thread or in a worker thread. Writers append puts, deletes and commits of offsets, and sync independently. Their
 * entries are ordered by the **epoch**, a number in shared memory that each entry carries. `endEpoch` advances it and
 * appends a barrier to every log where the old epoch ends; when all barriers are durable, the epoch is complete.
 * `checkpoint` also has the application make a snapshot, records it in a manifest, and removes the entries that the
 * snapshot replaces. After a crash `PerCoreRecovery` returns the last checkpoint and the entries after it, merged as a
 * stream.
 *
 * @packageDocumentation
 */

export type { LongCallOptions, ProgressPhase, WalProgress } from '@walstack/mmap-reader';
export type { Committed, Offsets } from './commits/commit.js';
export type { CorePlace } from './core/core-handle.js';
export type { EntryCounts } from './core/core-state.js';
export { CoreWalWriter, type NewEntry } from './core/core-wal-writer.js';
export type { CoreWalWriterOptions } from './core/core-writer-options.js';
export type {
  CheckpointEntry,
  CommitEntry,
  CoreEntry,
  DeleteEntry,
  EntryPlace,
  EpochBarrierEntry,
  PutEntry,
} from './core/entries/entry.js';
export type { Barrier } from './core/epochs/barrier-history.js';
export { SharedEpochs } from './core/epochs/epochs.js';
export type { TakeSnapshot, TruncatedLogs } from './manager/checkpoint-coordinator.js';
export { CheckpointCoordinator } from './manager/checkpoint-coordinator.js';
export type { CoreWorkers, PerCoreWalConfig } from './manager/manager-config.js';
export { PerCoreWalManager } from './manager/per-core-wal-manager.js';
export type { ConfigureCore, CoreConfig, CoreContext, CoreProgram } from './manager/worker.js';
export type {
  Incomplete,
  LogOptions,
  ModuleReference,
  PerCoreRecoveryMode,
  PerCoreRecoveryOptions,
} from './options.js';
export { compareEntries } from './recovery/core-merge.js';
export type { MergedEntries } from './recovery/entries-of-all-cores.js';
export type { CheckpointPlace, PerCoreCheckpoint } from './recovery/manifest.js';
export { type EntriesOptions, PerCoreRecovery } from './recovery/per-core-recovery.js';
export {
  PerCoreWalReader,
  type PerCoreWalReaderOptions,
  type ReaderStop,
} from './recovery/per-core-wal-reader.js';
export type { CoreStatistics } from './recovery/statistics.js';
export type { LostEntries, PerCoreSalvage } from './salvage/salvage-note.js';

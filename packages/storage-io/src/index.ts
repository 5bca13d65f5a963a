/**
 * Storage I/O by submission and completion: one contract, {@link StorageIo}, and its implementations.
 *
 * - **Backends**: {@link createIoUringStorageIo}, {@link createThreadPoolStorageIo} and {@link createSyncFsStorageIo} on
 *   real files, {@link createMemoryStorageIo} in memory, and {@link openStorageIo}, which chooses.
 * - **A backend of your own** is a small set of functions, given to {@link fromSyncFileOps} or {@link
 *   fromAsyncFileOps}; `@walstack/storage-io/conformance` tests it.
 * - **Sharing one backend**: the {@link CompletionRouter} is the only one that polls, and hands each completion to its
 *   owner.
 * - **Work of several steps** is an {@link IoRoutine}, written once with the {@link ioSteps} and driven with promises
 *   ({@link runAsync}) or blocking the calling thread ({@link runSync}).
 * - **Tear-safe appends to one file**, and nothing else: {@link PortableWalWriter}, and {@link readFrames}.
 *
 * What is durable and what is not: a write is not durable when it completes, unless it was submitted as durable; a
 * datasync makes durable what had completed before it; a name is durable once its directory was synced.
 *
 * @packageDocumentation
 */
export { type RingStats, type RingSupport, ringSupport } from '@walstack/native';
export type { FileSystem } from './backends/file-system.js';
export { createIoUringStorageIo } from './backends/io-uring/io-uring.js';
export { type IoUringOptions, ioUringPresets } from './backends/io-uring/options.js';
export { createMemoryStorageIo, type MemoryStorageIoOptions } from './backends/memory/memory.js';
export { MemoryDisk } from './backends/memory/memory-disk.js';
export { nodeFsNamespace } from './backends/node-fs/node-fs-namespace.js';
export { createSyncFsStorageIo } from './backends/node-fs/sync-fs.js';
export { createThreadPoolStorageIo } from './backends/node-fs/thread-pool.js';
export {
  type OpenStorageIoOptions,
  openStorageIo,
  type StorageIoName,
  type StorageIoNeeds,
} from './backends/open-storage-io.js';
export { CompletionBuffer } from './completion-buffer.js';
export type {
  AsyncFileOps,
  Done,
  DoneWithCount,
  FileNamespaceOps,
  FileOpsOptions,
  OpenFlags,
  SyncFileOps,
} from './engine/file-ops.js';
export { fromAsyncFileOps, fromSyncFileOps } from './engine/from-file-ops.js';
export { callFailure, completionFailure } from './errors/io-failure.js';
export { lockPath } from './lock/lock-file.js';
export {
  PortableWalWriter,
  type PortableWalWriterStats,
} from './portable/portable-wal-writer.js';
export { type Frame, type Frames, type ReadFramesOptions, readFrames } from './portable/read-frames.js';
export type { FrameRecovery } from './portable/recover-frames.js';
export type { PortableWalWriterOptions } from './portable/writer-options.js';
export { type CompletionOwner, CompletionRouter } from './routines/completion-router.js';
/** The steps of which routines are made: each submits one operation, and continues when it has completed. */
export * as ioSteps from './routines/io-operations.js';
export {
  drive,
  type Ended,
  type IoCondition,
  type IoRoutine,
  type IoStep,
  type Outcome,
  runAsync,
  runSync,
} from './routines/routine.js';
export type {
  IoFile,
  IoStat,
  IoToken,
  OpenOptions,
  StorageIo,
  StorageIoCapabilities,
  StorageIoStats,
  WriteOptions,
} from './storage-io.js';

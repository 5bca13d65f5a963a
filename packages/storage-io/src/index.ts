/**
 * Storage I/O by submission and completion: one contract, {@link StorageIo}, and what is needed to keep it.
 *
 * - **Backends**: {@link createIoUringStorageIo}, {@link createThreadPoolStorageIo} and {@link createSyncFsStorageIo} on
 *   real files, {@link createMemoryStorageIo} in memory, and {@link openStorageIo}, which chooses.
 * - **A backend of your own** is a handful of functions, given to {@link fromSyncFileOps} or {@link fromAsyncFileOps};
 *   `@walstack/storage-io/conformance` tests it.
 * - **Sharing one backend**: the {@link CompletionRouter} polls alone, and hands each completion to its
 *   owner.
 * - **Work of several steps** is an {@link IoRoutine}, written once out of the {@link ioSteps} and driven with promises
 *   ({@link runAsync}) or in the calling thread ({@link runSync}); a {@link RoutineQueue} runs them one after another.
 * - **Tear-safe appends to one file**, and nothing else: {@link PortableWalWriter}, and {@link readFrames}.
 *
 * What is durable and what is not: a write is not durable when it completes, unless it was submitted as durable; a
 * datasync makes durable what had completed before it; a name is durable once its directory was synced.
 *
 * @packageDocumentation
 */
export { type RingStats, type RingSupport, ringSupport } from '@walstack/native';
export { CompletionBuffer } from './completion-buffer.js';
export { type CompletionOwner, CompletionRouter } from './completion-router.js';
export type {
  AsyncFileOps,
  Done,
  DoneWithCount,
  FileNamespaceOps,
  FileOpsOptions,
  OpenFlags,
  SyncFileOps,
} from './file-ops.js';
export type { FileSystem } from './file-system.js';
export { fromAsyncFileOps, fromSyncFileOps } from './from-file-ops.js';
export { callFailure, completionFailure } from './io-failure.js';
export {
  drive,
  type Ended,
  type IoCondition,
  type IoRoutine,
  type IoStep,
  ROOM,
  requireWait,
  runAsync,
  runSync,
  waitForProgress,
} from './io-routine.js';
export * as ioSteps from './io-steps.js';
export { createIoUringStorageIo } from './io-uring.js';
export { type IoUringOptions, ioUringPresets } from './io-uring-options.js';
export { lockPath } from './lock-file.js';
export { createMemoryStorageIo, type MemoryStorageIoOptions } from './memory.js';
export { MemoryWorld } from './memory-world.js';
export { nodeFsNamespace } from './node-fs-namespace.js';
export {
  type OpenStorageIoOptions,
  openStorageIo,
  type StorageIoName,
  type StorageIoNeeds,
} from './open-storage-io.js';
export {
  PortableWalWriter,
  type PortableWalWriterStats,
} from './portable/portable-wal-writer.js';
export { type Frame, type Frames, type ReadFramesOptions, readFrames } from './portable/read-frames.js';
export type { FrameRecovery } from './portable/recover-frames.js';
export type { PortableWalWriterOptions } from './portable/writer-options.js';
export { RoutineQueue } from './routine-queue.js';
export { closeFile, kindOf, makeDirectories, replaceFile } from './small-files.js';
export { afterStep } from './steps-under-way.js';
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
export { createSyncFsStorageIo } from './sync-fs.js';
export { errnoNamed, errnoOf } from './system-error.js';
export { createThreadPoolStorageIo } from './thread-pool.js';

import type { StorageIo } from '../storage-io.js';
import { AsyncExecutor } from './async-executor.js';
import { type AsyncFileOps, checkFileOps, type FileOpsOptions, type SyncFileOps } from './file-ops.js';
import { FileOpsStorageIo } from './file-ops-storage-io.js';
import { SyncExecutor } from './sync-executor.js';

/**
 * Makes a whole {@link StorageIo} of a handful of synchronous functions. Work is done inside `submit*`, so the backend
 * can wait, and blocks the thread while it works.
 *
 * Arguments are checked, files known by identity, short writes finished, interrupted calls repeated, and completions
 * kept until they are polled: the operations need to do none of it.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when an operation is missing, `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function fromSyncFileOps<Handle>(ops: SyncFileOps<Handle>, options: FileOpsOptions = {}): StorageIo {
  checkFileOps(ops);
  return new FileOpsStorageIo(ops, options, (submissions) => new SyncExecutor(ops, submissions));
}

/**
 * Makes a whole {@link StorageIo} of a handful of functions whose data operations call back, as those of `node:fs` do.
 * The thread is never blocked by them, and cannot wait for them.
 *
 * Beyond what {@link fromSyncFileOps} does: a file is not closed or cut while an operation on it is under way, appends to
 * one file are carried out one after another, and an append behind one that failed fails as well, unwritten.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when an operation is missing, `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function fromAsyncFileOps<Handle>(ops: AsyncFileOps<Handle>, options: FileOpsOptions = {}): StorageIo {
  checkFileOps(ops);
  return new FileOpsStorageIo(ops, options, (submissions) => new AsyncExecutor(ops, submissions));
}

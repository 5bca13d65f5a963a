import type { StorageIo } from '../storage-io.js';
import { AsyncExecutor } from './async-executor.js';
import { type AsyncFileOps, checkFileOps, type FileOpsOptions, type SyncFileOps } from './file-ops.js';
import { FileOpsStorageIo } from './file-ops-storage-io.js';
import { SyncExecutor } from './sync-executor.js';

/**
 * Makes a whole {@link StorageIo} from a small set of synchronous functions. The work is done inside `submit*`, so the
 * backend can wait, and blocks the thread while it works.
 *
 * The backend checks arguments, knows files by identity, finishes short writes, repeats interrupted calls, and keeps
 * completions until they are polled: the operations need to do none of this.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when an operation is missing, `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function fromSyncFileOps<Handle>(ops: SyncFileOps<Handle>, options: FileOpsOptions = {}): StorageIo {
  checkFileOps(ops);
  return new FileOpsStorageIo(ops, options, (submissions) => new SyncExecutor(ops, submissions));
}

/**
 * Makes a whole {@link StorageIo} from a small set of functions whose data operations call back, as those of `node:fs`
 * do. They never block the thread; without `wait` it cannot block for them either.
 *
 * In addition to what {@link fromSyncFileOps} does: a file is not closed or truncated while an operation on it is in
 * flight, appends to one file are carried out one after another, and an append queued after one that failed fails as
 * well, unwritten.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when an operation is missing, `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function fromAsyncFileOps<Handle>(ops: AsyncFileOps<Handle>, options: FileOpsOptions = {}): StorageIo {
  checkFileOps(ops);
  return new FileOpsStorageIo(ops, options, (submissions) => new AsyncExecutor(ops, submissions));
}

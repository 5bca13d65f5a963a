import { close, constants, fdatasync, fsync, ftruncate, open, read, unlink, write } from 'node:fs';
import type { AsyncFileOps, Done, FileOpsOptions } from '../../engine/file-ops.js';
import { fromAsyncFileOps } from '../../engine/from-file-ops.js';
import type { StorageIo } from '../../storage-io.js';
import { nodeFsNamespace } from './node-fs-namespace.js';

const OPS: AsyncFileOps<number> = {
  ...nodeFsNamespace,
  name: 'thread-pool',
  read: (fd, into, offset, done) => read(fd, into, 0, into.length, offset, done),
  write: (fd, data, offset, done) => write(fd, data, 0, data.length, offset, done),
  datasync: (fd, done) => fdatasync(fd, done),
  truncate: (fd, bytes, done) => ftruncate(fd, bytes, done),
  remove: (path, done) => unlink(path, done),
  syncDirectory,
};

/**
 * A backend on the callback functions of `node:fs`, which libuv carries out in its thread pool. It works everywhere and
 * never blocks the event loop, but cannot wait: a callback cannot run while its thread is blocked.
 *
 * Only four operations run at a time in one process, over all backends and everything else that uses the pool, unless
 * `UV_THREADPOOL_SIZE` is set.
 */
export function createThreadPoolStorageIo(options?: FileOpsOptions): StorageIo {
  return fromAsyncFileOps(OPS, options);
}

function syncDirectory(path: string, done: Done): void {
  if (process.platform === 'win32') {
    // Windows has no way to sync a directory.
    setImmediate(done);
    return;
  }
  open(path, constants.O_RDONLY | constants.O_DIRECTORY, (openError, fd) => {
    if (openError) {
      done(openError);
      return;
    }
    fsync(fd, (syncError) => close(fd, (closeError) => done(syncError ?? closeError)));
  });
}

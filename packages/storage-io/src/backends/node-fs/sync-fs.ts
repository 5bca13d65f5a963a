import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { FileOpsOptions, SyncFileOps } from '../../engine/file-ops.js';
import { fromSyncFileOps } from '../../engine/from-file-ops.js';
import type { StorageIo } from '../../storage-io.js';
import { nodeFsNamespace } from './node-fs-namespace.js';

const OPS: SyncFileOps<number> = {
  ...nodeFsNamespace,
  name: 'sync-fs',
  read: (fd, into, offset) => readSync(fd, into, 0, into.length, offset),
  write: (fd, data, offset) => writeSync(fd, data, 0, data.length, offset),
  datasync: (fd) => fdatasyncSync(fd),
  truncate: (fd, bytes) => ftruncateSync(fd, bytes),
  remove: (path) => unlinkSync(path),
  syncDirectory: (path) => {
    // Windows has no way to sync a directory.
    if (process.platform === 'win32') return;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};

/**
 * A backend on the synchronous calls of `node:fs`. It works everywhere, can wait, and blocks its thread while the disk
 * works.
 */
export function createSyncFsStorageIo(options?: FileOpsOptions): StorageIo {
  return fromSyncFileOps(OPS, options);
}

import { fdatasyncSync, ftruncateSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { fromSyncFileOps, nodeFsNamespace, type StorageIo } from '@walstack/storage-io';

/** Real files behind a backend that can wait, and how many of them are open. */
export class CountedFiles {
  open = 0;
  readonly io: StorageIo = fromSyncFileOps<number>({
    ...nodeFsNamespace,
    name: 'counted-files',
    open: (path, flags) => {
      const fd = nodeFsNamespace.open(path, flags);
      this.open++;
      return fd;
    },
    close: (fd) => {
      nodeFsNamespace.close(fd);
      this.open--;
    },
    read: (fd, into, at) => readSync(fd, into, 0, into.length, at),
    write: (fd, data, at) => writeSync(fd, data, 0, data.length, at),
    datasync: (fd) => fdatasyncSync(fd),
    truncate: (fd, bytes) => ftruncateSync(fd, bytes),
    remove: (path) => unlinkSync(path),
    syncDirectory: () => {},
  });
}

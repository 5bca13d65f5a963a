import { fdatasync, ftruncate, read, unlink, write } from 'node:fs';
import { fromAsyncFileOps, nodeFsNamespace, type StorageIo } from '@walstack/storage-io';

/** What there is on every platform: no direct I/O, and no locks on open files. */
const { directAlignment: _direct, allocateBuffer: _aligned, lockFile: _lock, ...portable } = nodeFsNamespace;

/**
 * Files behind a backend that makes writes durable side by side, in whatever order they end: what a ring of the kernel
 * does, by the means of any platform. It does not say that its files are real, as it cannot write around the page cache.
 */
export function createSideBySideStorageIo(): StorageIo {
  return fromAsyncFileOps<number>({
    ...portable,
    name: 'side-by-side',
    realFiles: false,
    overlappedWrites: true,
    read: (fd, into, offset, done) => read(fd, into, 0, into.length, offset, done),
    write: (fd, data, offset, done) => write(fd, data, 0, data.length, offset, done),
    writeDurable: (fd, data, offset, done) =>
      write(fd, data, 0, data.length, offset, (error, length) => {
        if (error) done(error);
        else fdatasync(fd, (syncError) => done(syncError, length));
      }),
    datasync: (fd, done) => fdatasync(fd, done),
    truncate: (fd, bytes, done) => ftruncate(fd, bytes, done),
    remove: (path, done) => unlink(path, done),
    syncDirectory: (_path, done) => setImmediate(done),
  });
}

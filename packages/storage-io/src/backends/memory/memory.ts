import { checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { FileOpsOptions, SyncFileOps } from '../../engine/file-ops.js';
import { fromSyncFileOps } from '../../engine/from-file-ops.js';
import type { StorageIo } from '../../storage-io.js';
import { filesOf, MemoryDisk } from './memory-disk.js';
import type { MemoryFiles, MemoryHandle } from './memory-files.js';

/** Options of {@link createMemoryStorageIo}. */
export interface MemoryStorageIoOptions extends FileOpsOptions {
  /** The files to work on. Default: an empty disk of its own. */
  readonly disk?: MemoryDisk;
}

const OPTIONS = optionNames<MemoryStorageIoOptions>({ maxPending: true, disk: true });

/**
 * A backend whose files are in memory: for tests, and for logs that need not outlive their process. It reports durable
 * and overlapped writes, and has locks. Backends with the same disk share files and locks.
 */
export function createMemoryStorageIo(options: MemoryStorageIoOptions = {}): StorageIo {
  const { disk = new MemoryDisk(), ...rest } = checkOptions('options', options, OPTIONS);
  const files = filesOf(disk);
  if (files === undefined) throw invalidType('disk', 'a MemoryDisk', disk);
  return fromSyncFileOps(memoryOps(files), rest);
}

function memoryOps(files: MemoryFiles): SyncFileOps<MemoryHandle> {
  const write = files.write.bind(files);
  return {
    name: 'memory',
    realFiles: false,
    overlappedWrites: true,
    open: (path, flags) => files.open(path, flags),
    close: (handle) => files.close(handle),
    size: ({ file }) => file.size,
    links: ({ file }) => file.links,
    list: (directory) => files.list(directory),
    rename: (from, to) => files.rename(from, to),
    link: (from, to) => files.link(from, to),
    makeDirectory: (path, mode) => files.makeDirectory(path, mode),
    stat: (path) => files.stat(path),
    lock: (path, mode) => files.lock(path, mode),
    lockFile: (handle, mode) => files.lockFile(handle, mode),
    read: (handle, into, offset) => files.read(handle, into, offset),
    write,
    writeDurable: write,
    datasync: () => {},
    truncate: (handle, bytes) => files.truncate(handle, bytes),
    allocate: (handle, offset, bytes) => files.allocate(handle, offset, bytes),
    remove: (path) => files.remove(path),
    syncDirectory: (path) => files.syncDirectory(path),
  };
}

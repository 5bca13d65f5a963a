import { checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { FileOpsOptions, SyncFileOps } from '../../engine/file-ops.js';
import { fromSyncFileOps } from '../../engine/from-file-ops.js';
import type { StorageIo } from '../../storage-io.js';
import { filesOf, MemoryDisk } from './memory-disk.js';
import type { MemoryFiles, MemoryHandle } from './memory-files.js';

/** Options of {@link createMemoryStorageIo}. */
export interface MemoryStorageIoOptions extends FileOpsOptions {
  /** The files to work on. Default: an empty disk of its own. */
  readonly world?: MemoryDisk;
}

const OPTIONS = optionNames<MemoryStorageIoOptions>({ maxPending: true, world: true });

/**
 * A backend whose files are in memory: for tests, and for logs that need not outlive their process. It reports durable
 * and overlapped writes, and has locks. Backends with the same disk share files and locks.
 */
export function createMemoryStorageIo(options: MemoryStorageIoOptions = {}): StorageIo {
  const { world = new MemoryDisk(), ...rest } = checkOptions('options', options, OPTIONS);
  if (!(world instanceof MemoryDisk)) throw invalidType('world', 'a MemoryDisk', world);
  return fromSyncFileOps(memoryOps(filesOf(world)), rest);
}

function memoryOps(files: MemoryFiles): SyncFileOps<MemoryHandle> {
  const write = files.write.bind(files);
  return {
    name: 'memory',
    realFiles: false,
    overlappedWrites: true,
    open: (path, { create, exclusive, truncate }) => files.open(path, create, exclusive, truncate),
    close: (handle) => files.close(handle),
    size: ({ file }) => file.size,
    links: ({ file }) => file.links,
    list: (directory) => files.list(directory),
    rename: (from, to) => files.rename(from, to),
    makeDirectory: (path) => files.makeDirectory(path),
    stat: (path) => files.stat(path),
    lock: (path) => files.lock(path),
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

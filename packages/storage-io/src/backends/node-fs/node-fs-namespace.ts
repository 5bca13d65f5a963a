import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  type Stats,
  statSync,
} from 'node:fs';
import { WalError } from '@walstack/codec';
import {
  allocateAligned,
  available,
  directIoAlignment,
  fileLocksUnavailableReason,
  holdLock,
  lockFile,
  useDirectIo,
} from '@walstack/native';
import type { FileNamespaceOps, OpenFlags } from '../../engine/file-ops.js';
import { errnoNamed, nameOfError, systemError } from '../../errors/system-error.js';
import { hasNoLocks, lockPath } from '../../lock/lock-file.js';
import type { IoStat } from '../../storage-io.js';
import { fileSystemOfPath } from '../file-system.js';

/** The alignment of memory that suits direct I/O of every usual disk. */
export const MEMORY_ALIGNMENT = 4096;

/** What takes the native addon. */
const withAddon: Pick<FileNamespaceOps<number>, 'directAlignment' | 'allocateBuffer'> = {
  /** Turned on only now, so that a file system which refuses it leaves an open file that is good for buffered I/O. */
  directAlignment: (fd) => {
    const wanted = directIoAlignment(fd);
    if (wanted === undefined || wanted.memory > MEMORY_ALIGNMENT || !useDirectIo(fd)) return 1;
    return Math.max(wanted.memory, wanted.offset);
  },
  allocateBuffer: (bytes) => allocateAligned(bytes, MEMORY_ALIGNMENT),
};

/**
 * Names and open files of the operating system by `node:fs`, handles being file descriptors: the half of the operations
 * that every backend on real files shares. Direct I/O comes with the native addon, without which memory of JavaScript cannot be
 * aligned.
 */
export const nodeFsNamespace: Omit<FileNamespaceOps<number>, 'name'> = Object.freeze({
  realFiles: true,
  open: (path: string, flags: OpenFlags): number =>
    flags.readOnly ? openToRead(path) : openSync(path, flagBits(flags)),
  close,
  size: (fd: number): number => fstatSync(fd).size,
  links: (fd: number): number => fstatSync(fd).nlink,
  list: (directory: string): string[] => readdirSync(directory),
  rename: (from: string, to: string): void => renameSync(from, to),
  makeDirectory: (path: string): void => {
    mkdirSync(path);
  },
  stat: (path: string): IoStat => {
    const stats = statSync(path);
    return { kind: kindOf(stats), size: stats.isFile() ? stats.size : 0 };
  },
  fileSystem: fileSystemOfPath,
  lock: lockPath,
  ...(fileLocksUnavailableReason === undefined ? { lockFile: lock } : {}),
  ...(available ? withAddon : {}),
});

/** What releases the locks that open files have. */
const heldLocks = new Map<number, () => void>();

/** @throws `WAL_UNSUPPORTED` where the file system has no locks */
function lock(fd: number, mode: 'shared' | 'exclusive'): boolean {
  try {
    if (heldLocks.has(fd)) return lockFile(fd, mode);
    const release = holdLock(fd, mode);
    if (release !== undefined) heldLocks.set(fd, release);
    return release !== undefined;
  } catch (error) {
    if (!hasNoLocks(error)) throw error;
    const facts = { operation: 'lockFile', systemCode: nameOfError(error) };
    throw new WalError('WAL_UNSUPPORTED', 'the file system of this file has no locks on open files', facts, {
      cause: error,
    });
  }
}

/** The kernel may hold a file for a moment longer, on behalf of a ring: its lock must not last as long. */
function close(fd: number): void {
  const release = heldLocks.get(fd);
  heldLocks.delete(fd);
  try {
    release?.();
  } finally {
    closeSync(fd);
  }
}

/** Opens no directory, and does not wait for a writer of a pipe: opening to write does neither by itself. */
function openToRead(path: string): number {
  const stats = statSync(path);
  if (stats.isDirectory()) throw systemError(errnoNamed('EISDIR'), 'open', path);
  if (stats.isFIFO()) throw systemError(errnoNamed('ESPIPE'), 'open', path);
  return openSync(path, constants.O_RDONLY);
}

function flagBits({ create, exclusive, truncate }: OpenFlags): number {
  return (
    constants.O_RDWR |
    (create ? constants.O_CREAT : 0) |
    (exclusive ? constants.O_EXCL : 0) |
    (truncate ? constants.O_TRUNC : 0)
  );
}

function kindOf(stats: Stats): IoStat['kind'] {
  if (stats.isFile()) return 'file';
  return stats.isDirectory() ? 'directory' : 'other';
}

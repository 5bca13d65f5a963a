import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
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
import { makeDirectory, modeOf, openOrCreate } from './permissions.js';

/** The alignment of memory that satisfies direct I/O on every usual disk. */
export const MEMORY_ALIGNMENT = 4096;

/** The operations that need the native addon. */
const withAddon: Pick<FileNamespaceOps<number>, 'directAlignment' | 'allocateBuffer'> = {
  /** Turned on after opening, so that where the file system refuses it the file is open for buffered I/O. */
  directAlignment: (fd) => {
    const wanted = directIoAlignment(fd);
    if (wanted === undefined || wanted.memory > MEMORY_ALIGNMENT || !useDirectIo(fd)) return 1;
    return Math.max(wanted.memory, wanted.offset);
  },
  allocateBuffer: (bytes) => allocateAligned(bytes, MEMORY_ALIGNMENT),
};

/**
 * The operations on names and open files that every backend on real files shares, by `node:fs`; a handle is a file
 * descriptor. Direct I/O needs the native addon, without which JavaScript memory cannot be aligned.
 */
export const nodeFsNamespace: Omit<FileNamespaceOps<number>, 'name'> = Object.freeze({
  realFiles: true,
  open: (path: string, flags: OpenFlags): number => (flags.readOnly ? openToRead(path) : openToWrite(path, flags)),
  close,
  size: (fd: number): number => fstatSync(fd).size,
  links: (fd: number): number => fstatSync(fd).nlink,
  list: (directory: string): string[] => readdirSync(directory),
  rename: (from: string, to: string): void => renameSync(from, to),
  link: (from: string, to: string): void => linkSync(from, to),
  makeDirectory,
  stat: (path: string): IoStat => {
    const stats = statSync(path);
    const mode = modeOf(stats);
    return { kind: kindOf(stats), size: stats.isFile() ? stats.size : 0, ...(mode === undefined ? {} : { mode }) };
  },
  fileSystem: fileSystemOfPath,
  lock: lockPath,
  ...(fileLocksUnavailableReason === undefined ? { lockFile: lock } : {}),
  ...(available ? withAddon : {}),
});

/** By file descriptor: what releases the lock that the open file has. */
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

/** A ring may keep the kernel's open file alive a little longer: so the lock is released explicitly, before closing. */
function close(fd: number): void {
  const release = heldLocks.get(fd);
  heldLocks.delete(fd);
  try {
    release?.();
  } finally {
    closeSync(fd);
  }
}

/** Refuses directories, and pipes, where it would wait for a writer. Opening for writing does neither by itself. */
function openToRead(path: string): number {
  const stats = statSync(path);
  if (stats.isDirectory()) throw systemError(errnoNamed('EISDIR'), 'open', path);
  if (stats.isFIFO()) throw systemError(errnoNamed('ESPIPE'), 'open', path);
  return openSync(path, constants.O_RDONLY);
}

function openToWrite(path: string, { create, exclusive, truncate, mode }: OpenFlags): number {
  const truncating = truncate ? constants.O_TRUNC : 0;
  if (!create) return openSync(path, constants.O_RDWR | truncating);
  return openOrCreate(path, truncating | (exclusive ? constants.O_EXCL : 0), mode);
}

function kindOf(stats: Stats): IoStat['kind'] {
  if (stats.isFile()) return 'file';
  return stats.isDirectory() ? 'directory' : 'other';
}

import { invalidType, outOfRange } from './arguments.js';
import { missingReason, required } from './feature.js';

/** Any number of open files may have shared locks; an exclusive lock excludes all others. */
export type LockMode = 'shared' | 'exclusive';

/** Why files cannot be locked here, in one sentence; `undefined` where they can: on Linux, with the addon's binary. */
export const fileLocksUnavailableReason: string | undefined = missingReason('holdLock', 'Locks on open files');

/**
 * Takes a lock on an open file without waiting; another lock may prevent it. It replaces the lock that this open file
 * has; if it is not obtained, that one stays.
 *
 * The lock belongs to the kernel's *open file description*, not to the process: two open files exclude each other in
 * one thread as they do in two processes. The kernel releases it when the file is closed, and when the process ends in
 * any way. Duplicated descriptors keep it, and so does a mapping: a file that was locked, mapped and closed stays
 * locked until it is no longer mapped.
 *
 * It is advisory: it excludes only programs that take such locks. It works between threads, processes and containers of
 * one machine; between machines where the file system supports that, as NFS does.
 *
 * @param fd - an open file, for reading where the lock is to be shared, for writing where it is to be exclusive
 * @returns whether the lock was obtained
 * @throws `Error` with `code` `EBADF` (not open, or not in the needed mode); `ENOSYS`, `EOPNOTSUPP`, `EINVAL` or
 * `ENOLCK` (the file system has no locks) …; `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`);
 * `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) with {@link fileLocksUnavailableReason}
 */
export function lockFile(fd: number, mode: LockMode): boolean {
  const lock = required('lockFile', fileLocksUnavailableReason);
  return lock(fd, isExclusive(mode));
}

/**
 * Takes a lock as {@link lockFile} does, and keeps it until it is released or the thread ends, even if the file is
 * closed before: a worker thread that was made with `trackUnmanagedFds: false`, and is terminated, leaves its files
 * open. When a thread ends, the lock is released after the operations of its rings have ended. It uses an additional
 * descriptor.
 *
 * @returns a function that releases it, once; `undefined` when it was not obtained
 * @throws like {@link lockFile}; `Error` with `code` `EMFILE`
 */
export function holdLock(fd: number, mode: LockMode): (() => void) | undefined {
  const hold = required('holdLock', fileLocksUnavailableReason);
  const release = required('releaseLock', fileLocksUnavailableReason);
  const handle = hold(fd, isExclusive(mode));
  return handle === undefined ? undefined : () => release(handle);
}

/** @throws `TypeError`, `RangeError` with Node's codes */
function isExclusive(mode: LockMode): boolean {
  if (typeof mode !== 'string') throw invalidType('mode', 'a string', mode);
  if (mode !== 'shared' && mode !== 'exclusive') throw outOfRange('mode', "'shared' or 'exclusive'", mode);
  return mode === 'exclusive';
}

/**
 * Releases the lock that a file has, if any; also while the file is still mapped.
 *
 * @throws like {@link lockFile}
 */
export function unlockFile(fd: number): void {
  required('unlockFile', fileLocksUnavailableReason)(fd);
}

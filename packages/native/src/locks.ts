import { invalidType, outOfRange } from './arguments.js';
import { missingReason, required } from './feature.js';

/** Any number of opened files may share a lock; an exclusive one goes together with no other. */
export type LockMode = 'shared' | 'exclusive';

/** Why files cannot be locked here, in one sentence; `undefined` where they can: on Linux, with the addon's binary. */
export const fileLocksUnavailableReason: string | undefined = missingReason('holdLock', 'Locks on open files');

/**
 * Takes a lock on an open file at once, or says that another one is in the way. It replaces the lock that this file has;
 * when it is not had, that one stays.
 *
 * The lock belongs to what `open` made (the kernel's *open file description*), not to the process: two opened files
 * exclude each other in one thread as they do in two processes. It goes when the file is closed, and when the process
 * dies, however it dies; the kernel sees to that. What was duplicated from it keeps it alive, and so does a mapping: a
 * file that was locked, mapped and closed stays locked until it is no longer mapped.
 *
 * It is advisory, which means that it holds off only those that ask for it. It holds between threads, processes and
 * containers of one machine; between machines where the file system carries locks over, as NFS does.
 *
 * @param fd - an open file, for reading where the lock is to be shared, for writing where it is to be exclusive
 * @returns whether it was had
 * @throws `Error` with `code` `EBADF` (not open, or not for that); `ENOSYS`, `EOPNOTSUPP`, `EINVAL` or `ENOLCK` (the file
 * system has no locks) …;
 * `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`); `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`)
 * with {@link fileLocksUnavailableReason}
 */
export function lockFile(fd: number, mode: LockMode): boolean {
  const lock = required('lockFile', fileLocksUnavailableReason);
  return lock(fd, isExclusive(mode));
}

/**
 * Takes a lock as {@link lockFile} does, and keeps it until it is released or the thread ends, whether or not the file is
 * closed before: a worker thread that was made with `trackUnmanagedFds: false`, and is terminated, leaves its files open.
 * A thread that ends has it until the operations of its rings have ended. It takes a descriptor of its own.
 *
 * @returns what releases it, once; `undefined` when it was not had
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
 * Gives up the lock that a file has, if it has one; also while the file is still mapped.
 *
 * @throws like {@link lockFile}
 */
export function unlockFile(fd: number): void {
  required('unlockFile', fileLocksUnavailableReason)(fd);
}

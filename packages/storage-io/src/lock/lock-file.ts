import { closeSync, fstatSync, statSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { fileLocksUnavailableReason, holdLock } from '@walstack/native';
import { openOrCreate } from '../backends/node-fs/permissions.js';
import { FILE_MODE_DEFAULT } from '../engine/arguments.js';
import { callFailure } from '../errors/io-failure.js';
import { nameOfError } from '../errors/system-error.js';
import { attempt, overwriteLock, peekLock, readLock } from './lock-content.js';
import { isHeldElsewhere } from './lock-elsewhere.js';
import { held, nameOf } from './lock-errors.js';
import { encodeFree, type LockHolder, type LockState, thisHolder } from './lock-holder.js';
import { livenessOf } from './lock-liveness.js';
import { kernelDecides, refuseHeld, released } from './refuse-held.js';
import { takeOver } from './take-over-lock.js';

/**
 * Locks a file against every other writer in this and in other processes, without waiting, and returns what releases
 * it. The lock is not durable and need not be: it ends with the machine's uptime.
 *
 * The file names the process and thread that hold it. It is never removed and never shortened. While a process checks
 * whether the holder is dead, and takes its place, a second file, the takeover file `<path>.takeover`, excludes all
 * others. It is made exclusively and with its content in a single call: as a symbolic link whose target is the content,
 * where there are symbolic links.
 *
 * With the native addon, on a file system with locks on open files, the file is locked by the kernel as well, which
 * releases the lock when the holder dies. The content of the file still counts, since a holder may have no addon. But
 * whether a holder that had the kernel's lock is alive, in any container, need not be found out; and a takeover file
 * that a killed process has left behind is removed. Without the addon it has to be removed by hand.
 *
 * In doubt the lock counts as held: when the holder's boot id differs, but one of the two boot ids may be a container's
 * own; and when a takeover file does not name its holder, as on a full disk.
 *
 * A lock of the kernel does not reach from a FUSE mount or an overlay to the directory beneath it. So where the kernel
 * grants the lock on a file that names a live holder, it is checked whether that holder has this same file open, as far
 * as that can be seen; if not, the file is a copy, and its lock is free.
 *
 * The file system must be used by one machine only: to another machine the holder looks dead, as after a restart.
 *
 * @param mode - the permissions of the file where this makes it
 * @throws `WAL_LOCKED` with `holder` and `reason`: `held`, `held-elsewhere` (in a process id namespace that cannot be
 * seen from here), `taking-over` (another is taking it at this moment) or `stale-takeover`; `WAL_NOT_FOUND` when the
 * directory is missing; `WAL_NO_SPACE`; `WAL_IO_FAILED`
 */
export function lockPath(path: string, mode = FILE_MODE_DEFAULT): () => void {
  const seen = peekUnlessHeld(path);
  const fd = openLock(path, mode);
  const acquired = lockByKernel(path, fd);
  const { me } = acquired;
  try {
    refuseHeldElsewhere(path, fd, me);
    takeOver(path, fd, me, seen);
    verify(path, fd, me);
  } catch (error) {
    attempt(() => release(path, fd, acquired));
    throw callFailure('lock', path, error);
  }
  let held = true;
  return () => {
    // Only once: by a second call the descriptor number may belong to another file.
    if (!held) return;
    held = false;
    release(path, fd, acquired);
  };
}

/** Whether locks on open files by the kernel are available on this platform. */
const KERNEL_LOCKS = fileLocksUnavailableReason === undefined;

/** The errors of file systems that have no locks. */
const NO_LOCKS: readonly string[] = ['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'];

/** Whether locking an open file failed because its file system has no locks. */
export const hasNoLocks = (error: unknown): boolean => NO_LOCKS.includes(nameOfError(error));

/** This holder, and what releases the kernel's lock, if it has one. */
interface AcquiredLock {
  readonly me: LockHolder;
  readonly unlock: (() => void) | undefined;
}

/** The content of the lock file; `undefined` also when the kernel decides whether it is held. @throws `WAL_LOCKED` */
function peekUnlessHeld(path: string): LockState | undefined {
  const content = peekLock(path);
  if (kernelDecides(content, KERNEL_LOCKS)) return undefined;
  refuseHeld(path, content);
  return content;
}

/** Takes the kernel's lock on the file, where there is one, and describes this holder. Closes the file on failure. */
function lockByKernel(path: string, fd: number): AcquiredLock {
  try {
    const unlock = KERNEL_LOCKS ? holdOrRefuse(path, fd) : undefined;
    return { me: thisHolder(unlock !== undefined), unlock };
  } catch (error) {
    closeSync(fd);
    throw callFailure('lock', path, error);
  }
}

/** @returns what releases the kernel's lock; `undefined` where the file system has none @throws `WAL_LOCKED` */
function holdOrRefuse(path: string, fd: number): (() => void) | undefined {
  let unlock: (() => void) | undefined;
  try {
    unlock = holdLock(fd, 'exclusive');
  } catch (error) {
    if (hasNoLocks(error)) return undefined;
    throw error;
  }
  if (unlock === undefined) throw lockedByKernel(path, readLock(fd));
  return unlock;
}

/** @throws `WAL_LOCKED` when a holder has the kernel's lock on this same file through another mount */
function refuseHeldElsewhere(path: string, fd: number, me: LockHolder): void {
  const content = readLock(fd);
  if (content?.state !== 'held' || !kernelDecides(content, me.kernelLock) || released.has(content.holder.id)) return;
  const { holder } = content;
  if (livenessOf(holder) === 'alive' && isHeldElsewhere(path, fd, holder)) throw held(path, holder);
}

/** The error for a file on which another holder has the kernel's lock. */
function lockedByKernel(path: string, content: LockState | undefined): WalError {
  // The holder that the file names may have no kernel's lock, or be dead: then another one has the lock now.
  if (content?.state === 'held' && livenessOf(content.holder) !== 'dead') return held(path, content.holder);
  return new WalError('WAL_LOCKED', `another is taking or releasing the lock ${path} at this moment: try again`, {
    path,
    reason: 'taking-over',
  });
}

/** Makes sure that the lock file names this holder, and that it is still the file at this path. */
function verify(path: string, fd: number, me: LockHolder): void {
  const now = readLock(fd);
  if (now?.state !== 'held' || now.holder.id !== me.id) {
    throw new WalError('WAL_LOCKED', `${path} was taken by another process or thread at the same moment: try again`, {
      path,
      reason: 'held',
      ...(now?.state === 'held' ? { holder: nameOf(now.holder) } : {}),
    });
  }
  const open = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true });
  if (open.dev === named.dev && open.ino === named.ino) return;
  throw new WalError('WAL_LOCKED', `${path} was replaced by another file while it was being locked: try again`, {
    path,
    reason: 'taking-over',
  });
}

function release(path: string, fd: number, { me, unlock }: AcquiredLock): void {
  released.add(me.id);
  try {
    const now = readLock(fd);
    if (now?.state === 'held' && now.holder.id === me.id) overwriteLock(path, fd, encodeFree());
    released.delete(me.id);
  } finally {
    try {
      // Closing is not enough: a child process that is being spawned has the file open, too.
      unlock?.();
    } finally {
      closeSync(fd);
    }
  }
}

function openLock(path: string, mode: number): number {
  try {
    return openOrCreate(path, 0, mode);
  } catch (error) {
    throw callFailure('lock', path, error);
  }
}

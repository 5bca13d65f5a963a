import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readlinkSync,
  readSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { WalError } from '@walstack/codec';
import { fileLocksUnavailableReason, holdLock } from '@walstack/native';
import { callFailure } from '../errors/io-failure.js';
import { nameOfError } from '../errors/system-error.js';
import { isHeldElsewhere } from './lock-elsewhere.js';
import {
  decodeLock,
  encodeFree,
  encodeHeld,
  LOCK_BYTES,
  type LockHolder,
  type LockState,
  textOf,
  thisHolder,
  thisPidNamespace,
} from './lock-holder.js';
import { type Liveness, livenessOf } from './lock-liveness.js';

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
 * @throws `WAL_LOCKED` with `holder` and `reason`: `held`, `held-elsewhere` (in a process id namespace that cannot be
 * seen from here), `taking-over` (another is taking it at this moment) or `stale-takeover`; `WAL_NOT_FOUND` when the
 * directory is missing; `WAL_NO_SPACE`; `WAL_IO_FAILED`
 */
export function lockPath(path: string): () => void {
  const seen = peekUnlessHeld(path);
  const fd = openLock(path);
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

/** The errors of file systems without symbolic links, and of platforms that do not allow them. */
const NO_SYMBOLIC_LINKS: readonly string[] = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENAMETOOLONG'];

/** Whether locking an open file failed because its file system has no locks. */
export const hasNoLocks = (error: unknown): boolean => NO_LOCKS.includes(nameOfError(error));

/** This holder, and what releases the kernel's lock, if it has one. */
interface AcquiredLock {
  readonly me: LockHolder;
  readonly unlock: (() => void) | undefined;
}

/**
 * Whether the kernel decides if the holder is alive: the kernel's lock on the file is released when the holder dies.
 * `kernelLock`: whether the caller has that lock, or is going to request it.
 */
const kernelDecides = (content: LockState | undefined, kernelLock: boolean): boolean =>
  kernelLock && content?.state === 'held' && content.holder.kernelLock;

/** The content of the lock file; `undefined` also when the kernel decides whether it is held. @throws `WAL_LOCKED` */
function peekUnlessHeld(path: string): LockState | undefined {
  const content = peek(path);
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
  if (unlock === undefined) throw lockedByKernel(path, read(fd));
  return unlock;
}

/** @throws `WAL_LOCKED` when a holder has the kernel's lock on this same file through another mount */
function refuseHeldElsewhere(path: string, fd: number, me: LockHolder): void {
  const content = read(fd);
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

/**
 * Writes this holder into the lock file, under the takeover file. A process that is killed in here leaves the takeover
 * file behind, so this does as little as possible; in particular a holder that was found dead is not checked again.
 */
function takeOver(path: string, fd: number, me: LockHolder, seen: LockState | undefined): void {
  const content = encodeHeld(me);
  const takeover = `${path}.takeover`;
  createTakeover(path, takeover, me);
  try {
    const now = read(fd);
    if (!isSameHolder(now, seen) && !kernelDecides(now, me.kernelLock)) refuseHeld(path, now);
    overwrite(path, fd, content);
    removeTakeover(takeover);
  } catch (error) {
    attempt(() => unlinkSync(takeover));
    throw error;
  }
}

/** Makes sure that the lock file names this holder, and that it is still the file at this path. */
function verify(path: string, fd: number, me: LockHolder): void {
  const now = read(fd);
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

/** Ids of holders of this thread that released their lock but could not write that into the file: they no longer count. */
const released = new Set<string>();

function release(path: string, fd: number, { me, unlock }: AcquiredLock): void {
  released.add(me.id);
  try {
    const now = read(fd);
    if (now?.state === 'held' && now.holder.id === me.id) overwrite(path, fd, encodeFree());
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

function openLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT);
  } catch (error) {
    throw callFailure('lock', path, error);
  }
}

/** Makes the takeover file, in the first way that works here. @throws `WAL_LOCKED` when there is one already */
function createTakeover(path: string, takeover: string, me: LockHolder): void {
  try {
    if (me.kernelLock) removeStaleTakeover(path, takeover);
    symlinkSync(textOf(me), takeover);
  } catch (error) {
    if (!isNoSpace(error) && !NO_SYMBOLIC_LINKS.includes(nameOfError(error)))
      throw takeoverFailure(path, takeover, error);
    createTakeoverInTwoSteps(path, takeover, me);
  }
}

/** Makes it in two steps, between which it does not name its holder: a process killed there leaves it for good. */
function createTakeoverInTwoSteps(path: string, takeover: string, me: LockHolder): void {
  let fd: number;
  try {
    fd = openSync(takeover, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  } catch (error) {
    if (!isNoSpace(error)) throw takeoverFailure(path, takeover, error);
    linkTakeover(path, takeover, me);
    return;
  }
  try {
    // A full disk must not prevent opening a log: without content the takeover file excludes others just as well.
    attempt(() => writeSync(fd, encodeHeld(me), 0, LOCK_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

/**
 * A disk without room for another file may have room for a hard link to the lock file, which excludes others just as
 * well, but does not name its holder. Where it has not, the kernel's lock must suffice: a process without that lock
 * would need room for a takeover file, too.
 */
function linkTakeover(path: string, takeover: string, me: LockHolder): void {
  try {
    linkSync(path, takeover);
  } catch (error) {
    if (!isNoSpace(error) || !me.kernelLock) throw takeoverFailure(path, takeover, error);
  }
}

function removeTakeover(takeover: string): void {
  try {
    unlinkSync(takeover);
  } catch (error) {
    // Where there was no room for it, it was never made.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isNoSpace(error: unknown): boolean {
  const name = nameOfError(error);
  return name === 'ENOSPC' || name === 'EDQUOT';
}

function takeoverFailure(path: string, takeover: string, error: unknown): WalError {
  if ((error as NodeJS.ErrnoException).code === 'EEXIST') return takeoverExists(path, takeover);
  return callFailure('lock', takeover, error);
}

/**
 * Removes the takeover file of a holder that is gone. The caller has the kernel's lock on the lock file, without which
 * none may remove the takeover file of another: so the file that is removed is the one that was examined.
 */
function removeStaleTakeover(path: string, takeover: string): void {
  const found = peekTakeover(path, takeover);
  if (found?.state !== 'held') return;
  if (found.holder.kernelLock || livenessOf(found.holder) === 'dead') unlinkSync(takeover);
}

/** The error for a takeover file that exists already. */
function takeoverExists(path: string, takeover: string): WalError {
  const found = peekTakeover(path, takeover);
  const holder = found?.state === 'held' ? found.holder : undefined;
  if (holder === undefined) {
    return new WalError(
      'WAL_LOCKED',
      `${takeover} exists: either a process is taking the lock just now, then try again; or one was killed while it did, ` +
        `then make sure that no process uses this log and remove ${takeover} by hand`,
      { path, reason: 'taking-over' },
    );
  }
  const facts = { path, holder: nameOf(holder) };
  if (livenessOf(holder) === 'dead') {
    return new WalError(
      'WAL_LOCKED',
      `${takeover} was left behind by ${nameOf(holder)}, which died while it was taking the lock: ` +
        `make sure that no process uses this log, then remove ${takeover} by hand`,
      { ...facts, reason: 'stale-takeover' },
    );
  }
  return new WalError('WAL_LOCKED', `${nameOf(holder)} is taking the lock ${path} at this moment: try again`, {
    ...facts,
    reason: 'taking-over',
  });
}

const isSameHolder = (one: LockState | undefined, other: LockState | undefined): boolean =>
  one?.state === 'held' && other?.state === 'held' && one.holder.id === other.holder.id;

/** @throws `WAL_LOCKED` when the content names a holder that is alive, or may be */
function refuseHeld(path: string, content: LockState | undefined): void {
  if (content?.state !== 'held' || released.has(content.holder.id)) return;
  const { holder } = content;
  const liveness = livenessOf(holder);
  if (liveness === 'dead') return;
  throw refusal(path, holder, liveness);
}

function refusal(path: string, holder: LockHolder, liveness: Exclude<Liveness, 'dead'>): WalError {
  if (liveness === 'unknown') {
    return new WalError(
      'WAL_LOCKED',
      `${path} is held by ${nameOf(holder)} of another process id namespace (${holder.pidNamespace || 'not known'}, here it is ` +
        `${thisPidNamespace() || 'not known'}), and whether that process is alive cannot be seen from here: close the log there; if that ` +
        `container is gone, or the machine was restarted since, remove ${path} by hand`,
      { path, holder: nameOf(holder), reason: 'held-elsewhere' },
    );
  }
  return held(path, holder);
}

function held(path: string, holder: LockHolder): WalError {
  const mine = holder.pid === process.pid && holder.pidNamespace === thisPidNamespace();
  const whose = mine ? `this process (${nameOf(holder)})` : nameOf(holder);
  return new WalError('WAL_LOCKED', `${path} is held by ${whose}: close the log there, then try again`, {
    path,
    holder: nameOf(holder),
    reason: 'held',
  });
}

const nameOf = (holder: LockHolder): string =>
  holder.thread === 0 || holder.thread === holder.pid
    ? `process ${holder.pid}`
    : `process ${holder.pid}, thread ${holder.thread}`;

/** The content of the lock file at `path`; `undefined` also when there is none. */
function peek(path: string): LockState | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw callFailure('lock', path, error);
  }
  try {
    return read(fd);
  } catch (error) {
    throw callFailure('lock', path, error);
  } finally {
    closeSync(fd);
  }
}

/** The holder that the takeover file names; `undefined` when it names none, or when there is no such file. */
function peekTakeover(path: string, takeover: string): LockState | undefined {
  let text: string | undefined;
  try {
    text = readlinkSync(takeover);
  } catch (error) {
    if (nameOfError(error) === 'ENOENT') return undefined;
  }
  if (text !== undefined) return decodeLock(new TextEncoder().encode(text));
  // A hard link to the lock file names the holder of the lock, not that of the takeover.
  return isSameFile(path, takeover) ? undefined : peek(takeover);
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

function read(fd: number): LockState | undefined {
  const content = new Uint8Array(LOCK_BYTES);
  const length = readSync(fd, content, 0, LOCK_BYTES, 0);
  return decodeLock(content.subarray(0, length));
}

/** One write, in place, as long as the file is already: it needs no free block. */
function overwrite(path: string, fd: number, content: Uint8Array): void {
  const written = writeSync(fd, content, 0, LOCK_BYTES, 0);
  if (written === LOCK_BYTES) return;
  throw new WalError('WAL_IO_FAILED', `only ${written} of ${LOCK_BYTES} bytes of ${path} could be written`, {
    path,
    operation: 'lock',
    reason: 'short-write',
  });
}

/** Runs a step whose failure must not replace an earlier one. */
function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // The earlier failure is the one to report.
  }
}

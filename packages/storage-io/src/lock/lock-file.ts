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
 * Locks a file against every other writer in this and in other processes, at once, and returns what releases it. Not
 * durable, and it needs not be: a lock does not outlive the machine's running.
 *
 * The file says which process and thread holds it. It is never removed and never shortened. While it is found out whether
 * the holder is dead, and its place is taken, a second file, `<path>.takeover`, keeps all others out. That one is made
 * exclusively and with its content in a single call: a symbolic link to a text, where there are such links.
 *
 * Where the native addon is there, and the file system has locks on open files, the kernel locks the file too, and frees
 * it when its holder dies. What the file says still counts, since the holder may have no addon. But of a holder that had
 * the kernel's lock it need not be found out whether it lives, in whatever container; and a second file that a killed
 * process has left behind is removed. Without the addon that one is removed by hand.
 *
 * A lock is held unless it is certain that it is not: not by a holder whose boot id differs, where one of the two boot ids
 * was given to a container; nor by a second file that does not say whose it is, as on a full disk.
 *
 * A lock of the kernel does not reach from a FUSE mount or an overlay to the directory beneath it. So where the kernel gives the lock of a
 * file that names a live holder, it is looked whether that one has this very file open, as far as that can be seen; else the
 * file is a copy, whose lock is free.
 *
 * The file system must be one machine's: on another machine the holder looks as if the machine had been restarted.
 *
 * @throws `WAL_LOCKED` with `holder` and `reason`: `held`, `held-elsewhere` (in a process id namespace that cannot be
 * looked into), `taking-over` (another is at it just now) or `stale-takeover`; `WAL_NOT_FOUND` when the directory is
 * missing; `WAL_NO_SPACE`; `WAL_IO_FAILED`
 */
export function lockPath(path: string): () => void {
  const judged = judge(path);
  const fd = openLock(path);
  const taken = lockByKernel(path, fd);
  const { me } = taken;
  try {
    refuseHeldElsewhere(path, fd, me);
    takeOver(path, fd, me, judged);
    verify(path, fd, me);
  } catch (error) {
    attempt(() => release(path, fd, taken));
    throw callFailure('lock', path, error);
  }
  let held = true;
  return () => {
    // Once only: the number of the file may be another file's by the second time.
    if (!held) return;
    held = false;
    release(path, fd, taken);
  };
}

/** Whether the kernel locks files here. */
const KERNEL_LOCKS = fileLocksUnavailableReason === undefined;

/** What a file system says that has no locks. */
const NO_LOCKS: readonly string[] = ['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'];

/** What a file system says that has no symbolic links, and a platform that does not allow them. */
const NO_SYMBOLIC_LINKS: readonly string[] = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENAMETOOLONG'];

/** Whether locking an open file has failed because its file system has no locks. */
export const hasNoLocks = (error: unknown): boolean => NO_LOCKS.includes(nameOfError(error));

/** This holder, and what releases the kernel's lock, if it has that. */
interface Taken {
  readonly me: LockHolder;
  readonly unlock: (() => void) | undefined;
}

/**
 * Whether the kernel knows better than anybody if this holder lives: its lock on the file is gone when the holder is.
 * `kernelLock`: whether the caller has that lock, or is going to ask for it.
 */
const leftToKernel = (content: LockState | undefined, kernelLock: boolean): boolean =>
  kernelLock && content?.state === 'held' && content.holder.kernelLock;

/** What the lock says, when that is no reason to refuse it; `undefined` also when the kernel has to be asked first. */
function judge(path: string): LockState | undefined {
  const content = peek(path);
  if (leftToKernel(content, KERNEL_LOCKS)) return undefined;
  refuseHeld(path, content);
  return content;
}

/** Has the kernel lock the file, where it can, and names this holder. Closes the file when it cannot be had. */
function lockByKernel(path: string, fd: number): Taken {
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

/** @throws `WAL_LOCKED` when a holder that has the kernel's lock has it on this very file, by another mount */
function refuseHeldElsewhere(path: string, fd: number, me: LockHolder): void {
  const content = read(fd);
  if (content?.state !== 'held' || !leftToKernel(content, me.kernelLock) || released.has(content.holder.id)) return;
  const { holder } = content;
  if (livenessOf(holder) === 'alive' && isHeldElsewhere(path, fd, holder)) throw held(path, holder);
}

/** The error for a file that the kernel has locked for another. */
function lockedByKernel(path: string, content: LockState | undefined): WalError {
  // A holder without the kernel's lock, or one that died with it, is not the one that has it now.
  if (content?.state === 'held' && livenessOf(content.holder) !== 'dead') return held(path, content.holder);
  return new WalError('WAL_LOCKED', `another is taking or releasing the lock ${path} at this moment: try again`, {
    path,
    reason: 'taking-over',
  });
}

/**
 * Under the second file: writes this holder into the lock. A process that is killed in here leaves the second file behind, so there
 * is no more in here than has to be; in particular a holder that was found dead is not looked for again.
 */
function takeOver(path: string, fd: number, me: LockHolder, judged: LockState | undefined): void {
  const content = encodeHeld(me);
  const second = `${path}.takeover`;
  createSecond(path, second, me);
  try {
    const now = read(fd);
    if (!isSameHolder(now, judged) && !leftToKernel(now, me.kernelLock)) refuseHeld(path, now);
    overwrite(path, fd, content);
    removeSecond(second);
  } catch (error) {
    attempt(() => unlinkSync(second));
    throw error;
  }
}

/** Makes sure that this holder is what the lock says, and that the lock is the file that others see. */
function verify(path: string, fd: number, me: LockHolder): void {
  const now = read(fd);
  if (now?.state !== 'held' || now.holder.id !== me.id) {
    throw new WalError('WAL_LOCKED', `${path} was taken by another at the same moment: try again`, {
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

/** Holders of this thread that have released a lock whose file could not be written any more: what it says is over. */
const released = new Set<string>();

function release(path: string, fd: number, { me, unlock }: Taken): void {
  released.add(me.id);
  try {
    const now = read(fd);
    if (now?.state === 'held' && now.holder.id === me.id) overwrite(path, fd, encodeFree());
    released.delete(me.id);
  } finally {
    try {
      // Not only by closing: a child process that is just being made has the file open, too.
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

/** Makes the second file, in whatever way there is one to be had. @throws `WAL_LOCKED` when there is one */
function createSecond(path: string, second: string, me: LockHolder): void {
  try {
    if (me.kernelLock) removeLeftBehind(path, second);
    symlinkSync(textOf(me), second);
  } catch (error) {
    if (!isNoSpace(error) && !NO_SYMBOLIC_LINKS.includes(nameOfError(error))) throw secondFailure(path, second, error);
    createSecondFile(path, second, me);
  }
}

/** Makes it in two steps, between which it does not name its maker: a process killed there leaves it for good. */
function createSecondFile(path: string, second: string, me: LockHolder): void {
  let fd: number;
  try {
    fd = openSync(second, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  } catch (error) {
    if (!isNoSpace(error)) throw secondFailure(path, second, error);
    linkSecond(path, second, me);
    return;
  }
  try {
    // A full disk must not keep a log from being opened: without content the second file excludes others just as well.
    attempt(() => writeSync(fd, encodeHeld(me), 0, LOCK_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

/**
 * A disk without room for another file may have room for another name of the first one, which excludes others just as
 * well, but does not say which process has made it. Where it has not, the kernel's lock must do: a holder without that needs
 * room for a second file, too.
 */
function linkSecond(path: string, second: string, me: LockHolder): void {
  try {
    linkSync(path, second);
  } catch (error) {
    if (!isNoSpace(error) || !me.kernelLock) throw secondFailure(path, second, error);
  }
}

function removeSecond(second: string): void {
  try {
    unlinkSync(second);
  } catch (error) {
    // Where there was no room for it, there is none.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isNoSpace(error: unknown): boolean {
  const name = nameOfError(error);
  return name === 'ENOSPC' || name === 'EDQUOT';
}

function secondFailure(path: string, second: string, error: unknown): WalError {
  if ((error as NodeJS.ErrnoException).code === 'EEXIST') return secondTaken(path, second);
  return callFailure('lock', second, error);
}

/**
 * Removes the second file of a holder that is gone. It takes the kernel's lock on the first file: only its holder may
 * remove the second file of another, so that what is removed here is what was looked at here.
 */
function removeLeftBehind(path: string, second: string): void {
  const found = peekSecond(path, second);
  if (found?.state !== 'held') return;
  if (found.holder.kernelLock || livenessOf(found.holder) === 'dead') unlinkSync(second);
}

/** The error for a second file that is there already. */
function secondTaken(path: string, second: string): WalError {
  const found = peekSecond(path, second);
  const holder = found?.state === 'held' ? found.holder : undefined;
  if (holder === undefined) {
    return new WalError(
      'WAL_LOCKED',
      `${second} exists: either a process is taking the lock just now, then try again; or one was killed while it did, ` +
        `then make sure that no process uses this log and remove ${second} by hand`,
      { path, reason: 'taking-over' },
    );
  }
  const facts = { path, holder: nameOf(holder) };
  if (livenessOf(holder) === 'dead') {
    return new WalError(
      'WAL_LOCKED',
      `${second} was left behind by ${nameOf(holder)}, which died while it was taking the lock: ` +
        `make sure that no process uses this log, then remove ${second} by hand`,
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
        `${thisPidNamespace() || 'not known'}), and whether that is alive cannot be seen from here: close the log there; if that ` +
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

/** What the file of this name says; `undefined` also when there is none. */
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

/** What the second file says of its maker; `undefined` also where it does not say that, or there is none. */
function peekSecond(path: string, second: string): LockState | undefined {
  let text: string | undefined;
  try {
    text = readlinkSync(second);
  } catch (error) {
    if (nameOfError(error) === 'ENOENT') return undefined;
  }
  if (text !== undefined) return decodeLock(new TextEncoder().encode(text));
  // Another name of the first file says whose that one was, when it was made.
  return isSameFile(path, second) ? undefined : peek(second);
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

/** One write, in place, of the size that the file has already: it needs no free block. */
function overwrite(path: string, fd: number, content: Uint8Array): void {
  const written = writeSync(fd, content, 0, LOCK_BYTES, 0);
  if (written === LOCK_BYTES) return;
  throw new WalError('WAL_IO_FAILED', `only ${written} of ${LOCK_BYTES} bytes of ${path} could be written`, {
    path,
    operation: 'lock',
    reason: 'short-write',
  });
}

/** For what must not hide the failure that it follows. */
function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // The failure before is the one to report.
  }
}

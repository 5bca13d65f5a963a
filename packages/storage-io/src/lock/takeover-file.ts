import {
  closeSync,
  constants,
  linkSync,
  openSync,
  readlinkSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { WalError } from '@walstack/codec';
import { callFailure } from '../errors/io-failure.js';
import { nameOfError } from '../errors/system-error.js';
import { attempt, peekLock } from './lock-content.js';
import { nameOf } from './lock-errors.js';
import { decodeLock, encodeHeld, LOCK_BYTES, type LockHolder, type LockState, textOf } from './lock-holder.js';
import { livenessOf } from './lock-liveness.js';

/*
 * The takeover file `<path>.takeover` excludes others while a process finds out whether the holder of a lock is dead, and
 * takes its place.
 */

/** The errors of file systems without symbolic links, and of platforms that do not allow them. */
const NO_SYMBOLIC_LINKS: readonly string[] = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENAMETOOLONG'];

/** Makes the takeover file, in the first way that works here. @throws `WAL_LOCKED` when there is one already */
export function createTakeover(path: string, takeover: string, me: LockHolder): void {
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
    fd = openSync(takeover, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
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

/** Removes the takeover file when the lock file names its new holder. */
export function removeTakeover(takeover: string): void {
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
  return isSameFile(path, takeover) ? undefined : peekLock(takeover);
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

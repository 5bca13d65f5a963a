import { closeSync, constants, fstatSync, openSync, readSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { callFailure } from './io-failure.js';
import {
  decodeLock,
  encodeFree,
  encodeHeld,
  LOCK_BYTES,
  type LockHolder,
  type LockState,
  thisHolder,
  thisPidNamespace,
} from './lock-holder.js';
import { type Liveness, livenessOf } from './lock-liveness.js';

/**
 * Locks a file against every other writer in this and in other processes, at once, with plain files and nothing else,
 * and returns what releases it. Not durable, and it needs not be: a lock does not outlive the machine's running.
 *
 * The file says who holds it. It is never removed and never shortened. While one finds out whether the holder is dead and
 * takes its place, a second file, `<path>.takeover`, made exclusively, keeps all others out. Its one limit: who is killed
 * just then leaves the second file behind, and it is removed by hand.
 *
 * The file system must be one machine's: on another machine the holder looks as if the machine had been restarted.
 *
 * @throws `WAL_LOCKED` with `holder` and `reason`: `held`, `held-elsewhere` (in a process id namespace that cannot be
 * looked into), `taking-over` (another is at it just now) or `stale-takeover`; `WAL_NOT_FOUND` when the directory is
 * missing; `WAL_NO_SPACE`; `WAL_IO_FAILED`
 */
export function lockPath(path: string): () => void {
  const me = thisHolder();
  const judged = peek(path);
  refuseHeld(path, judged);
  const fd = openLock(path);
  try {
    takeOver(path, fd, me, judged);
    verify(path, fd, me);
  } catch (error) {
    attempt(() => release(path, fd, me));
    throw callFailure('lock', path, error);
  }
  let held = true;
  return () => {
    // Once only: the number of the file may be another file's by the second time.
    if (!held) return;
    held = false;
    release(path, fd, me);
  };
}

/**
 * Under the second file: writes this holder into the lock. Who is killed in here leaves the second file behind, so there
 * is no more in here than has to be; in particular a holder that was found dead is not looked for again.
 */
function takeOver(path: string, fd: number, me: LockHolder, judged: LockState | undefined): void {
  const content = encodeHeld(me);
  const second = `${path}.takeover`;
  const secondFd = createSecond(path, second);
  try {
    // A full disk must not keep a log from being opened: without content the second file excludes others just as well.
    attempt(() => writeSync(secondFd, content, 0, LOCK_BYTES, 0));
    const now = read(fd);
    if (!isSameHolder(now, judged)) refuseHeld(path, now);
    overwrite(path, fd, content);
    unlinkSync(second);
  } catch (error) {
    attempt(() => unlinkSync(second));
    throw error;
  } finally {
    closeSync(secondFd);
  }
}

/** Makes sure that this holder is what the lock says, and that the lock is the file that others see. */
function verify(path: string, fd: number, me: LockHolder): void {
  const now = read(fd);
  if (now?.state !== 'held' || now.holder.id !== me.id) {
    throw new WalError('WAL_LOCKED', `${path} was taken by somebody else at the same moment: try again`, {
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

function release(path: string, fd: number, me: LockHolder): void {
  try {
    const now = read(fd);
    if (now?.state === 'held' && now.holder.id === me.id) overwrite(path, fd, encodeFree());
  } finally {
    closeSync(fd);
  }
}

function openLock(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT);
  } catch (error) {
    throw callFailure('lock', path, error);
  }
}

function createSecond(path: string, second: string): number {
  try {
    return openSync(second, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw secondTaken(path, second);
    throw callFailure('lock', second, error);
  }
}

/** The error for a second file that is there already. */
function secondTaken(path: string, second: string): WalError {
  const found = peek(second);
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
  if (content?.state !== 'held') return;
  const { holder } = content;
  const liveness = livenessOf(holder);
  if (liveness === 'dead') return;
  throw refusal(path, holder, liveness);
}

function refusal(path: string, holder: LockHolder, liveness: Exclude<Liveness, 'dead'>): WalError {
  if (liveness === 'unknown') {
    return new WalError(
      'WAL_LOCKED',
      `${path} is held by ${nameOf(holder)} of another process id namespace (${holder.pidNamespace}, here it is ` +
        `${thisPidNamespace()}), and whether that is alive cannot be seen from here: close the log there; if that ` +
        `container is gone, remove ${path} by hand`,
      { path, holder: nameOf(holder), reason: 'held-elsewhere' },
    );
  }
  const whose = holder.pid === process.pid ? `this process (${nameOf(holder)})` : nameOf(holder);
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

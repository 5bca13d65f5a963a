import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { callFailure } from '../errors/io-failure.js';
import { decodeLock, LOCK_BYTES, type LockState } from './lock-holder.js';

/** The content of the lock file at `path`; `undefined` also when there is none. */
export function peekLock(path: string): LockState | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw callFailure('lock', path, error);
  }
  try {
    return readLock(fd);
  } catch (error) {
    throw callFailure('lock', path, error);
  } finally {
    closeSync(fd);
  }
}

/** The content of an open lock file. */
export function readLock(fd: number): LockState | undefined {
  const content = new Uint8Array(LOCK_BYTES);
  const length = readSync(fd, content, 0, LOCK_BYTES, 0);
  return decodeLock(content.subarray(0, length));
}

/** One write, in place, as long as the file is already: it needs no free block. */
export function overwriteLock(path: string, fd: number, content: Uint8Array): void {
  const written = writeSync(fd, content, 0, LOCK_BYTES, 0);
  if (written === LOCK_BYTES) return;
  throw new WalError('WAL_IO_FAILED', `only ${written} of ${LOCK_BYTES} bytes of ${path} could be written`, {
    path,
    operation: 'lock',
    reason: 'short-write',
  });
}

/** Runs a step whose failure must not replace an earlier one. */
export function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // The earlier failure is the one to report.
  }
}

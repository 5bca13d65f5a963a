import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { isHeld } from '@walstack/storage-io/internal';
import type { Target } from './target.js';

/** Whether a process is known to have a log open for writing, found out without taking the lock. */
export const isOpened = (target: Target): boolean => heldLock(target) !== undefined;

/** The file of a lock that a process holds. */
function heldLock(target: Target): string | undefined {
  if (target.kind === 'frames') return undefined;
  const logs = target.kind === 'log' ? [target] : [target, ...target.cores];
  return logs.map(({ directory }) => join(directory, FileName.lock)).find((path) => isHeld(path) === true);
}

/**
 * Refuses a log that a process has open for writing, without taking the lock.
 *
 * @param advice - what can be done meanwhile
 * @throws `WAL_LOCKED`
 */
export function refuseOpened(target: Target, advice: string): void {
  const held = heldLock(target);
  if (target.kind === 'frames' || held === undefined) return;
  throw new WalError('WAL_LOCKED', `${target.directory} is open for writing in another process: ${advice}`, {
    path: held,
    reason: 'held',
  });
}

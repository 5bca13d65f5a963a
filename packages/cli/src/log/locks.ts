import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { isHeld } from '@walstack/storage-io/internal';
import type { LogTarget, Target } from './target.js';

/** Whether a process is known to have a log open for writing, found out without taking the lock. */
export const isOpened = (target: Target): boolean => heldLock(target) !== undefined;

/** What bytes are that no frame can be read in, behind the last record of a log. */
export type LogEnd = 'being-written' | 'torn-tail' | 'torn-tail-or-being-written';

const LOG_ENDS: Readonly<Record<LogEnd, string>> = {
  'being-written': 'a group that another process is writing',
  'torn-tail': 'a torn tail',
  'torn-tail-or-being-written': 'a torn tail, or a group that another process is writing',
};

/** The end of a log, in words. */
export const logEndText = (end: LogEnd): string => LOG_ENDS[end];

/**
 * Reads a log, and finds out what bytes behind its last record are: a process that had it open before or behind the reading may have
 * been writing them.
 */
export async function withLogEnd<T>(target: LogTarget, read: () => Promise<T>): Promise<{ result: T; end: LogEnd }> {
  const path = join(target.directory, FileName.lock);
  const before = isHeld(path);
  const result = await read();
  const held = before === true ? before : (isHeld(path) ?? before);
  const end = held === undefined ? 'torn-tail-or-being-written' : held ? 'being-written' : 'torn-tail';
  return { result, end };
}

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

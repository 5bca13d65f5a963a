import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { isHeld } from '@walstack/storage-io/internal';
import type { Target } from './target.js';

/**
 * Refuses a log that a process has open for writing, without taking the lock.
 *
 * @param advice - what can be done meanwhile
 * @throws `WAL_LOCKED`
 */
export function refuseOpened(target: Target, advice: string): void {
  if (target.kind === 'frames') return;
  const logs = target.kind === 'log' ? [target] : [target, ...target.cores];
  const held = logs.map(({ directory }) => join(directory, FileName.lock)).find((path) => isHeld(path) === true);
  if (held === undefined) return;
  throw new WalError('WAL_LOCKED', `${target.directory} is open for writing in another process: ${advice}`, {
    path: held,
    reason: 'held',
  });
}

import { peekLock } from './lock-content.js';
import { livenessOf } from './lock-liveness.js';

/**
 * Whether a lock file is held by a process that is alive, found out without taking the lock, so that no other process
 * is kept from taking it.
 *
 * @returns `undefined` where that is not known
 */
export function isHeld(path: string): boolean | undefined {
  try {
    const content = peekLock(path);
    if (content?.state !== 'held') return false;
    const liveness = livenessOf(content.holder);
    return liveness === 'unknown' ? undefined : liveness === 'alive';
  } catch {
    return undefined;
  }
}

import { unlinkSync } from 'node:fs';
import { attempt, overwriteLock, readLock } from './lock-content.js';
import { encodeHeld, type LockHolder, type LockState } from './lock-holder.js';
import { kernelDecides, refuseHeld } from './refuse-held.js';
import { createTakeover, removeTakeover } from './takeover-file.js';

/**
 * Takes over the lock of a holder that is dead, or has released it: writes this holder into the lock file, under the takeover
 * file. A process that is killed in here leaves the takeover file behind, so this does as little as possible; in particular a
 * holder that was found dead is not checked again.
 */
export function takeOver(path: string, fd: number, me: LockHolder, seen: LockState | undefined): void {
  const content = encodeHeld(me);
  const takeover = `${path}.takeover`;
  createTakeover(path, takeover, me);
  try {
    const now = readLock(fd);
    if (!isSameHolder(now, seen) && !kernelDecides(now, me.kernelLock)) refuseHeld(path, now);
    overwriteLock(path, fd, content);
    removeTakeover(takeover);
  } catch (error) {
    attempt(() => unlinkSync(takeover));
    throw error;
  }
}

const isSameHolder = (one: LockState | undefined, other: LockState | undefined): boolean =>
  one?.state === 'held' && other?.state === 'held' && one.holder.id === other.holder.id;

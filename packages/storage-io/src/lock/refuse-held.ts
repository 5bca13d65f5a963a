import { refusal } from './lock-errors.js';
import type { LockState } from './lock-holder.js';
import { livenessOf } from './lock-liveness.js';

/**
 * Whether the kernel decides if the holder is alive: the kernel's lock on the file is released when the holder dies.
 * `kernelLock`: whether the caller has that lock, or is going to request it.
 */
export const kernelDecides = (content: LockState | undefined, kernelLock: boolean): boolean =>
  kernelLock && content?.state === 'held' && content.holder.kernelLock;

/** Ids of holders of this thread that released their lock but could not write that into the file: they no longer count. */
export const released = new Set<string>();

/** @throws `WAL_LOCKED` when the content names a holder that is alive, or may be */
export function refuseHeld(path: string, content: LockState | undefined): void {
  if (content?.state !== 'held' || released.has(content.holder.id)) return;
  const { holder } = content;
  const liveness = livenessOf(holder);
  if (liveness === 'dead') return;
  throw refusal(path, holder, liveness);
}

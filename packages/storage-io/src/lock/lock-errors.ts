import { WalError } from '@walstack/codec';
import { type LockHolder, thisPidNamespace } from './lock-holder.js';
import type { Liveness } from './lock-liveness.js';

/** The error for a lock whose holder is alive, or may be. */
export function refusal(path: string, holder: LockHolder, liveness: Exclude<Liveness, 'dead'>): WalError {
  if (liveness === 'unknown') {
    return new WalError(
      'WAL_LOCKED',
      `${path} is held by ${nameOf(holder)} of another process id namespace (${holder.pidNamespace || 'not known'}, here it is ` +
        `${thisPidNamespace() || 'not known'}), and whether that process is alive cannot be seen from here: close the log there; if that ` +
        `container is gone, or the machine was restarted since, remove ${path} by hand`,
      { path, holder: nameOf(holder), reason: 'held-elsewhere' },
    );
  }
  return held(path, holder);
}

/** The error for a lock whose holder is alive. */
export function held(path: string, holder: LockHolder): WalError {
  const mine = holder.pid === process.pid && holder.pidNamespace === thisPidNamespace();
  const whose = mine ? `this process (${nameOf(holder)})` : nameOf(holder);
  return new WalError('WAL_LOCKED', `${path} is held by ${whose}: close the log there, then try again`, {
    path,
    holder: nameOf(holder),
    reason: 'held',
  });
}

/** The process that holds a lock, and its thread where it is not the main one. */
export const nameOf = (holder: LockHolder): string =>
  holder.thread === 0 || holder.thread === holder.pid
    ? `process ${holder.pid}`
    : `process ${holder.pid}, thread ${holder.thread}`;

import { isKernelsBoot, type LockHolder, thisBoot, thisPidNamespace, thisTimeNamespace } from './lock-holder.js';
import { allThreadsDead, GONE, isDead, processExists, readTask } from './process-liveness.js';

/** `unknown`: it lives or lived where this process cannot look. */
export type Liveness = 'alive' | 'dead' | 'unknown';

/** Whether the holder of a lock still lives. What cannot be found out counts as alive. */
export function livenessOf(holder: LockHolder): Liveness {
  if (differ(holder.bootId, thisBoot())) {
    if (holder.kernelsBoot && isKernelsBoot()) return 'dead';
    // A container may have been given a boot id of its own. In one namespace a number is one process, after a restart too.
    if (holder.pidNamespace === '' || thisPidNamespace() === '') return 'unknown';
  }
  if (differ(holder.pidNamespace, thisPidNamespace())) return 'unknown';
  if (isAlive(holder)) return 'alive';
  return isOneNamespace(holder) ? 'dead' : 'unknown';
}

/** Whether the process of a holder's number here is the holder, as far as can be seen. */
function isAlive(holder: LockHolder): boolean {
  if (!processExists(holder.pid)) return false;
  const task = readTask(holder.pid);
  // Without /proc there is only the number; with it, the process may have gone since it was looked for, or be hidden.
  if (task === undefined || task === GONE) return processExists(holder.pid);
  if (startsDiffer(holder, holder.startTime, task.startTime)) return false;
  if (isDead(task)) return !allThreadsDead(holder.pid);
  return !threadIsGone(holder);
}

/** Whether a number means the same process to the holder as it does here. Only Linux has more than one namespace of them. */
const isOneNamespace = (holder: LockHolder): boolean =>
  process.platform !== 'linux' || (holder.pidNamespace !== '' && thisPidNamespace() !== '');

/**
 * Whether the process lives on but the worker thread that took the lock has ended. Node.js ends a worker only when its
 * file operations have.
 */
function threadIsGone(holder: LockHolder): boolean {
  if (holder.thread === 0) return false;
  const task = readTask(holder.pid, holder.thread);
  return task === GONE || (task !== undefined && startsDiffer(holder, holder.threadStartTime, task.startTime));
}

/** Whether two tasks of one number are not the same. In another time namespace the same start is told as another time. */
const startsDiffer = (holder: LockHolder, one: string, other: string): boolean =>
  !differ(holder.timeNamespace, thisTimeNamespace()) && differ(one, other);

/** Whether both are known and not the same. */
const differ = (one: string, other: string): boolean => one !== '' && other !== '' && one !== other;

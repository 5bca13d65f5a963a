import { isKernelsBoot, type LockHolder, thisBoot, thisPidNamespace, thisTimeNamespace } from './lock-holder.js';
import { allThreadsDead, GONE, isDead, processExists, readTask } from './process-liveness.js';

/** `unknown`: the holder is or was in a namespace that cannot be seen from here. */
export type Liveness = 'alive' | 'dead' | 'unknown';

/** Whether the holder of a lock is alive. In doubt it is not reported as `dead`. */
export function livenessOf(holder: LockHolder): Liveness {
  if (differ(holder.bootId, thisBoot())) {
    if (holder.kernelsBoot && isKernelsBoot()) return 'dead';
    // A container may have a boot id of its own. Within one pid namespace a pid still identifies a process, after a
    // restart too.
    if (holder.pidNamespace === '' || thisPidNamespace() === '') return 'unknown';
  }
  if (differ(holder.pidNamespace, thisPidNamespace())) return 'unknown';
  if (isAlive(holder)) return 'alive';
  return isOneNamespace(holder) ? 'dead' : 'unknown';
}

/** Whether the process with the holder's pid here is the holder, as far as can be seen. */
function isAlive(holder: LockHolder): boolean {
  if (!processExists(holder.pid)) return false;
  const task = readTask(holder.pid);
  // Without /proc there is only the pid; with it, the process may have ended since it was found, or be hidden.
  if (task === undefined || task === GONE) return processExists(holder.pid);
  if (startsDiffer(holder, holder.startTime, task.startTime)) return false;
  if (isDead(task)) return !allThreadsDead(holder.pid);
  return !threadIsGone(holder);
}

/** Whether a pid is known to mean the same process to the holder as here. Only Linux has several pid namespaces. */
const isOneNamespace = (holder: LockHolder): boolean =>
  process.platform !== 'linux' || (holder.pidNamespace !== '' && thisPidNamespace() !== '');

/**
 * Whether the worker thread that took the lock has ended while its process lives on. Node.js ends a worker only after
 * its file operations have ended.
 */
function threadIsGone(holder: LockHolder): boolean {
  if (holder.thread === 0) return false;
  const task = readTask(holder.pid, holder.thread);
  return task === GONE || (task !== undefined && startsDiffer(holder, holder.threadStartTime, task.startTime));
}

/** Whether two tasks with one id are different ones. Start times are comparable only within one time namespace. */
const startsDiffer = (holder: LockHolder, one: string, other: string): boolean =>
  !differ(holder.timeNamespace, thisTimeNamespace()) && differ(one, other);

/** Whether both are known and differ. */
const differ = (one: string, other: string): boolean => one !== '' && other !== '' && one !== other;

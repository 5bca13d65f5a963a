import { isKernelsBoot, type LockHolder, thisBoot, thisPidNamespace } from './lock-holder.js';
import { allThreadsDead, isDead, processExists, readTask } from './process-liveness.js';

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
  if (!processExists(holder.pid)) return 'dead';
  const task = readTask(holder.pid);
  // Without /proc there is only the number; with it, the process may have gone since it was looked for.
  if (task === undefined) return processExists(holder.pid) ? 'alive' : 'dead';
  if (differ(holder.startTime, task.startTime)) return 'dead';
  if (isDead(task)) return allThreadsDead(holder.pid) ? 'dead' : 'alive';
  return threadIsGone(holder) ? 'dead' : 'alive';
}

/**
 * Whether the process lives on but the worker thread that took the lock has ended. Node.js ends a worker only when its
 * file operations have.
 */
function threadIsGone(holder: LockHolder): boolean {
  if (holder.thread === 0) return false;
  const task = readTask(holder.pid, holder.thread);
  return task === undefined || differ(holder.threadStartTime, task.startTime);
}

/** Whether both are known and not the same. */
const differ = (one: string, other: string): boolean => one !== '' && other !== '' && one !== other;

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { nameOfError } from '../errors/system-error.js';

/** What Linux tells of a process or thread. */
export interface Task {
  /** `R`, `S`, `D` …; `Z` and `X` are dead. */
  readonly state: string;
  /** In clock ticks since the machine started. */
  readonly startTime: string;
}

/** A task that was looked for and is not there. */
export const GONE = 'gone';

/** Whether `/proc` shows processes by the numbers that this process knows them by: a sandbox may show those of its host. */
export function procIsOwn(): boolean {
  try {
    return readlinkSync('/proc/self') === String(process.pid);
  } catch {
    return false;
  }
}

/**
 * What `/proc` says of a process or of one of its threads; `undefined` when it says nothing, and {@link GONE} when there is
 * none of that number, or none that this process may see.
 */
export function readTask(pid: number, thread?: number): Task | typeof GONE | undefined {
  if (!procIsOwn()) return undefined;
  const path = thread === undefined ? `/proc/${pid}/stat` : `/proc/${pid}/task/${thread}/stat`;
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    const name = nameOfError(error);
    return name === 'ENOENT' || name === 'ESRCH' ? GONE : undefined;
  }
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  return state === undefined || startTime === undefined ? undefined : { state, startTime };
}

/** Whether a process of this number exists, dead ones included that their parent has not waited for. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Whether the task has ended and only waits for its parent to notice. */
export const isDead = (task: Task): boolean => task.state === 'Z' || task.state === 'X';

/**
 * Whether every thread of a process has ended. A killed process whose main thread is gone may still have another one in
 * the middle of a write.
 */
export function allThreadsDead(pid: number): boolean {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return !processExists(pid);
  }
  return threads.every((thread) => {
    const task = readTask(pid, Number(thread));
    return task === GONE || (task !== undefined && isDead(task));
  });
}

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { nameOfError } from '../errors/system-error.js';

/** The state of a process or thread, as Linux reports it. */
export interface Task {
  /** `R`, `S`, `D` …; `Z` and `X` are dead. */
  readonly state: string;
  /** In clock ticks since boot. */
  readonly startTime: string;
}

/** The task does not exist. */
export const GONE = 'gone';

/** Whether `/proc` belongs to this process's pid namespace: a sandbox may show that of its host. */
export function procIsOwn(): boolean {
  try {
    return readlinkSync('/proc/self') === String(process.pid);
  } catch {
    return false;
  }
}

/**
 * Reads the state of a process or of one of its threads from `/proc`; `undefined` when that is not readable, and {@link
 * GONE} when there is none with that id, or none that this process may see.
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
  // The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  return state === undefined || startTime === undefined ? undefined : { state, startTime };
}

/** Whether a process with this pid exists; dead ones that their parent has not waited for are included. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists, and belongs to another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Whether the task has ended and its parent has not waited for it yet. */
export const isDead = (task: Task): boolean => task.state === 'Z' || task.state === 'X';

/**
 * Whether every thread of a process has ended. A killed process whose main thread has ended may still have another
 * thread in the middle of a write.
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

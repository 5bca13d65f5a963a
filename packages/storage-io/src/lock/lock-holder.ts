import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { GONE, procIsOwn, readTask } from './process-liveness.js';

/** The holder of a lock. What the platform does not tell is empty, or 0 for the thread. */
export interface LockHolder {
  /** Random, made anew for every attempt to lock. */
  readonly id: string;
  readonly pid: number;
  /** The operating system's number of the thread in that process. */
  readonly thread: number;
  /** Fresh whenever the machine starts, and perhaps in every container. */
  readonly bootId: string;
  /** Whether the boot id is known to be the kernel's own, and not one that a container was given. */
  readonly kernelsBoot: boolean;
  /** In which process ids mean the same processes. */
  readonly pidNamespace: string;
  /** In which times since the machine was started are told alike. */
  readonly timeNamespace: string;
  /** When the process started, in clock ticks since the machine did: tells it from a later one with its number. */
  readonly startTime: string;
  /** The same of the thread. */
  readonly threadStartTime: string;
  /** Whether the kernel has locked the file for it as well: when it has not, the holder is gone, wherever it was. */
  readonly kernelLock: boolean;
}

/** What a lock file says. */
export type LockState = { readonly state: 'free' } | { readonly state: 'held'; readonly holder: LockHolder };

/** Every content of a lock file is as long as this, so that one overwrites another in place, without a free block. */
export const LOCK_BYTES = 512;

const MAGIC = 'walstack-lock';

/** The calling thread, as a holder of a lock. */
export function thisHolder(kernelLock: boolean): LockHolder {
  const thread = procIsOwn() ? Number(whatever(() => readlinkSync('/proc/thread-self').split('/').at(-1)) || '0') : 0;
  return {
    id: randomUUID(),
    pid: process.pid,
    thread,
    bootId: thisBoot(),
    kernelsBoot: isKernelsBoot(),
    pidNamespace: thisPidNamespace(),
    timeNamespace: thisTimeNamespace(),
    startTime: startOf(process.pid),
    threadStartTime: thread === 0 ? '' : startOf(process.pid, thread),
    kernelLock,
  };
}

function startOf(pid: number, thread?: number): string {
  const task = readTask(pid, thread);
  return task === undefined || task === GONE ? '' : task.startTime;
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** The running system, or empty. */
export const thisBoot = (): string => whatever(() => readFileSync(BOOT_ID, 'utf8').trim());

/** Whether the file with the boot id is known to be the kernel's: a container may have another one mounted over it. */
export const isKernelsBoot = (): boolean =>
  fileSystemOf(
    BOOT_ID,
    whatever(() => readFileSync('/proc/self/mountinfo', 'utf8')),
  ) === 'proc';

/** The type of the file system that a path lies on, by what `/proc/self/mountinfo` says; `undefined` when it does not say. */
export function fileSystemOf(path: string, mountinfo: string): string | undefined {
  let longest = -1;
  let type: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const mountPoint = (fields[4] ?? '').replace(/\/$/, '');
    const separator = fields.indexOf('-', 6);
    if (separator === -1 || (path !== mountPoint && !path.startsWith(`${mountPoint}/`))) continue;
    // Of several at one place the last one is seen.
    if (mountPoint.length < longest) continue;
    longest = mountPoint.length;
    type = fields[separator + 1];
  }
  return type;
}

/** The process id namespace of this process, or empty. */
export const thisPidNamespace = (): string => whatever(() => readlinkSync('/proc/self/ns/pid'));

/** The time namespace of this process, or empty. */
export const thisTimeNamespace = (): string => whatever(() => readlinkSync('/proc/self/ns/time'));

/** The content of a lock file that is held by `holder`. */
export const encodeHeld = (holder: LockHolder): Uint8Array => padded(fieldsOf(holder));

/** The same as a text without padding. */
export const textOf = (holder: LockHolder): string => JSON.stringify(fieldsOf(holder));

const fieldsOf = ({ id, ...facts }: LockHolder): object => ({ format: MAGIC, id, state: 'held', ...facts, end: id });

/** The content of a lock file without a holder. */
export function encodeFree(): Uint8Array {
  const id = randomUUID();
  return padded({ format: MAGIC, id, state: 'free', end: id });
}

/** What the content of a lock file says; `undefined` when it is none, or was caught while it was being overwritten. */
export function decodeLock(content: Uint8Array): LockState | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = { ...JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content)) };
  } catch {
    return undefined;
  }
  const { format, id, state, end, pid, thread, bootId, pidNamespace, timeNamespace } = fields;
  const { startTime, threadStartTime } = fields;
  const kernelLock = fields['kernelLock'] === true;
  const kernelsBoot = fields['kernelsBoot'] === true;
  // The same id at both ends: half an old content and half a new one do not pass for a whole one.
  if (format !== MAGIC || !isText(id) || id === '' || id !== end) return undefined;
  if (state === 'free') return { state };
  if (state !== 'held' || !isCount(pid) || pid === 0 || !isCount(thread)) return undefined;
  if (!isText(bootId) || !isText(pidNamespace) || !isText(startTime) || !isText(threadStartTime)) return undefined;
  if (!isText(timeNamespace)) return undefined;
  const where = { bootId, kernelsBoot, pidNamespace, timeNamespace };
  return { state, holder: { id, pid, thread, ...where, startTime, threadStartTime, kernelLock } };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff_ffff;

function padded(fields: object): Uint8Array {
  const text = JSON.stringify(fields);
  return new TextEncoder().encode(`${text.padEnd(LOCK_BYTES - 1)}\n`);
}

/** What a platform without `/proc` cannot tell is empty. */
function whatever(read: () => string | undefined): string {
  try {
    return read() ?? '';
  } catch {
    return '';
  }
}

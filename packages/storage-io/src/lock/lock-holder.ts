import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { GONE, procIsOwn, readTask } from './process-liveness.js';

/** The holder of a lock. What the platform does not provide is empty, or 0 for the thread. */
export interface LockHolder {
  /** Random, new for every attempt to lock. */
  readonly id: string;
  readonly pid: number;
  /** The operating system's id of the thread. */
  readonly thread: number;
  /** New at every start of the machine; a container may have one of its own. */
  readonly bootId: string;
  /** Whether the boot id is known to be the kernel's, and not a container's own. */
  readonly kernelsBoot: boolean;
  /** The namespace in which the process id is valid. */
  readonly pidNamespace: string;
  /** The namespace in which start times are comparable. */
  readonly timeNamespace: string;
  /** When the process started, in clock ticks since boot: distinguishes it from a later process with the same id. */
  readonly startTime: string;
  /** The same for the thread. */
  readonly threadStartTime: string;
  /** Whether it has the kernel's lock on the file as well: if so, and that lock is free, then the holder is gone. */
  readonly kernelLock: boolean;
}

/** The decoded content of a lock file. */
export type LockState = { readonly state: 'free' } | { readonly state: 'held'; readonly holder: LockHolder };

/** The length of every content of a lock file, so that one overwrites another in place and needs no free block. */
export const LOCK_BYTES = 512;

const MAGIC = 'walstack-lock';

/** The calling thread, as a holder of a lock. */
export function thisHolder(kernelLock: boolean): LockHolder {
  const thread = procIsOwn() ? Number(orEmpty(() => readlinkSync('/proc/thread-self').split('/').at(-1)) || '0') : 0;
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

/** The boot id of the running system, or empty. */
export const thisBoot = (): string => orEmpty(() => readFileSync(BOOT_ID, 'utf8').trim());

/** Whether the boot id file is known to be the kernel's: a container may have another file mounted over it. */
export const isKernelsBoot = (): boolean =>
  fileSystemOf(
    BOOT_ID,
    orEmpty(() => readFileSync('/proc/self/mountinfo', 'utf8')),
  ) === 'proc';

/** The type of the file system that a path lies on, from the text of `/proc/self/mountinfo`; else `undefined`. */
export function fileSystemOf(path: string, mountinfo: string): string | undefined {
  let longest = -1;
  let type: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const mountPoint = (fields[4] ?? '').replace(/\/$/, '');
    const separator = fields.indexOf('-', 6);
    if (separator === -1 || (path !== mountPoint && !path.startsWith(`${mountPoint}/`))) continue;
    // Of several mounts at one path the last one is visible.
    if (mountPoint.length < longest) continue;
    longest = mountPoint.length;
    type = fields[separator + 1];
  }
  return type;
}

/** The process id namespace of this process, or empty. */
export const thisPidNamespace = (): string => orEmpty(() => readlinkSync('/proc/self/ns/pid'));

/** The time namespace of this process, or empty. */
export const thisTimeNamespace = (): string => orEmpty(() => readlinkSync('/proc/self/ns/time'));

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

/** Decodes the content of a lock file; `undefined` when it is not valid, or was read while it was being overwritten. */
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
  // The same id at both ends: a mixture of an old and a new content is not accepted.
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

/** The result of `read`; empty when it fails, as on a platform without `/proc`. */
function orEmpty(read: () => string | undefined): string {
  try {
    return read() ?? '';
  } catch {
    return '';
  }
}

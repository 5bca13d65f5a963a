import { checkInteger, checkOptions, invalidType, outOfRange } from './arguments.js';
import type { NativeRing } from './ring-binding.js';
import { requireNativeRing } from './ring-support.js';

/**
 * When the kernel posts completions of what the disk has finished: when the ring asks for them, at any system call of
 * the thread, or at once, interrupting the thread.
 */
export type RingTaskWork = 'deferred' | 'cooperative' | 'interrupting';

/** How a {@link Ring} is made. */
export interface RingOptions {
  /** Operations that can be put in before they have to be submitted; rounded up to a power of two. Default 256. */
  readonly entries?: number;
  /**
   * The size of the completion queue, beyond which the kernel keeps completions itself; at least `entries`. Default `4
   * * entries`.
   */
  readonly completionEntries?: number;
  /** Slots: the maximum number of operations in flight. 1 to 1,048,576. Default `completionEntries`. */
  readonly slots?: number;
  /**
   * Whether a kernel thread polls for submissions, so that submitting needs no system call. Operations then run with
   * the rights that the process had when the ring was made, also after `process.setuid` and similar calls: drop rights
   * first, then make the ring. Default `false`.
   */
  readonly kernelPolling?: boolean;
  /** After this many milliseconds without a submission, that thread sleeps until a system call wakes it. Default 1000. */
  readonly kernelPollingIdleMs?: number;
  /** The size of the table of registered buffers, 0 to 16,384. Default 0. Needs Linux 5.19. */
  readonly registeredBuffers?: number;
  /** Default: `'cooperative'` where the kernel supports it (Linux 5.19). Has no effect with `kernelPolling`. */
  readonly taskWork?: RingTaskWork;
}

/** Flags of {@link Ring.write} and the other operations. */
export const RingFlag = {
  /**
   * For a write: it completes when it is on stable storage (`RWF_DSYNC`), if its file system honours that: ext4 and xfs
   * do, FUSE and btrfs do not for direct writes.
   */
  durable: 1,
  /**
   * The next operation begins when this one has succeeded completely; otherwise it completes with `ECANCELED`. Both
   * have to be submitted together: see {@link Ring.room}.
   */
  linked: 2,
} as const;

/** Counters of a ring since it was made. */
export interface RingStats {
  /** `io_uring_enter` system calls. */
  readonly enters: number;
  /** Operations submitted to the kernel. */
  readonly submitted: number;
  /** Operations completed. */
  readonly completed: number;
  /** How often the submission queue was full. */
  readonly queueFull: number;
  /** How often completions had to be fetched that the kernel kept because the completion queue was full. */
  readonly overflows: number;
  /** How often the kernel temporarily refused operations (`EAGAIN`, `EBUSY`). */
  readonly refused: number;
  /** How often the kernel returned from waiting too early, for instance because of a signal (`EINTR`). */
  readonly interrupted: number;
  /** Reads and writes of registered buffers. */
  readonly fixedBuffer: number;
}

const ENTRIES_MAX = 32_768;
const SLOTS_MAX = 1_048_576;
const PLACES_MAX = 16_384;
const IDLE_MS_MAX = 0x7fff_ffff;
const TIMEOUT_MS_MAX = 0x7fff_ffff;

const TASK_WORK: readonly (RingTaskWork | undefined)[] = [undefined, 'deferred', 'cooperative', 'interrupting'];
const SETUP_SQPOLL = 1 << 1;
const SETUP_COOP_TASKRUN = 1 << 8;
const SETUP_DEFER_TASKRUN = 1 << 13;

const NOTHING = new Uint8Array(0);

const KNOWN: Readonly<Record<keyof RingOptions, true>> = {
  entries: true,
  completionEntries: true,
  slots: true,
  kernelPolling: true,
  kernelPollingIdleMs: true,
  registeredBuffers: true,
  taskWork: true,
};
const OPTIONS = Object.keys(KNOWN);

/**
 * An io_uring ring: operations are queued, submitted to the kernel together, and complete in any order.
 *
 * The caller identifies each operation by a slot, from 0 to below `slots`, which is free again when the operation was
 * reaped. Queuing (`write` …) makes no system call, and returns `false` when the queue is full: submit, then queue it
 * again. Results are bytes, 0, or `-errno`; a write or read may move fewer bytes than requested.
 *
 * The kernel uses the memory of an operation until the operation was reaped: its `ArrayBuffer` must not be transferred
 * or resized meanwhile, nor may its `WebAssembly.Memory` grow. The ring prevents that memory, and the ring itself, from
 * being garbage-collected; and a worker thread ends only after the kernel no longer uses any of it.
 *
 * A ring keeps the process alive while it has operations in flight. It belongs to the thread that made it.
 */
export class Ring {
  /** The number of slots. */
  readonly slots: number;
  /** The descriptor of the ring, as `/proc/self/fd` shows it. */
  readonly fd: number;
  /** Whether {@link truncate} works: Linux 6.9. */
  readonly canTruncate: boolean;
  /** The size of the completion queue. */
  readonly completionEntries: number;
  /** `undefined` with kernel polling. */
  readonly taskWork: RingTaskWork | undefined;
  readonly #native: NativeRing;
  /** By slot, the memory that the kernel uses. The addon keeps a reference to this ring as long as there is any. */
  readonly #lent: (Uint8Array | undefined)[];
  readonly #stats = new Float64Array(8);
  #queued = 0;
  #listener: (() => void) | undefined;

  /**
   * @throws `Error` with a `code` of the system when no ring can be made ({@link ringSupport} returns the reason);
   * `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary; `TypeError` (`ERR_INVALID_ARG_TYPE`),
   * `RangeError` (`ERR_OUT_OF_RANGE`)
   */
  constructor(options: RingOptions = {}) {
    checkOptions(options, OPTIONS);
    const { kernelPolling = false, taskWork } = options;
    const entries = checkInteger('entries', options.entries ?? 256, 1, ENTRIES_MAX);
    const completionEntries = checkInteger(
      'completionEntries',
      options.completionEntries ?? Math.min(4 * entries, 2 * ENTRIES_MAX),
      entries,
      2 * ENTRIES_MAX,
    );
    this.slots = checkInteger('slots', options.slots ?? completionEntries, 1, SLOTS_MAX);
    const idleMs = checkInteger('kernelPollingIdleMs', options.kernelPollingIdleMs ?? 1000, 1, IDLE_MS_MAX);
    const places = checkInteger('registeredBuffers', options.registeredBuffers ?? 0, 0, PLACES_MAX);
    if (typeof kernelPolling !== 'boolean') throw invalidType('kernelPolling', 'a boolean', kernelPolling);
    const way = TASK_WORK.indexOf(taskWork);
    if (way === -1) throw outOfRange('taskWork', "'deferred', 'cooperative' or 'interrupting'", taskWork);
    const Native = requireNativeRing();
    this.#native = new Native(entries, completionEntries, this.slots, kernelPolling ? idleMs : -1, way, places);
    this.#lent = new Array(this.slots);
    this.fd = this.#native.fd;
    this.canTruncate = this.#native.canTruncate;
    this.completionEntries = this.#native.completionEntries;
    this.taskWork = taskWorkOf(this.#native.setupFlags);
    this.#native.onReady = () => this.#listener?.();
  }

  /** Operations queued and not yet submitted. */
  get queued(): number {
    return this.#queued;
  }

  /** How many more operations can be queued before {@link submit}. A chain of linked operations needs room for all. */
  get room(): number {
    return this.#native.room();
  }

  /** Writes `data` at `offset`. With a buffer index, `data` must be in the buffer registered there. */
  write(slot: number, fd: number, data: Uint8Array, offset: number, flags = 0, place = -1): boolean {
    return this.#lend(slot, data, this.#native.write(slot, fd, data, offset, flags, place));
  }

  /** Reads into `into` from `offset`. With a buffer index, `into` must be in the buffer registered there. */
  read(slot: number, fd: number, into: Uint8Array, offset: number, flags = 0, place = -1): boolean {
    return this.#lend(slot, into, this.#native.read(slot, fd, into, offset, flags, place));
  }

  /** Makes durable what was written before this begins, and the file size. */
  datasync(slot: number, fd: number, flags = 0): boolean {
    return this.#count(this.#native.sync(slot, fd, true, flags));
  }

  /** The same with all metadata of the file; also for a directory. */
  sync(slot: number, fd: number, flags = 0): boolean {
    return this.#count(this.#native.sync(slot, fd, false, flags));
  }

  /** Reserves a range; the file then extends at least to its end. */
  allocate(slot: number, fd: number, offset: number, bytes: number, flags = 0): boolean {
    return this.#count(this.#native.allocate(slot, fd, offset, bytes, flags));
  }

  /** Truncates or extends a file. `EINVAL` unless {@link canTruncate}. */
  truncate(slot: number, fd: number, bytes: number, flags = 0): boolean {
    return this.#count(this.#native.truncate(slot, fd, bytes, flags));
  }

  /** Removes a file. */
  remove(slot: number, path: string, flags = 0): boolean {
    if (typeof path !== 'string' || path.includes('\0')) throw invalidType('path', 'a string without zeros', path);
    const bytes = new TextEncoder().encode(`${path}\0`);
    return this.#lend(slot, bytes, this.#native.remove(slot, bytes, flags));
  }

  /**
   * Requests that the operation in a slot is cancelled. If the kernel has not begun it, its result is `ECANCELED`; in
   * any case it completes exactly once.
   */
  cancel(slot: number): boolean {
    return this.#count(this.#native.cancel(slot));
  }

  /**
   * Submits what was queued, by one system call or none, and returns how many operations those were. What the kernel
   * temporarily refuses stays queued, and can be submitted when others have completed.
   *
   * @throws `Error` with the `code` of the system's error
   */
  submit(): number {
    return this.#handedOver(this.#native.submit());
  }

  /**
   * Submits what was queued and blocks the thread until at least `minimum` operations can be reaped, or as many as are
   * in flight; by one system call, or none when they can be reaped already. Reap them afterwards: the listener is not
   * called for them.
   *
   * @param timeoutMs - the maximum time in milliseconds, 0 to 2,147,483,647. Default: no limit
   * @returns how many operations were submitted
   * @throws `Error` with the `code` of the system's error
   */
  wait(minimum: number, timeoutMs?: number): number {
    const limit = timeoutMs === undefined ? -1 : checkInteger('timeoutMs', timeoutMs, 0, TIMEOUT_MS_MAX);
    return this.#handedOver(this.#native.wait(minimum, limit));
  }

  /**
   * Reaps completions: puts the slots into `slots` and the results at the same indices into `results`, and returns how
   * many there were, up to the length of both. Never waits.
   *
   * @throws `Error` with the `code` of the system's error, when there are none because the ring itself failed
   */
  reap(slots: Int32Array, results: Int32Array): number {
    const count = this.#native.reap(slots, results);
    for (let index = 0; index < count; index++) this.#lent[slots[index] as number] = undefined;
    return count;
  }

  /**
   * Calls `listener` on the event loop when something can be reaped, sometimes without need. It must reap until there
   * is nothing more (a count below the length of the arrays): it is not called again for what it leaves. One listener
   * at a time; `undefined` removes it.
   */
  onReady(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  /**
   * Registers memory at an index: the kernel keeps it pinned, so that operations with this index need not pin it. No
   * operation with this index may be in flight.
   *
   * @throws `Error` with a `code`: `ENOMEM` when there is more than may be locked (`ulimit -l`)
   */
  registerBuffer(place: number, data: Uint8Array): void {
    this.#native.setBuffer(place, data);
  }

  /** Removes the buffer at an index. */
  unregisterBuffer(place: number): void {
    this.#native.setBuffer(place, NOTHING);
  }

  stats(): RingStats {
    this.#native.counters(this.#stats);
    const [enters, submitted, completed, queueFull, overflows, refused, interrupted, fixedBuffer] = this
      .#stats as unknown as readonly [number, number, number, number, number, number, number, number];
    return Object.freeze({ enters, submitted, completed, queueFull, overflows, refused, interrupted, fixedBuffer });
  }

  /**
   * Ends the ring. What was not submitted is dropped; what was submitted is cancelled where possible, and waited for:
   * the kernel no longer uses any memory when this returns, also after the ring itself has failed. Every other call
   * except `stats` is then an `Error` (`ERR_WALSTACK_RING_CLOSED`). Idempotent.
   */
  close(): void {
    this.#native.close();
    this.#listener = undefined;
    this.#lent.length = 0;
    this.#queued = 0;
  }

  #lend(slot: number, memory: Uint8Array, putIn: boolean): boolean {
    if (putIn) this.#lent[slot] = memory;
    return this.#count(putIn);
  }

  #count(putIn: boolean): boolean {
    if (putIn) this.#queued += 1;
    return putIn;
  }

  #handedOver(left: number): number {
    const count = this.#queued - left;
    this.#queued = left;
    return count;
  }
}

function taskWorkOf(setupFlags: number): RingTaskWork | undefined {
  if (setupFlags & SETUP_SQPOLL) return undefined;
  if (setupFlags & SETUP_DEFER_TASKRUN) return 'deferred';
  return setupFlags & SETUP_COOP_TASKRUN ? 'cooperative' : 'interrupting';
}

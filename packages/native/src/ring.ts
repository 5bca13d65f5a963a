import { checkInteger, checkOptions, invalidType, outOfRange } from './arguments.js';
import type { NativeRing } from './ring-binding.js';
import { requireNativeRing } from './ring-support.js';

/**
 * When the kernel finishes off what the disk has answered: when it is asked to, when the thread enters it for whatever
 * reason, or at once, interrupting the thread.
 */
export type RingTaskWork = 'deferred' | 'cooperative' | 'interrupting';

/** How a {@link Ring} is made. */
export interface RingOptions {
  /** Operations that can be put in before they have to be submitted; rounded up to a power of two. Default 256. */
  readonly entries?: number;
  /** Completions that have room before the kernel has to keep them back; at least `entries`. Default `4 * entries`. */
  readonly completionEntries?: number;
  /** Slots for operations: so many can be under way at a time. 1 to 1,048,576. Default `completionEntries`. */
  readonly slots?: number;
  /**
   * Whether a thread of the kernel looks for submissions, so that submitting needs no system call. Operations are then
   * carried out with the rights that the process had when the ring was made, also after `process.setuid` and its kin: give
   * up rights first, then make the ring. Default `false`.
   */
  readonly kernelPolling?: boolean;
  /** After so many milliseconds without any, that thread sleeps until it is woken by a system call. Default 1000. */
  readonly kernelPollingIdleMs?: number;
  /** Places for registered buffers, 0 to 16,384. Default 0. Needs Linux 5.19. */
  readonly registeredBuffers?: number;
  /** Default: `'cooperative'` where the kernel knows it (Linux 5.19). Says nothing with `kernelPolling`. */
  readonly taskWork?: RingTaskWork;
}

/** Bits that {@link Ring.write} and the others are given. */
export const RingFlag = {
  /**
   * Of a write: it completes when it is on stable storage (`RWF_DSYNC`), as far as its file system keeps that: ext4 and xfs
   * do, FUSE and btrfs do not for direct writes.
   */
  durable: 1,
  /**
   * The operation that is put in next begins when this one has succeeded in full, and else comes back as `ECANCELED`.
   * Both have to be handed over together: see {@link Ring.room}.
   */
  linked: 2,
} as const;

/** What a ring has counted since it was made. */
export interface RingStats {
  /** `io_uring_enter` system calls. */
  readonly enters: number;
  /** Operations handed to the kernel. */
  readonly submitted: number;
  /** Operations that came back. */
  readonly completed: number;
  /** Times that there was no room to put an operation in. */
  readonly queueFull: number;
  /** Times that the kernel had to be asked for completions that it kept back, since their queue was full. */
  readonly overflows: number;
  /** Times that the kernel would not take operations for the time being (`EAGAIN`, `EBUSY`). */
  readonly refused: number;
  /** Times that the kernel returned before what was waited for had come back, as it does for a signal (`EINTR`). */
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
 * A ring of io_uring: operations are put in, handed to the kernel together, and come back in any order.
 *
 * The caller names each operation by a slot, 0 up to `slots`, that is free again when the operation was reaped. Putting
 * in (`write` …) makes no system call, and returns `false` when there is no room: submit, then put it in again. Results
 * are bytes, 0, or `-errno`; a write or read may move fewer bytes than asked.
 *
 * Memory that was put in belongs to the kernel until the operation was reaped: its `ArrayBuffer` must not be transferred
 * or resized meanwhile, nor may a `WebAssembly.Memory` grow whose memory it is. The ring keeps it from being collected, itself too, whatever happens to the last reference; and when a
 * worker thread ends, it ends after the kernel has done with all of it.
 *
 * With something under way a ring keeps the process alive, else not. It belongs to the thread that made it.
 */
export class Ring {
  /** How many operations have a slot. */
  readonly slots: number;
  /** The descriptor of the ring, as `/proc/self/fd` shows it. */
  readonly fd: number;
  /** Whether {@link truncate} works: Linux 6.9. */
  readonly canTruncate: boolean;
  /** How many completions have room. */
  readonly completionEntries: number;
  /** `undefined` with kernel polling. */
  readonly taskWork: RingTaskWork | undefined;
  readonly #native: NativeRing;
  /** By slot, the memory that the kernel has. The addon holds on to this ring as long as there is any. */
  readonly #lent: (Uint8Array | undefined)[];
  readonly #stats = new Float64Array(8);
  #queued = 0;
  #listener: (() => void) | undefined;

  /**
   * @throws `Error` with a `code` of the system's when there is no ring to be had ({@link ringSupport} says why not);
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

  /** Put in and not yet handed over. */
  get queued(): number {
    return this.#queued;
  }

  /** How many more operations can be put in before {@link submit}. A chain of links needs room for all of it. */
  get room(): number {
    return this.#native.room();
  }

  /** Writes `data` at `offset`. With a place, `data` must lie in the buffer that is registered there. */
  write(slot: number, fd: number, data: Uint8Array, offset: number, flags = 0, place = -1): boolean {
    return this.#lend(slot, data, this.#native.write(slot, fd, data, offset, flags, place));
  }

  /** Reads into `into` from `offset`. With a place, `into` must lie in the buffer that is registered there. */
  read(slot: number, fd: number, into: Uint8Array, offset: number, flags = 0, place = -1): boolean {
    return this.#lend(slot, into, this.#native.read(slot, fd, into, offset, flags, place));
  }

  /** Makes durable what was written before this begins, and the size that is needed to find it. */
  datasync(slot: number, fd: number, flags = 0): boolean {
    return this.#count(this.#native.sync(slot, fd, true, flags));
  }

  /** The same with everything that the system knows about the file; also of a directory. */
  sync(slot: number, fd: number, flags = 0): boolean {
    return this.#count(this.#native.sync(slot, fd, false, flags));
  }

  /** Reserves a range; the file reaches at least to its end. */
  allocate(slot: number, fd: number, offset: number, bytes: number, flags = 0): boolean {
    return this.#count(this.#native.allocate(slot, fd, offset, bytes, flags));
  }

  /** Cuts or extends a file. `EINVAL` unless {@link canTruncate}. */
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
   * Asks that the operation in a slot comes back sooner. If the kernel has not begun with it, its result is `ECANCELED`;
   * in any case it comes back, once.
   */
  cancel(slot: number): boolean {
    return this.#count(this.#native.cancel(slot));
  }

  /**
   * Hands over what was put in, by one system call or none, and returns how many operations that were. What the kernel
   * does not take for the time being stays queued, and is taken when others came back.
   *
   * @throws `Error` with the `code` of the system's error
   */
  submit(): number {
    return this.#handedOver(this.#native.submit());
  }

  /**
   * Hands over what was put in and blocks the thread until at least `minimum` operations can be reaped, or as many as
   * are under way; by one system call, or none when they can be already. What came back is to be reaped then: no listener
   * is called for it.
   *
   * @param timeoutMs - milliseconds until it returns in any case, 0 to 2,147,483,647. Default: it does not
   * @returns how many operations were handed over
   * @throws `Error` with the `code` of the system's error
   */
  wait(minimum: number, timeoutMs?: number): number {
    const limit = timeoutMs === undefined ? -1 : checkInteger('timeoutMs', timeoutMs, 0, TIMEOUT_MS_MAX);
    return this.#handedOver(this.#native.wait(minimum, limit));
  }

  /**
   * Takes what came back: puts the slots into `slots` and beside them the results, and returns how many there were, up to
   * the length of both. Never waits.
   *
   * @throws `Error` with the `code` of the system's error, when nothing came back because the ring itself failed
   */
  reap(slots: Int32Array, results: Int32Array): number {
    const count = this.#native.reap(slots, results);
    for (let index = 0; index < count; index++) this.#lent[slots[index] as number] = undefined;
    return count;
  }

  /**
   * Has `listener` called on the event loop when something can be reaped, perhaps needlessly. It must reap until there is
   * nothing more (a count below the length of the arrays): it is not called again for what it leaves. One at a time;
   * `undefined` takes it away.
   */
  onReady(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  /**
   * Registers memory in a place: the kernel keeps it pinned, and operations that name the place save the work of pinning
   * it. Nothing that names the place may be under way.
   *
   * @throws `Error` with a `code`: `ENOMEM` when there is more than may be locked (`ulimit -l`)
   */
  registerBuffer(place: number, data: Uint8Array): void {
    this.#native.setBuffer(place, data);
  }

  /** Empties a place. */
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
   * Ends the ring. What was not handed over never happens; what was is cancelled where that is possible, and waited for:
   * the kernel has done with all memory when this returns, also after the ring itself has failed. Every other call but `stats` is then an `Error`
   * (`ERR_WALSTACK_RING_CLOSED`). Idempotent.
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

import type { Ring } from '@walstack/native';
import { RingFlag } from '@walstack/native';
import { isInterrupted, isLastPiece, REPEATS_MAX, wholeBlocks } from '../../engine/transfers/pieces.js';
import { errnoNamed } from '../../errors/system-error.js';
import type { RegisteredBuffers } from './registered-buffers.js';
import { SlotQueue } from './slot-queue.js';

/** The part of a ring that operations need. */
export type RingPort = Pick<
  Ring,
  | 'write'
  | 'read'
  | 'datasync'
  | 'sync'
  | 'allocate'
  | 'truncate'
  | 'remove'
  | 'submit'
  | 'wait'
  | 'reap'
  | 'onReady'
  | 'stats'
  | 'close'
  | 'queued'
  | 'canTruncate'
>;

/** The kinds of operation that a ring carries out. */
export const RingOperation = {
  read: 0,
  write: 1,
  durableWrite: 2,
  datasync: 3,
  sync: 4,
  allocate: 5,
  truncate: 6,
  remove: 7,
} as const;

export type RingOperation = (typeof RingOperation)[keyof typeof RingOperation];

/** Completions that are reaped from the ring at a time. */
const REAP_BATCH_MAX = 256;

const EIO = errnoNamed('EIO');
const EFAULT = errnoNamed('EFAULT');

/**
 * Operations of a ring, each from its beginning to its final result: short reads and writes are resumed, interrupted
 * ones repeated, and operations for which the ring has no room wait here. No object is allocated for an operation: its
 * state is in arrays, at the index of its slot.
 */
export class RingOperations {
  readonly #ring: RingPort;
  readonly #maxInRing: number;
  readonly #registered: Pick<RegisteredBuffers, 'bufferIndex'>;
  readonly #ended: (slot: number, result: number) => void;
  readonly #free: Int32Array;
  #freeLength: number;
  /** Begun, and not yet in the ring. */
  readonly #waiting: SlotQueue;
  #inRing = 0;
  #failedWith: number | undefined;

  readonly #operations: Uint8Array;
  readonly #fds: Int32Array;
  readonly #offsets: Float64Array;
  /** The length of the memory when it was given, the length of a range, or a file size. */
  readonly #bytes: Float64Array;
  readonly #memory: (Uint8Array | undefined)[];
  readonly #paths: (string | undefined)[];
  readonly #alignments: Int32Array;
  readonly #moved: Float64Array;
  readonly #repeats: Uint8Array;

  readonly #reapedSlots = new Int32Array(REAP_BATCH_MAX);
  readonly #reapedResults = new Int32Array(REAP_BATCH_MAX);

  /**
   * @param slots - how many operations there may be at a time, in the ring and waiting
   * @param maxInRing - how many may be in the ring at a time
   * @param registered - finds the index under which memory is registered
   * @param ended - called with the final result of a slot, which then is free again
   */
  constructor(
    ring: RingPort,
    slots: number,
    maxInRing: number,
    registered: Pick<RegisteredBuffers, 'bufferIndex'>,
    ended: (slot: number, result: number) => void,
  ) {
    this.#ring = ring;
    this.#maxInRing = maxInRing;
    this.#registered = registered;
    this.#ended = ended;
    this.#free = Int32Array.from({ length: slots }, (_, index) => slots - 1 - index);
    this.#freeLength = slots;
    this.#waiting = new SlotQueue(slots);
    this.#operations = new Uint8Array(slots);
    this.#fds = new Int32Array(slots);
    this.#offsets = new Float64Array(slots);
    this.#bytes = new Float64Array(slots);
    this.#memory = new Array(slots);
    this.#paths = new Array(slots);
    this.#alignments = new Int32Array(slots);
    this.#moved = new Float64Array(slots);
    this.#repeats = new Uint8Array(slots);
  }

  /** Submitted to the kernel and not yet completed. */
  get inKernel(): number {
    return this.#inRing - this.#ring.queued;
  }

  /** Whether something waits to be submitted to the kernel. */
  get unsubmitted(): boolean {
    return this.#waiting.length > 0 || this.#ring.queued > 0;
  }

  /** A slot for an operation that is begun in the same turn; the caller never takes more than there are. */
  takeSlot(): number {
    this.#freeLength -= 1;
    return this.#free[this.#freeLength] as number;
  }

  /** Begins to move all of `memory`; it and `offset` are multiples of `alignment`. Result: bytes moved. */
  transfer(
    slot: number,
    operation: typeof RingOperation.read | typeof RingOperation.write | typeof RingOperation.durableWrite,
    fd: number,
    memory: Uint8Array,
    offset: number,
    alignment: number,
  ): void {
    this.#memory[slot] = memory;
    this.#alignments[slot] = alignment;
    this.#moved[slot] = 0;
    this.#begin(slot, operation, fd, offset, memory.length);
  }

  /** Begins an operation without memory: a sync, or a change of the size of a file. Result: 0. */
  control(slot: number, operation: RingOperation, fd: number, offset: number, bytes: number): void {
    this.#begin(slot, operation, fd, offset, bytes);
  }

  /** Begins to remove a file. Result: 0. */
  remove(slot: number, path: string): void {
    this.#paths[slot] = path;
    this.#begin(slot, RingOperation.remove, -1, 0, 0);
  }

  /** Submits what was begun to the kernel, as far as it accepts it, and returns how many operations those were. */
  submit(): number {
    let count = 0;
    if (this.#failedWith !== undefined) return count;
    try {
      for (let goesOn = true; goesOn; ) {
        const had = this.#inRing;
        this.#prepareWaiting();
        const submitted = this.#ring.queued === 0 ? 0 : this.#ring.submit();
        count += submitted;
        // A full ring that a kernel thread empties may have no room although all of it was submitted: then completions make room.
        goesOn = this.#waiting.length > 0 && this.#ring.queued === 0 && (submitted > 0 || this.#inRing > had);
      }
    } catch (error) {
      this.#fail(error);
    }
    return count;
  }

  /** Reaps completions from the ring, and returns how many there were. */
  reap(): number {
    let total = 0;
    if (this.#failedWith !== undefined) return total;
    try {
      for (let count = REAP_BATCH_MAX; count === REAP_BATCH_MAX; ) {
        count = this.#ring.reap(this.#reapedSlots, this.#reapedResults);
        this.#inRing -= count;
        total += count;
        for (let index = 0; index < count; index++) {
          this.#onCompletion(this.#reapedSlots[index] as number, this.#reapedResults[index] as number);
        }
      }
      this.#prepareWaiting();
    } catch (error) {
      this.#fail(error);
    }
    return total;
  }

  /**
   * Submits everything and blocks until `minimum` operations have completed, or the time has passed; then reaps them,
   * and returns how many there were.
   */
  wait(minimum: number, timeoutMs: number | undefined): number {
    if (this.#failedWith !== undefined) return 0;
    try {
      this.#prepareWaiting();
      this.#ring.wait(minimum, timeoutMs);
    } catch (error) {
      this.#fail(error);
    }
    return this.reap();
  }

  #begin(slot: number, operation: RingOperation, fd: number, offset: number, bytes: number): void {
    this.#operations[slot] = operation;
    this.#fds[slot] = fd;
    this.#offsets[slot] = offset;
    this.#bytes[slot] = bytes;
    this.#repeats[slot] = 0;
    this.#enqueue(slot);
  }

  #enqueue(slot: number): void {
    if (this.#failedWith !== undefined) {
      this.#end(slot, this.#failedWith);
      return;
    }
    if (!this.#isIntact(slot)) this.#end(slot, EFAULT);
    else if (this.#waiting.length > 0 || !this.#tryPrepare(slot)) this.#waiting.push(slot);
  }

  #prepareWaiting(): void {
    while (this.#waiting.length > 0) {
      const slot = this.#waiting.first();
      const intact = this.#isIntact(slot);
      if (intact && !this.#tryPrepare(slot)) return;
      this.#waiting.drop();
      if (!intact) this.#end(slot, EFAULT);
    }
  }

  /** Whether the memory of an operation is what it was given: it may have been detached or resized meanwhile. */
  #isIntact(slot: number): boolean {
    const memory = this.#memory[slot];
    return memory === undefined || memory.length === this.#bytes[slot];
  }

  /** Puts an operation into the ring if there is room. Returns whether there was. */
  #tryPrepare(slot: number): boolean {
    if (this.#inRing >= this.#maxInRing || !this.#prepare(slot)) return false;
    this.#inRing += 1;
    return true;
  }

  #prepare(slot: number): boolean {
    const ring = this.#ring;
    const fd = this.#fds[slot] as number;
    const offset = this.#offsets[slot] as number;
    switch (this.#operations[slot]) {
      case RingOperation.read: {
        const rest = this.#rest(slot);
        return ring.read(slot, fd, rest, offset + (this.#moved[slot] as number), 0, this.#registered.bufferIndex(rest));
      }
      case RingOperation.write: {
        const rest = this.#rest(slot);
        return ring.write(
          slot,
          fd,
          rest,
          offset + (this.#moved[slot] as number),
          0,
          this.#registered.bufferIndex(rest),
        );
      }
      case RingOperation.durableWrite: {
        const rest = this.#rest(slot);
        const at = offset + (this.#moved[slot] as number);
        return ring.write(slot, fd, rest, at, RingFlag.durable, this.#registered.bufferIndex(rest));
      }
      case RingOperation.datasync:
        return ring.datasync(slot, fd);
      case RingOperation.sync:
        return ring.sync(slot, fd);
      case RingOperation.allocate:
        return ring.allocate(slot, fd, offset, this.#bytes[slot] as number);
      case RingOperation.truncate:
        return ring.truncate(slot, fd, this.#bytes[slot] as number);
      default:
        return ring.remove(slot, this.#paths[slot] as string);
    }
  }

  #rest(slot: number): Uint8Array {
    const memory = this.#memory[slot] as Uint8Array;
    const moved = this.#moved[slot] as number;
    return moved === 0 ? memory : memory.subarray(moved);
  }

  #onCompletion(slot: number, result: number): void {
    const operation = this.#operations[slot] as RingOperation;
    const moves = operation <= RingOperation.durableWrite;
    if (!this.#isIntact(slot)) {
      // How many bytes were moved, and where to, is not known.
      this.#end(slot, EFAULT);
    } else if (isInterrupted(result) && (moves || operation === RingOperation.allocate)) {
      this.#repeat(slot, result);
    } else if (result < 0 || !moves) {
      this.#end(slot, result);
    } else {
      this.#advance(slot, operation === RingOperation.read, result);
    }
  }

  /** A piece of `count` bytes was moved. */
  #advance(slot: number, reading: boolean, count: number): void {
    const alignment = this.#alignments[slot] as number;
    const moved = (this.#moved[slot] as number) + count;
    if (isLastPiece(reading, count, moved, this.#bytes[slot] as number, alignment)) {
      this.#end(slot, moved);
      return;
    }
    if (count === 0) {
      this.#end(slot, EIO);
      return;
    }
    const whole = wholeBlocks(count, alignment);
    this.#moved[slot] = (this.#moved[slot] as number) + whole;
    if (whole === 0) {
      this.#repeat(slot, EIO);
      return;
    }
    this.#repeats[slot] = 0;
    this.#enqueue(slot);
  }

  #repeat(slot: number, failure: number): void {
    const repeats = (this.#repeats[slot] as number) + 1;
    this.#repeats[slot] = repeats;
    if (repeats > REPEATS_MAX) this.#end(slot, failure);
    else this.#enqueue(slot);
  }

  #end(slot: number, result: number): void {
    this.#memory[slot] = undefined;
    this.#paths[slot] = undefined;
    this.#free[this.#freeLength] = slot;
    this.#freeLength += 1;
    this.#ended(slot, result);
  }

  /**
   * The ring itself has failed, not one operation. Nothing that is reported as failed may reach the disk later: so the
   * ring is closed, which waits for the kernel, and everything in flight ends with the failure.
   *
   * @throws `error` when it is not a failure of the system, after everything in flight has ended
   */
  #fail(error: unknown): void {
    if (this.#failedWith !== undefined) return;
    const given = (error as NodeJS.ErrnoException | undefined)?.errno;
    const errno = typeof given === 'number' ? given : EIO;
    this.#failedWith = errno;
    this.#ring.close();
    const free = new Set(this.#free.subarray(0, this.#freeLength));
    while (this.#waiting.length > 0) this.#waiting.drop();
    this.#inRing = 0;
    for (let slot = 0; slot < this.#free.length; slot++) if (!free.has(slot)) this.#end(slot, errno);
    if (typeof given !== 'number') throw error;
  }
}

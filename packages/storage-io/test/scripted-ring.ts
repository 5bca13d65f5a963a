import type { RingStats } from '@walstack/native';
import type { RingPort } from '../src/backends/io-uring/completions-to-results.js';

/** An operation as a ring is given it. */
export interface ScriptedOperation {
  readonly name: 'read' | 'write' | 'datasync' | 'sync' | 'allocate' | 'truncate' | 'remove';
  readonly slot: number;
  readonly bytes: number;
  readonly offset: number;
  readonly flags: number;
}

/** A ring without a kernel: what each operation comes to is written by the test. */
export class ScriptedRing implements RingPort {
  canTruncate = true;
  /** How many operations can be put in before they are submitted. */
  entries = 16;
  /** What an operation comes to. `undefined` leaves it in the kernel. */
  answer: (operation: ScriptedOperation) => number | undefined = ({ bytes }) => bytes;
  /** How many operations the kernel takes at the next submissions; all when there is no more. */
  readonly takes: number[] = [];
  /** Thrown by the next call that enters the kernel. */
  failure: Error | undefined;
  /** Every operation that was handed over, in order. */
  readonly handedOver: ScriptedOperation[] = [];
  /** How many were in the kernel at a time, at most. */
  mostInKernel = 0;
  submissions = 0;
  /** Whether what was handed over stays in the queue until a thread of the kernel takes it: {@link take}. */
  polled = false;
  /** How many operations were refused for want of room. */
  refused = 0;
  closed = false;
  #put: ScriptedOperation[] = [];
  /** Handed over to the thread of the kernel, which has not taken it. */
  #untaken: ScriptedOperation[] = [];
  #kernel: ScriptedOperation[] = [];
  #listener: (() => void) | undefined;

  get queued(): number {
    return this.#put.length;
  }

  get inKernel(): number {
    return this.#kernel.length;
  }

  write(slot: number, _fd: number, data: Uint8Array, offset: number, flags = 0): boolean {
    return this.#putIn({ name: 'write', slot, bytes: data.length, offset, flags });
  }

  read(slot: number, _fd: number, into: Uint8Array, offset: number, flags = 0): boolean {
    return this.#putIn({ name: 'read', slot, bytes: into.length, offset, flags });
  }

  datasync(slot: number): boolean {
    return this.#putIn({ name: 'datasync', slot, bytes: 0, offset: 0, flags: 0 });
  }

  sync(slot: number): boolean {
    return this.#putIn({ name: 'sync', slot, bytes: 0, offset: 0, flags: 0 });
  }

  allocate(slot: number, _fd: number, offset: number, bytes: number): boolean {
    return this.#putIn({ name: 'allocate', slot, bytes, offset, flags: 0 });
  }

  truncate(slot: number, _fd: number, bytes: number): boolean {
    return this.#putIn({ name: 'truncate', slot, bytes, offset: 0, flags: 0 });
  }

  remove(slot: number): boolean {
    return this.#putIn({ name: 'remove', slot, bytes: 0, offset: 0, flags: 0 });
  }

  submit(): number {
    if (this.closed) throw new Error('the ring is closed');
    this.submissions += 1;
    if (this.failure !== undefined) {
      const { failure } = this;
      this.failure = undefined;
      throw failure;
    }
    const taken = this.#put.splice(0, this.takes.shift() ?? this.#put.length);
    this.#untaken.push(...taken);
    if (!this.polled) this.take();
    return taken.length;
  }

  /** The kernel takes what was handed over. */
  take(): void {
    const taken = this.#untaken.splice(0);
    this.handedOver.push(...taken);
    this.#kernel.push(...taken);
    this.mostInKernel = Math.max(this.mostInKernel, this.#kernel.length);
  }

  wait(): number {
    return this.submit();
  }

  reap(slots: Int32Array, results: Int32Array): number {
    if (this.closed) throw new Error('the ring is closed');
    let count = 0;
    this.#kernel = this.#kernel.filter((operation) => {
      if (count === slots.length) return true;
      const result = this.answer(operation);
      if (result === undefined) return true;
      slots[count] = operation.slot;
      results[count] = result;
      count += 1;
      return false;
    });
    return count;
  }

  /** Says on the event loop that something came back. */
  ready(): void {
    this.#listener?.();
  }

  onReady(listener: (() => void) | undefined): void {
    this.#listener = listener;
  }

  stats(): RingStats {
    const nothing = { enters: 0, submitted: 0, completed: 0, queueFull: 0, overflows: 0, refused: 0, interrupted: 0 };
    return { ...nothing, fixedBuffer: 0 };
  }

  close(): void {
    this.closed = true;
    this.#put = [];
  }

  #putIn(operation: ScriptedOperation): boolean {
    if (this.#put.length + this.#untaken.length === this.entries) {
      this.refused += 1;
      if (this.refused > 10_000) throw new Error('it is asked again and again');
      return false;
    }
    this.#put.push(operation);
    return true;
  }
}

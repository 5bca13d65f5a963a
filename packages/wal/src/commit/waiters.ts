import type { Lsn } from '@walstack/codec';
import { BinaryHeap } from './binary-heap.js';

/** A call that waits for an LSN to be durable. */
interface Waiter {
  readonly lsn: Lsn;
  /** The order of the calls. */
  readonly turn: number;
  /** When it is aborted, nothing awaits the promise any more. */
  readonly signal: AbortSignal | undefined;
  readonly resolve: (lsn: Lsn) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The calls that wait for durability, resolved in the order of their LSNs, and of the calls for the same LSN. Commits arrive
 * in that order and join the end of a queue; a call for an earlier LSN goes to a heap, so that no order of calls costs more
 * than logarithmic time for each.
 */
export class Waiters {
  /** In ascending order. */
  #queue: Waiter[] = [];
  /** The index of the first waiter in the queue; those before it are resolved. */
  #head = 0;
  /** A heap of calls for an LSN below that of the last waiter in the queue when they came. */
  readonly #early = new BinaryHeap(isBefore);
  #turns = 0;
  /** The functions of the promise that was made last: one executor for all of them, instead of a closure for each. */
  #resolve: Waiter['resolve'] = () => {};
  #reject: Waiter['reject'] = () => {};
  /** Those that wait on while the disk has no room. Weak, so that resolving them costs the same as that of others. */
  readonly #patient = new WeakSet<Waiter>();
  readonly #receive = (resolve: Waiter['resolve'], reject: Waiter['reject']): void => {
    this.#resolve = resolve;
    this.#reject = reject;
  };

  get size(): number {
    return this.#queue.length - this.#head + this.#early.size;
  }

  /** Whether a promise of a call is awaited that was not aborted. */
  get hasAwaited(): boolean {
    return this.#early.some(isAwaited) || this.#queue.slice(this.#head).some(isAwaited);
  }

  /**
   * Resolves with `lsn` once it is durable.
   *
   * @param signal - when it is aborted, nothing awaits the promise any more
   * @param isPatient - whether it waits on while the disk has no room: see {@link rejectAll}
   */
  wait(lsn: Lsn, signal?: AbortSignal, isPatient = false): Promise<Lsn> {
    const durable = new Promise(this.#receive);
    // Read behind the constructor: hooks of promises, which it calls first, may have called this in their turn.
    const waiter = { lsn, turn: this.#turns++, signal, resolve: this.#resolve, reject: this.#reject };
    if (isPatient) this.#patient.add(waiter);
    const last = this.#queue.at(-1);
    if (last === undefined || last.lsn <= lsn) this.#queue.push(waiter);
    else this.#early.push(waiter);
    return durable;
  }

  /** Resolves every waiter up to `durableLsn` with its own LSN. @returns how many */
  resolveUpTo(durableLsn: Lsn): number {
    if (this.#early.size > 0) return this.#resolveInOrder(durableLsn);
    const queue = this.#queue;
    let head = this.#head;
    while (head < queue.length && (queue[head] as Waiter).lsn <= durableLsn) {
      const { lsn, resolve } = queue[head++] as Waiter;
      resolve(lsn);
    }
    const resolved = head - this.#head;
    this.#moveHead(head);
    return resolved;
  }

  /**
   * Rejects all waiters.
   *
   * @param keepsPatient - except those that wait on while the disk has no room
   * @returns whether one of them is awaited that was not aborted
   */
  rejectAll(errorFor: (lsn: Lsn) => unknown, keepsPatient = false): boolean {
    const kept: Waiter[] = [];
    let wasAwaited = false;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#take(next);
      if (keepsPatient && this.#patient.has(next)) {
        kept.push(next);
        continue;
      }
      wasAwaited ||= isAwaited(next);
      next.reject(errorFor(next.lsn));
    }
    // They were taken in the order of the queue.
    this.#reset(kept);
    return wasAwaited;
  }

  #resolveInOrder(durableLsn: Lsn): number {
    let served = 0;
    for (let next = this.#next; next !== undefined && next.lsn <= durableLsn; next = this.#next) {
      this.#take(next);
      next.resolve(next.lsn);
      served++;
    }
    return served;
  }

  /** The waiter that is resolved next. */
  get #next(): Waiter | undefined {
    const queued = this.#queue[this.#head];
    const early = this.#early.first;
    return early === undefined || (queued !== undefined && isBefore(queued, early)) ? queued : early;
  }

  /** Removes the waiter that is resolved next. */
  #take(next: Waiter): void {
    if (next === this.#early.first) this.#early.pop();
    else this.#moveHead(this.#head + 1);
  }

  /** Moves the head of the queue: everything before it is resolved. */
  #moveHead(head: number): void {
    const queue = this.#queue;
    this.#head = head;
    if (head === queue.length) this.#reset([]);
    else if (head > 1024 && head > queue.length / 2) this.#reset(queue.slice(head));
  }

  #reset(queue: Waiter[]): void {
    this.#queue = queue;
    this.#head = 0;
  }
}

const isAwaited = ({ signal }: Waiter): boolean => signal?.aborted !== true;

const isBefore = (a: Waiter, b: Waiter): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.turn < b.turn);

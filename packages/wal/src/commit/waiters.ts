import type { Lsn } from '@walstack/codec';

/** What waits for an LSN to be durable. */
interface Waiter {
  readonly lsn: Lsn;
  /** Counts those that came. */
  readonly turn: number;
  readonly resolve: (lsn: Lsn) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What waits for durability, in the order of the LSNs, first come, first served at the same LSN. Commits come in that order
 * and only join the end of a queue; what comes with an LSN below is kept in a heap, so that no order of the calls makes
 * one of them look through all others.
 */
export class Waiters {
  /** In ascending order. */
  #queue: Waiter[] = [];
  /** Waiters before it are served. */
  #head = 0;
  /** What came with an LSN below the last one of the queue: none is served later than that one. */
  readonly #early: Waiter[] = [];
  #turns = 0;

  get size(): number {
    return this.#queue.length - this.#head + this.#early.length;
  }

  /** Resolves with `lsn` once it is durable. */
  wait(lsn: Lsn): Promise<Lsn> {
    return new Promise((resolve, reject) => {
      const waiter = { lsn, turn: this.#turns++, resolve, reject };
      const last = this.#queue.at(-1);
      if (last === undefined || last.lsn <= lsn) this.#queue.push(waiter);
      else push(this.#early, waiter);
    });
  }

  /** Serves everything up to `durableLsn`, each with its own LSN. @returns how many those were */
  settle(durableLsn: Lsn): number {
    if (this.#early.length > 0) return this.#settleInOrder(durableLsn);
    const queue = this.#queue;
    let head = this.#head;
    while (head < queue.length && (queue[head] as Waiter).lsn <= durableLsn) {
      const { lsn, resolve } = queue[head++] as Waiter;
      resolve(lsn);
    }
    const served = head - this.#head;
    this.#goOnAt(head);
    return served;
  }

  /** Rejects everything that waits. */
  rejectAll(errorFor: (lsn: Lsn) => unknown): void {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      this.#take(next);
      next.reject(errorFor(next.lsn));
    }
  }

  #settleInOrder(durableLsn: Lsn): number {
    let served = 0;
    for (let next = this.#next; next !== undefined && next.lsn <= durableLsn; next = this.#next) {
      this.#take(next);
      next.resolve(next.lsn);
      served++;
    }
    return served;
  }

  /** What is served next. */
  get #next(): Waiter | undefined {
    const queued = this.#queue[this.#head];
    const [early] = this.#early;
    return early === undefined || (queued !== undefined && isBefore(queued, early)) ? queued : early;
  }

  /** Takes out what is served next. */
  #take(next: Waiter): void {
    if (next === this.#early[0]) pop(this.#early);
    else this.#goOnAt(this.#head + 1);
  }

  /** Everything before this place in the queue is served. */
  #goOnAt(head: number): void {
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

const isBefore = (a: Waiter, b: Waiter): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.turn < b.turn);

/** Adds to a binary heap whose first one is before all others. */
function push(heap: Waiter[], waiter: Waiter): void {
  let at = heap.push(waiter) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as Waiter;
    if (!isBefore(waiter, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = waiter;
}

/** Takes out the first one of a binary heap that is not empty. */
function pop(heap: Waiter[]): void {
  const moved = heap.pop() as Waiter;
  const { length } = heap;
  if (length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= length) break;
    if (below + 1 < length && isBefore(heap[below + 1] as Waiter, heap[below] as Waiter)) below++;
    if (isBefore(moved, heap[below] as Waiter)) break;
    heap[at] = heap[below] as Waiter;
    at = below;
  }
  heap[at] = moved;
}

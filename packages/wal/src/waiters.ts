import type { Lsn } from '@walstack/codec';

/** Somebody who waits for an LSN to be durable. */
interface Waiter {
  readonly lsn: Lsn;
  readonly resolve: (lsn: Lsn) => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait for durability, in the order of their LSNs, first come first served at the same LSN. */
export class Waiters {
  #queue: Waiter[] = [];
  /** Waiters before it are served. */
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }

  /** Resolves with `lsn` once it is durable. */
  wait(lsn: Lsn): Promise<Lsn> {
    return new Promise((resolve, reject) => {
      this.#insert({ lsn, resolve, reject });
    });
  }

  /** Serves everyone up to `durableLsn`, each with their own LSN. @returns how many those were */
  settle(durableLsn: Lsn): number {
    const queue = this.#queue;
    let head = this.#head;
    while (head < queue.length && (queue[head] as Waiter).lsn <= durableLsn) {
      const { lsn, resolve } = queue[head++] as Waiter;
      resolve(lsn);
    }
    const served = head - this.#head;
    this.#head = head;
    if (head === queue.length) this.#reset([]);
    else if (head > 1024 && head > queue.length / 2) this.#reset(queue.slice(head));
    return served;
  }

  /** Turns everyone away. */
  rejectAll(errorFor: (lsn: Lsn) => unknown): void {
    const left = this.#queue.slice(this.#head);
    this.#reset([]);
    for (const { lsn, reject } of left) reject(errorFor(lsn));
  }

  #reset(queue: Waiter[]): void {
    this.#queue = queue;
    this.#head = 0;
  }

  #insert(waiter: Waiter): void {
    const queue = this.#queue;
    let at = queue.length;
    while (at > this.#head && (queue[at - 1] as Waiter).lsn > waiter.lsn) at--;
    if (at === queue.length) queue.push(waiter);
    else queue.splice(at, 0, waiter);
  }
}

import type { IoRoutine } from '@walstack/storage-io';
import type { CoreEntry, EntryPlace } from '../core/entries/entry.js';
import type { EntryReader } from '../core/entries/entry-reader.js';

/** Compares entries of all cores: by epoch, time, core and sequence. */
export function compareEntries(a: EntryPlace, b: EntryPlace): number {
  return a.epoch - b.epoch || a.timestampUs - b.timestampUs || a.coreId - b.coreId || a.sequence - b.sequence;
}

/** The reader of a core, and its first entry that was not returned yet. */
interface Head {
  readonly reader: EntryReader;
  readonly entry: CoreEntry;
}

/**
 * Merges the entries of several cores, each in order already, to one ordered stream. One entry and one buffer of each core
 * are in memory. It is used like a reader: `next()` takes from the buffers, `advance()` reads more.
 */
export class CoreMerge {
  /** A binary heap: no entry is before its parent. */
  readonly #heap: Head[] = [];
  /** Readers whose next entry is not in memory. */
  readonly #unbuffered: EntryReader[];
  /** Whether the first of the heap was returned. Its successor is decoded only with the next call, because that may throw. */
  #isTaken = false;

  constructor(readers: readonly EntryReader[]) {
    this.#unbuffered = [...readers];
  }

  /** The next entry of all cores; `undefined` when `advance()` must read more. */
  next(): CoreEntry | undefined {
    this.#replaceTaken();
    const first = this.#heap[0];
    if (this.#unbuffered.length > 0 || first === undefined) return undefined;
    this.#isTaken = true;
    return first.entry;
  }

  /** Reads more. @returns whether there are further entries */
  *advance(): IoRoutine<boolean> {
    this.#replaceTaken();
    for (let reader = this.#unbuffered.at(-1); reader !== undefined; reader = this.#unbuffered.at(-1)) {
      let entry = reader.next();
      while (entry === undefined && (yield* reader.advance())) entry = reader.next();
      this.#unbuffered.pop();
      if (entry !== undefined) this.#insert({ reader, entry });
    }
    return this.#heap.length > 0;
  }

  /** Replaces the entry that was returned last by the next one of its core. */
  #replaceTaken(): void {
    const first = this.#heap[0];
    if (!this.#isTaken || first === undefined) return;
    const { reader } = first;
    const entry = reader.next();
    this.#isTaken = false;
    if (entry !== undefined) this.#siftDown({ reader, entry }, 0);
    else {
      this.#unbuffered.push(reader);
      const last = this.#heap.pop() as Head;
      if (this.#heap.length > 0) this.#siftDown(last, 0);
    }
  }

  #insert(head: Head): void {
    let index = this.#heap.length;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#heap[above] as Head;
      if (compareEntries(parent.entry, head.entry) <= 0) break;
      this.#heap[index] = parent;
      index = above;
    }
    this.#heap[index] = head;
  }

  /** Places a head at the heap index `from`, or below. */
  #siftDown(head: Head, from: number): void {
    const heap = this.#heap;
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      const right = heap[below + 1];
      if (below >= heap.length) break;
      if (right !== undefined && compareEntries(right.entry, (heap[below] as Head).entry) < 0) below++;
      const child = heap[below] as Head;
      if (compareEntries(head.entry, child.entry) <= 0) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = head;
  }
}

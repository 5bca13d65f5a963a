import type { IoRoutine } from '@walstack/storage-io';
import type { CoreEntry, EntryPlace } from '../core/entry.js';
import type { EntryReader } from '../core/entry-reader.js';

/** The order of entries of all cores: by epoch, time, core and sequence. */
export function compareEntries(a: EntryPlace, b: EntryPlace): number {
  return a.epoch - b.epoch || a.timestampUs - b.timestampUs || a.coreId - b.coreId || a.sequence - b.sequence;
}

/** A core, and the first of its entries that was not handed out. */
interface Head {
  readonly reader: EntryReader;
  readonly entry: CoreEntry;
}

/**
 * The entries of several cores in one order, as a stream: one entry and one buffer of each core are in memory. Each core's
 * own entries are in that order already. Used as a reader is: `next()` takes from the buffers, `advance()` reads on.
 */
export class EntryMerge {
  /** A heap: no entry is before the one above it. */
  readonly #heap: Head[] = [];
  /** Cores whose next entry is not in memory. */
  readonly #dry: EntryReader[];
  /** Whether the first of the heap was handed out: what is behind it is looked at only then, as that may fail. */
  #isTaken = false;

  constructor(readers: readonly EntryReader[]) {
    this.#dry = [...readers];
  }

  /** The next entry of all; `undefined` when `advance()` has to read on. */
  next(): CoreEntry | undefined {
    this.#replaceTaken();
    const first = this.#heap[0];
    if (this.#dry.length > 0 || first === undefined) return undefined;
    this.#isTaken = true;
    return first.entry;
  }

  /** Reads on. @returns whether there are further entries */
  *advance(): IoRoutine<boolean> {
    this.#replaceTaken();
    for (let reader = this.#dry.at(-1); reader !== undefined; reader = this.#dry.at(-1)) {
      let entry = reader.next();
      while (entry === undefined && (yield* reader.advance())) entry = reader.next();
      this.#dry.pop();
      if (entry !== undefined) this.#add({ reader, entry });
    }
    return this.#heap.length > 0;
  }

  /** Puts the next entry of its core in the place of the one that was handed out last. */
  #replaceTaken(): void {
    const first = this.#heap[0];
    if (!this.#isTaken || first === undefined) return;
    const { reader } = first;
    const entry = reader.next();
    this.#isTaken = false;
    if (entry !== undefined) this.#settle({ reader, entry }, 0);
    else {
      this.#dry.push(reader);
      const last = this.#heap.pop() as Head;
      if (this.#heap.length > 0) this.#settle(last, 0);
    }
  }

  #add(head: Head): void {
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

  /** Puts a head in the place of what stood at `from`, or below. */
  #settle(head: Head, from: number): void {
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

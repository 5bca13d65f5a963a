/** A binary heap: adding an item, and removing the first one, take logarithmic time. */
export class BinaryHeap<T> {
  readonly #items: T[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  /** @param isBefore - whether an item comes out before another one */
  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The item that comes out next; `undefined` when there is none. */
  get first(): T | undefined {
    return this.#items[0];
  }

  some(matches: (item: T) => boolean): boolean {
    return this.#items.some(matches);
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above] as T;
      if (!this.#isBefore(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  /** Removes the first item and returns it; `undefined` when there is none. */
  pop(): T | undefined {
    const items = this.#items;
    const [first] = items;
    const moved = items.pop() as T;
    const { length } = items;
    if (length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      if (below + 1 < length && this.#isBefore(items[below + 1] as T, items[below] as T)) below++;
      if (this.#isBefore(moved, items[below] as T)) break;
      items[at] = items[below] as T;
      at = below;
    }
    items[at] = moved;
    return first;
  }
}

/** A queue of slots, first in, first out, in one array that is allocated once. */
export class SlotQueue {
  readonly #slots: Int32Array;
  #first = 0;
  #length = 0;

  /** @param capacity - slots; the caller never lets more wait */
  constructor(capacity: number) {
    this.#slots = new Int32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(slot: number): void {
    let at = this.#first + this.#length;
    if (at >= this.#slots.length) at -= this.#slots.length;
    this.#slots[at] = slot;
    this.#length += 1;
  }

  /** The slot that has waited longest, which stays in the queue. The queue must not be empty. */
  first(): number {
    return this.#slots[this.#first] as number;
  }

  /** Removes the slot that has waited longest. */
  drop(): void {
    this.#first += 1;
    if (this.#first === this.#slots.length) this.#first = 0;
    this.#length -= 1;
  }
}

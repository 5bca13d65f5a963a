/** Slots that wait for their turn, first in, first out, without an object for any of them. */
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

  /** The one that waits longest, which stays. Only when there is one. */
  first(): number {
    return this.#slots[this.#first] as number;
  }

  /** Takes the one that waits longest out. */
  drop(): void {
    this.#first += 1;
    if (this.#first === this.#slots.length) this.#first = 0;
    this.#length -= 1;
  }
}

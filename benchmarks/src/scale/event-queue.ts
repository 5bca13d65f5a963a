/** What happens, in the order of its time; at one time in the order in which it was added. */
export class EventQueue {
  readonly #heap: { readonly atUs: number; readonly number: number; readonly happen: () => void }[] = [];
  #added = 0;
  #nowUs = 0;

  get nowUs(): number {
    return this.#nowUs;
  }

  /** Something happens later. */
  in(delayUs: number, happen: () => void): void {
    const heap = this.#heap;
    const event = { atUs: this.#nowUs + delayUs, number: this.#added++, happen };
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(heap[parent] as Event, event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  /** Lets everything happen up to a time. */
  run(untilUs: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.atUs <= untilUs; first = this.#heap[0]) {
      this.#removeFirst();
      this.#nowUs = first.atUs;
      first.happen();
    }
    this.#nowUs = untilUs;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (isBefore(last, heap[child] as Event)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

interface Event {
  readonly atUs: number;
  readonly number: number;
  readonly happen: () => void;
}

const isBefore = (one: Event, other: Event): boolean =>
  one.atUs < other.atUs || (one.atUs === other.atUs && one.number < other.number);

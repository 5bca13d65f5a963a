import type { CompletionBuffer } from '../../completion-buffer.js';

/**
 * Completions that were not polled yet, first in, first out, in two arrays that are allocated once.
 *
 * Operations also complete when no poll is under way: inside a submission, in a callback, or while the caller's buffer
 * is full. So a completion waits here between the batch that is reaped from a ring and the buffer of the caller; the two
 * copies cost a few nanoseconds of the several hundred that an operation takes.
 */
export class CompletionQueue {
  readonly #capacity: number;
  readonly #tokens: Float64Array;
  readonly #results: Int32Array;
  #first = 0;
  #length = 0;

  /** @param capacity - completions; the caller never has more of them wait */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#tokens = new Float64Array(capacity);
    this.#results = new Int32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(token: number, result: number): void {
    let at = this.#first + this.#length;
    if (at >= this.#capacity) at -= this.#capacity;
    this.#tokens[at] = token;
    this.#results[at] = result;
    this.#length += 1;
  }

  /** Moves as many as fit into `out`, the oldest first, and returns how many those were. */
  moveInto(out: CompletionBuffer): number {
    const count = Math.min(this.#length, out.tokens.length, out.results.length);
    for (let index = 0; index < count; index++) {
      out.tokens[index] = this.#tokens[this.#first] as number;
      out.results[index] = this.#results[this.#first] as number;
      this.#first += 1;
      if (this.#first === this.#capacity) this.#first = 0;
    }
    this.#length -= count;
    return count;
  }

  clear(): void {
    this.#length = 0;
  }
}

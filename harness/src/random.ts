const WORD = 0x1_0000_0000;

/** Chance that is the same for the same seeds: the generator sfc32 over 128 bits of state. */
export class Random {
  #a = 0x9e37_79b9;
  #b = 0x243f_6a88;
  #c = 0xb7e1_5162;
  #counter = 1;

  /** @param seeds - safe integers; each is taken in whole */
  constructor(...seeds: readonly number[]) {
    for (const seed of seeds) {
      this.#a ^= seed >>> 0;
      this.#word();
      this.#b ^= Math.floor(seed / WORD) >>> 0;
      for (let round = 0; round < 10; round++) this.#word();
    }
  }

  /** From 0 up to, and not including, 1. */
  next(): number {
    return this.#word() / WORD;
  }

  /** An integer from `minimum` to `maximum`, both included. */
  integer(minimum: number, maximum: number): number {
    return minimum + Math.floor(this.next() * (maximum - minimum + 1));
  }

  /** An integer from 1 to `maximum`, small ones as likely as large ones. */
  magnitude(maximum: number): number {
    return Math.max(1, Math.floor(maximum ** this.next()));
  }

  /** `true` with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.integer(0, from.length - 1)] as T;
  }

  /** A seed for something else. */
  seed(): number {
    return this.#word();
  }

  #word(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

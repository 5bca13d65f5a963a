/** Random numbers from a seed: the same ones on every machine, in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but not including, 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    return scrambled(this.#state) / 0x1_0000_0000;
  };

  /** An integer from 0 up to, but not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** `true` with this probability. */
  chance(likelihood: number): boolean {
    return this.next() < likelihood;
  }

  /** Shuffles a list in place. */
  shuffle<T>(list: T[]): T[] {
    for (let index = list.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      const moved = list[index] as T;
      list[index] = list[other] as T;
      list[other] = moved;
    }
    return list;
  }
}

/** A seed derived from several values, so that generators derived from one seed differ. */
export function seedFrom(...parts: readonly (number | string)[]): number {
  let seed = 0;
  for (const part of parts) {
    if (typeof part === 'number')
      seed = scrambled((seed ^ part) >>> 0) ^ Math.imul(Math.floor(part / 0x1_0000_0000), 7);
    else for (let index = 0; index < part.length; index++) seed = scrambled((seed ^ part.charCodeAt(index)) >>> 0);
    seed = (seed + 0x6d2b_79f5) >>> 0;
  }
  return seed;
}

/** Every bit of the result depends on every bit of `value`: two rounds of multiplying and folding the upper half in. */
function scrambled(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x21f0_aaad);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x735a_2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** The items of two lists in turns, then the rest of the longer one. */
export function inTurns<T>(first: readonly T[], second: readonly T[]): T[] {
  return Array.from({ length: Math.max(first.length, second.length) }, (_, turn) => [
    ...first.slice(turn, turn + 1),
    ...second.slice(turn, turn + 1),
  ]).flat();
}

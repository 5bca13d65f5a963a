/** Integers from 0 to `below` − 1, the same sequence for the same seed. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x85eb_ca6b) + 0x9e37_79b9) | 0;
    return (state >>> 8) % below;
  };
}

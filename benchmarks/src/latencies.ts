import { quantile } from './statistics.js';

/** Times of single operations, in microseconds, of any number. */
export class Latencies {
  #values = new Float64Array(65_536);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(us: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = us;
  }

  /** The times below which each of these shares of all lie. */
  quantiles(...shares: readonly number[]): number[] {
    const sorted = this.#values.slice(0, this.#count).sort();
    return shares.map((share) => quantile(sorted, share));
  }
}

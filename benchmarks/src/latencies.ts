import { quantile } from './statistics.js';

/** How long single operations took, in microseconds. */
export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
}

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

  get summary(): Latency {
    const [p50Us = Number.NaN, p99Us = Number.NaN] = this.quantiles(0.5, 0.99);
    return { p50Us, p99Us };
  }

  /** The times below which each of these shares of all lie. */
  quantiles(...shares: readonly number[]): number[] {
    const sorted = this.#values.slice(0, this.#count).sort();
    return shares.map((share) => quantile(sorted, share));
  }
}

import { quantile } from './statistics.js';

/** How long single operations took, in microseconds. */
export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  /** The share of all waiting time that is spent in operations slower than 3 × p50; `undefined` where that is not known. */
  readonly slow: number | undefined;
}

/** So many times the median is slow. */
const SLOW = 3;

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
    const sorted = this.#sorted();
    const p50Us = quantile(sorted, 0.5);
    let all = 0;
    let slow = 0;
    for (const us of sorted) {
      all += us;
      if (us > SLOW * p50Us) slow += us;
    }
    return { p50Us, p99Us: quantile(sorted, 0.99), p999Us: quantile(sorted, 0.999), slow: all === 0 ? 0 : slow / all };
  }

  /** The times below which each of these shares of all lie. */
  quantiles(...shares: readonly number[]): number[] {
    const sorted = this.#sorted();
    return shares.map((share) => quantile(sorted, share));
  }

  #sorted(): Float64Array {
    return this.#values.slice(0, this.#count).sort();
  }
}

/** Live throughput of each core, twice a second. */
const INTERVAL_MS = 500;

/** Shows how many lines each core makes durable in a second. */
export class Throughput {
  readonly #durable: Int32Array;
  readonly #start = performance.now();
  #shownAt = this.#start;
  #before: readonly number[];

  /** @param durable - of each core, how many lines are durable; other threads increase it */
  constructor(durable: Int32Array) {
    this.#durable = durable;
    this.#before = [...durable];
  }

  /** Shows it if half a second has passed. @param atOnce - show it in any case */
  show(atOnce = false): void {
    const now = performance.now();
    const elapsedMs = now - this.#shownAt;
    if (elapsedMs < (atOnce ? 1 : INTERVAL_MS)) return;
    const counts = Array.from(this.#durable, (_, core) => Atomics.load(this.#durable, core));
    const rates = counts.map((count, core) => ((count - (this.#before[core] ?? 0)) * 1000) / elapsedMs);
    const columns = rates.map((rate, core) => `core ${core} ${shown(rate).padStart(9)}/s`);
    console.log(`    ${((now - this.#start) / 1000).toFixed(1).padStart(5)} s   ${columns.join('   ')}`);
    this.#shownAt = now;
    this.#before = counts;
  }
}

const shown = (value: number): string => Math.round(value).toLocaleString('en-US');

/** How long operations took, in microseconds. */
export interface Latencies {
  readonly count: number;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Summarizes durations in milliseconds. @throws `RangeError` for none */
export function latenciesOf(durationsMs: readonly number[]): Latencies {
  if (durationsMs.length === 0) throw new RangeError('nothing was measured');
  const sorted = durationsMs.map((ms) => Math.round(ms * 1000)).sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
  return { count: sorted.length, medianUs: at(0.5), p99Us: at(0.99), maxUs: at(1) };
}

/** A duration in microseconds, as text. */
export function durationText(us: number): string {
  if (us < 1000) return `${us} µs`;
  return us < 1_000_000 ? `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms` : `${(us / 1_000_000).toFixed(2)} s`;
}

import type { Case, Contestant, Sample } from './case.js';
import type { Latency } from './latencies.js';
import { median, spread } from './statistics.js';

/** A result, as it is written to a file. The names are stable. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly subject: string;
  /** Median of the rounds. */
  readonly value: number;
  readonly unit: string;
  /** Median of the rounds' medians, in microseconds; `null` where single operations are not waited for. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  readonly rounds: number;
  /** Best round minus worst round, as a share of the median. */
  readonly spread: number;
}

/** The row of one contestant. */
export function rowOf({ bench, name, unit }: Case, { subject }: Contestant, samples: readonly Sample[]): Row {
  const values = samples.map(({ value }) => value);
  const latencies = samples.flatMap(({ latency }) => (latency === undefined ? [] : [latency]));
  const middle = (each: (latency: Latency) => number): number | null =>
    latencies.length === 0 ? null : rounded(median(latencies.map(each)));
  return {
    bench,
    case: name,
    subject,
    value: rounded(median(values)),
    unit,
    p50Us: middle(({ p50Us }) => p50Us),
    p99Us: middle(({ p99Us }) => p99Us),
    rounds: samples.length,
    spread: rounded(spread(values)),
  };
}

/** Whole, or with four digits where that says less. */
const rounded = (value: number): number => (Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));

import type { Case, Contestant, Sample } from './case.js';
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
  const timed = samples.flatMap(({ latencies }) => (latencies === undefined ? [] : [latencies.quantiles(0.5, 0.99)]));
  const middle = (index: number): number | null =>
    timed.length === 0 ? null : rounded(median(timed.map((quantiles) => quantiles[index] ?? Number.NaN)));
  return {
    bench,
    case: name,
    subject,
    value: Math.round(median(values)),
    unit,
    p50Us: middle(0),
    p99Us: middle(1),
    rounds: samples.length,
    spread: rounded(spread(values)),
  };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

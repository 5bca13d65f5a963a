import type { Case, Contestant, Figure, Sample } from '../case.js';
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
  readonly p999Us: number | null;
  /** The share of all waiting time in operations slower than 3 × p50; `null` where that is not known. */
  readonly slow: number | null;
  readonly rounds: number;
  /** Best round minus worst round, as a share of the median. */
  readonly spread: number;
}

/** The row of one contestant. */
export function rowOf(
  { bench, name, unit }: Pick<Case, 'bench' | 'name' | 'unit'>,
  { subject }: Contestant,
  samples: readonly Sample[],
): Row {
  const values = samples.map(({ value }) => value);
  const latencies = samples.flatMap(({ latency }) => (latency === undefined ? [] : [latency]));
  const middle = (each: (latency: Latency) => number | undefined): number | null => {
    const found = latencies.map(each).filter((value) => value !== undefined);
    return found.length === 0 ? null : rounded(median(found));
  };
  return {
    bench,
    case: name,
    subject,
    value: rounded(median(values)),
    unit,
    p50Us: middle(({ p50Us }) => p50Us),
    p99Us: middle(({ p99Us }) => p99Us),
    p999Us: middle(({ p999Us }) => p999Us),
    slow: middle(({ slow }) => slow),
    rounds: samples.length,
    spread: rounded(spread(values)),
  };
}

/** The rows of further figures, those of one figure together. */
export function rowsOfFigures(
  one: Case,
  samples: readonly (readonly [contestant: Contestant, samples: readonly Sample[]])[],
): Row[] {
  const figures = new Map<string, Figure>();
  for (const [, [first]] of samples) for (const figure of first?.also ?? []) figures.set(figure.name, figure);
  return [...figures.values()].flatMap(({ name, unit }) =>
    samples.flatMap(([contestant, all]) => {
      const values = all.flatMap(({ also = [] }) => also.filter((figure) => figure.name === name));
      const caseOfFigure = { bench: one.bench, name: `${one.name} ${name}`, unit };
      return values.length === 0 ? [] : [rowOf(caseOfFigure, contestant, values)];
    }),
  );
}

/** Whole, or with four digits where that says less. */
const rounded = (value: number): number => (Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));

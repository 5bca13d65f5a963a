import type { Row } from '../rows/rows.js';

/** The rows of one case, all of one run. */
export interface MeasuredCase {
  readonly bench: string;
  readonly name: string;
  readonly unit: string;
  readonly rows: readonly Row[];
}

/** Sorts rows into their cases, in the order in which they come. */
function casesOf(rows: readonly Row[]): MeasuredCase[] {
  const cases = new Map<string, Row[]>();
  for (const row of rows) {
    const key = `${row.bench} ${row.case}`;
    cases.set(key, [...(cases.get(key) ?? []), row]);
  }
  return [...cases.values()].flatMap((members) => {
    const [first] = members;
    return first === undefined ? [] : [{ bench: first.bench, name: first.case, unit: first.unit, rows: members }];
  });
}

/** One run over the other: a case comes whole from the last run that has it, since only one run's figures compare. */
export function mergedCases(runs: readonly (readonly Row[])[]): MeasuredCase[] {
  const cases = new Map<string, MeasuredCase>();
  for (const one of runs.flatMap(casesOf)) cases.set(`${one.bench} ${one.name}`, one);
  return [...cases.values()];
}

/** The cases by their benches. */
export function benchesOf(cases: readonly MeasuredCase[]): Map<string, MeasuredCase[]> {
  const benches = new Map<string, MeasuredCase[]>();
  for (const one of cases) benches.set(one.bench, [...(benches.get(one.bench) ?? []), one]);
  return benches;
}

import type { Case, Contestant, Sample } from './case.js';
import { type Row, rowOf, rowsOfFigures } from './rows/rows.js';

/**
 * Measures a case in several rounds. In each round every contestant takes a turn, and another one begins: what else the machine
 * does meanwhile meets them all alike. A first round, for the compiler to get warm, does not count.
 */
export async function measureCase(one: Case, rounds: number): Promise<Row[]> {
  const samples = new Map<Contestant, Sample[]>(one.contestants.map((contestant) => [contestant, []]));
  for (const { prepare } of one.contestants) await prepare?.();
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < one.contestants.length; turn++) {
      const contestant = one.contestants[(round + turn) % one.contestants.length] as Contestant;
      const sample = await contestant.measure();
      if (round > 0) samples.get(contestant)?.push(sample);
    }
  }
  for (const { end } of one.contestants) await end?.();
  const rows = one.contestants.map((contestant) => rowOf(one, contestant, samples.get(contestant) ?? []));
  return [...rows, ...rowsOfFigures(one, [...samples])];
}

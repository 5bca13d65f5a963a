import type { Part } from '../parts.js';
import type { ReachingPart } from './reach.js';

/** So much is tried, in milliseconds that it takes without any change: a place that all come to would take all of them. */
const BUDGET_MS = 60_000;

/** So many parts are tried whatever they take, as they may have been slow only once. */
const AT_LEAST = 12;

/** Which parts have noticed changes of which files: what has noticed one there is the likeliest to notice the next. */
export class Experience {
  readonly #times = new Map<string, number>();

  noticed(file: string, part: Part): void {
    const key = keyOf(file, part);
    this.#times.set(key, (this.#times.get(key) ?? 0) + 1);
  }

  /** How often a part has noticed a change of a file. */
  times(file: string, part: Part): number {
    return this.#times.get(keyOf(file, part)) ?? 0;
  }
}

const keyOf = (file: string, { kind, name }: Part): string => `${file} ${kind} ${name}`;

/** A change that is to be tried. */
export interface Wanted {
  readonly number: number;
  readonly file: string;
}

/**
 * What comes to a change, in the order in which it is tried, as far as the time goes: first what takes little time, comes to
 * few other changes, as it is then about this one, and has noticed others of the same file.
 *
 * @param thorough - all of it, whatever it takes
 */
export function selectionFor(
  { number, file }: Wanted,
  parts: readonly ReachingPart[],
  experience: Experience,
  thorough: boolean,
): readonly ReachingPart[] {
  const costOf = (part: ReachingPart): number =>
    (part.ms * part.reached.size) / (1 + 10 * experience.times(file, part)) ** 2;
  const reaching = parts.filter(({ reached }) => reached.has(number)).sort((a, b) => costOf(a) - costOf(b));
  let left = thorough ? Number.POSITIVE_INFINITY : BUDGET_MS;
  return reaching.filter(({ ms }, index) => {
    left -= ms;
    return left >= 0 || index < AT_LEAST;
  });
}

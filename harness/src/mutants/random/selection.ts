import { KINDS, type Part } from '../parts.js';
import type { ReachingPart } from './reach.js';

/** So much of each kind is tried, in milliseconds that it takes without any change: a place that all come to would take all of them. */
const BUDGETS_MS: Readonly<Record<Part['kind'], number>> = { explore: 30_000, tests: 60_000, fuzz: 10_000 };

/** So many of each kind are tried whatever they take, as they may have been slow only once. */
const AT_LEAST: Readonly<Record<Part['kind'], number>> = { explore: 10, tests: 5, fuzz: 2 };

/** Parts of one kind that are tried, in this order. */
export interface Selected {
  readonly kind: Part['kind'];
  readonly names: readonly string[];
  /** What the slowest of them takes without any change. */
  readonly slowestMs: number;
}

/** What comes to a change, the cheapest first, as far as the budgets go. */
export function selectionFor(number: number, parts: readonly ReachingPart[]): readonly Selected[] {
  return KINDS.map((kind) => {
    const reaching = parts.filter((part) => part.kind === kind && part.reached.has(number)).sort((a, b) => a.ms - b.ms);
    let left = BUDGETS_MS[kind];
    const chosen = reaching.filter(({ ms }, index) => {
      left -= ms;
      return left >= 0 || index < AT_LEAST[kind];
    });
    return { kind, names: chosen.map(({ name }) => name), slowestMs: chosen.at(-1)?.ms ?? 0 };
  }).filter(({ names }) => names.length > 0);
}

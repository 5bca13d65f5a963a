import { setImmediate } from 'node:timers/promises';
import { Random } from '../random.js';
import type { Arguments } from './arguments.js';
import type { Target } from './targets/target.js';
import { TARGETS } from './targets/targets.js';

/** Inputs of one target before the next one has its turn. */
const RUNS_OF_A_TURN = 250;

/** What was found. */
export interface Finding {
  readonly target: string;
  /** As the corpus has it; empty when it is not known. */
  readonly input: string;
  readonly error: string;
}

/** How far it is. */
export type Progress =
  | { readonly what: 'turn'; readonly target: string; readonly seed: number; readonly inputs: number }
  | { readonly what: 'done'; readonly finding: Finding | undefined };

/**
 * Fuzzes the targets in turns until there were inputs, or was time, enough, or something was found.
 *
 * @param tell - told before each turn
 */
export async function fuzz(
  { minutes, runs, targets: names, seed }: Arguments,
  tell: (progress: Progress) => void = () => {},
  targets: readonly Target[] = TARGETS,
): Promise<Finding | undefined> {
  const chosen = targets.filter(({ name }) => names.includes(name));
  const random = new Random(seed);
  const deadline = performance.now() + minutes * 60_000;
  for (let done = 0; done < runs && performance.now() < deadline; done += RUNS_OF_A_TURN) {
    for (const target of chosen) {
      const inputs = Math.min(RUNS_OF_A_TURN, runs - done);
      const turn = random.seed() | 0;
      tell({ what: 'turn', target: target.name, seed: turn, inputs });
      const failure = target.fuzz(turn, inputs);
      if (failure !== undefined) return { target: target.name, ...failure };
      // Backends have asked for their turn of the event loop, and are kept until they have had it.
      await setImmediate();
    }
  }
  return undefined;
}

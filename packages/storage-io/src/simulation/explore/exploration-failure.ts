import { type Coordinate, formatCoordinate } from './replay-coordinate.js';

/**
 * A state in which the check failed, or a run in which the scenario failed. `cause` is what it threw, and `coordinate`
 * is the value of `replay` that reproduces the state.
 */
export class ExplorationFailure extends Error {
  override readonly name = 'ExplorationFailure';
  /** The value for `replay`. */
  readonly coordinate: string;
  readonly seed: number;
  /** The events before it, one per line. */
  readonly story: readonly string[];

  private constructor(coordinate: Coordinate, story: readonly string[], cause: unknown) {
    const text = formatCoordinate(coordinate);
    const lines = [`seed ${coordinate.seed}`, ...story, `then: ${messageOf(cause)}`, `replay: '${text}'`];
    super(lines.join('\n  '), { cause });
    this.coordinate = text;
    this.seed = coordinate.seed;
    this.story = story;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeFailure` uses it.
  private static make(coordinate: Coordinate, story: readonly string[], cause: unknown): ExplorationFailure {
    return new ExplorationFailure(coordinate, story, cause);
  }
}

/** Makes the failure of an exploration. */
export const makeFailure: (coordinate: Coordinate, story: readonly string[], cause: unknown) => ExplorationFailure =
  ExplorationFailure['make'];

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);

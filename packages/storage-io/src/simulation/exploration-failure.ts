import { type Coordinate, formatCoordinate } from './replay-coordinate.js';

/**
 * A state in which the check failed, or a run of the scenario that did. `cause` is what it threw, and `coordinate` is
 * what `replay` takes to come to the same state again.
 */
export class ExplorationFailure extends Error {
  override readonly name = 'ExplorationFailure';
  /** What `replay` takes. */
  readonly coordinate: string;
  readonly seed: number;
  /** What happened before, a line each. */
  readonly story: readonly string[];

  constructor(coordinate: Coordinate, story: readonly string[], cause: unknown) {
    const text = formatCoordinate(coordinate);
    const lines = [`seed ${coordinate.seed}`, ...story, `then: ${messageOf(cause)}`, `replay: '${text}'`];
    super(lines.join('\n  '), { cause });
    this.coordinate = text;
    this.seed = coordinate.seed;
    this.story = story;
  }
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);

import type { Committed } from './commit.js';
import type { CommitPlaces } from './commit-ledger.js';

/** What is known of the commits of one core. */
interface CoreCommits {
  /** The core had been taken away. */
  readonly left: boolean;
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
}

/**
 * The same cores, where what one has committed before it left says nothing any more of sources that another one has committed
 * in a later epoch: what was read by it may have been read again from an earlier offset. It is the same when the core takes
 * part again, as long as it has not committed that source anew.
 */
export function withoutSuperseded<T extends CoreCommits>(cores: readonly T[]): readonly T[] {
  if (!cores.some(hasLeft)) return cores;
  const latest = new Map<string, number>();
  for (const { commitPlaces } of cores) {
    for (const [source, { epoch }] of commitPlaces.offsets)
      latest.set(source, Math.max(epoch, latest.get(source) ?? 0));
  }
  return cores.map((core) => (hasLeft(core) ? { ...core, ...upTo(core, latest) } : core));
}

const hasLeft = ({ left, commitPlaces }: CoreCommits): boolean => left || commitPlaces.left.size > 0;

function upTo(
  { left, committed, commitPlaces }: CoreCommits,
  latest: ReadonlyMap<string, number>,
): Pick<CoreCommits, 'committed' | 'commitPlaces'> {
  const current = ([source]: readonly [string, unknown]): boolean =>
    !(left || commitPlaces.left.has(source)) ||
    (latest.get(source) ?? 0) <= (commitPlaces.offsets.get(source)?.epoch ?? 0);
  return {
    committed: { ...committed, offsets: new Map([...committed.offsets].filter(current)) },
    commitPlaces: { ...commitPlaces, offsets: new Map([...commitPlaces.offsets].filter(current)) },
  };
}

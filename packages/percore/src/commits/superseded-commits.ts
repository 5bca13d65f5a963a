import type { Committed } from './commit.js';
import type { CommitPlaces } from './commit-ledger.js';

/** The commits of one core. */
interface CoreCommits {
  /** The core was retired. */
  readonly retired: boolean;
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
}

/**
 * Returns the cores without the offsets that a core committed before it retired, of sources that another core committed in
 * a later epoch: that core may have read the source again from an earlier offset. The same holds for a core that takes part
 * again, until it commits that source anew.
 */
export function withoutSuperseded<T extends CoreCommits>(cores: readonly T[]): readonly T[] {
  if (!cores.some(hasRetiredCommits)) return cores;
  const latest = new Map<string, number>();
  for (const { commitPlaces } of cores) {
    for (const [source, { epoch }] of commitPlaces.offsets)
      latest.set(source, Math.max(epoch, latest.get(source) ?? 0));
  }
  return cores.map((core) => (hasRetiredCommits(core) ? { ...core, ...withoutOutdated(core, latest) } : core));
}

const hasRetiredCommits = ({ retired, commitPlaces }: CoreCommits): boolean => retired || commitPlaces.retired.size > 0;

function withoutOutdated(
  { retired, committed, commitPlaces }: CoreCommits,
  latest: ReadonlyMap<string, number>,
): Pick<CoreCommits, 'committed' | 'commitPlaces'> {
  const current = ([source]: readonly [string, unknown]): boolean =>
    !(retired || commitPlaces.retired.has(source)) ||
    (latest.get(source) ?? 0) <= (commitPlaces.offsets.get(source)?.epoch ?? 0);
  return {
    committed: { ...committed, offsets: new Map([...committed.offsets].filter(current)) },
    commitPlaces: { ...commitPlaces, offsets: new Map([...commitPlaces.offsets].filter(current)) },
  };
}

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
  const latest = latestEpochs(cores);
  return cores.map((core) => (hasRetiredCommits(core) ? { ...core, ...withoutOutdated(core, latest) } : core));
}

/** Of each core the sources that another one has committed in a later epoch: its own offset counts until it retires. */
export function outdatedSources(
  cores: readonly Pick<CoreCommits, 'committed' | 'commitPlaces'>[],
): readonly string[][] {
  const latest = latestEpochs(cores);
  return cores.map(({ committed, commitPlaces }) =>
    [...committed.offsets.keys()].filter((source) => isOutdated(source, commitPlaces, latest)),
  );
}

/** The epoch in which each source was committed last; sources that a checkpoint holds are not among them. */
function latestEpochs(cores: readonly Pick<CoreCommits, 'commitPlaces'>[]): ReadonlyMap<string, number> {
  const latest = new Map<string, number>();
  for (const { commitPlaces } of cores) {
    for (const [source, { epoch }] of commitPlaces.offsets)
      latest.set(source, Math.max(epoch, latest.get(source) ?? 0));
  }
  return latest;
}

const hasRetiredCommits = ({ retired, commitPlaces }: CoreCommits): boolean => retired || commitPlaces.retired.size > 0;

/** What a checkpoint holds was committed in its epoch at the latest. */
const isOutdated = (source: string, places: CommitPlaces, latest: ReadonlyMap<string, number>): boolean =>
  places.outdated.has(source) ||
  (latest.get(source) ?? 0) > (places.offsets.get(source)?.epoch ?? places.checkpointEpoch);

function withoutOutdated(
  { retired, committed, commitPlaces }: CoreCommits,
  latest: ReadonlyMap<string, number>,
): Pick<CoreCommits, 'committed' | 'commitPlaces'> {
  const current = ([source]: readonly [string, unknown]): boolean =>
    !(retired || commitPlaces.retired.has(source)) || !isOutdated(source, commitPlaces, latest);
  return {
    committed: { ...committed, offsets: new Map([...committed.offsets].filter(current)) },
    commitPlaces: { ...commitPlaces, offsets: new Map([...commitPlaces.offsets].filter(current)) },
  };
}

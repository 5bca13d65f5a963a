import type { Checkpoint, Lsn } from '@walstack/codec';
import type { Link } from '@walstack/mmap-reader/internal';
import type { Remains, Survey } from './salvage-survey.js';

/** The files of a damaged log, as far as they are not truncated, and the ways from one to another. */
export class SalvageFiles {
  /** In the order of their numbers, truncated ones included. */
  readonly sound: readonly Link[];
  /** The sound segments from the first one of the log on: earlier ones were truncated. */
  readonly untruncated: readonly Link[];
  readonly remains: readonly Remains[];
  readonly checkpoint: Checkpoint | undefined;
  /** The number of the first segment of the log; `undefined` when no usable checkpoint contains it. */
  readonly firstKept: number | undefined;
  readonly #remainsByNumber = new Map<number, Remains[]>();
  /** Numbers that several untruncated segments have. */
  readonly #doubled = new Set<number>();
  #indexed: Map<string, Link> | undefined;

  constructor({ sound, remains, checkpoint, checkpointUseless }: Survey) {
    const firstKept = checkpointUseless ? undefined : (checkpoint?.firstSegment ?? 1);
    this.sound = sound;
    this.untruncated = sound.filter(({ header }) => header.number >= (firstKept ?? 1));
    this.remains = remains.filter(({ number }) => number >= (firstKept ?? 1));
    for (const each of this.remains) {
      const same = this.#remainsByNumber.get(each.number);
      if (same === undefined) this.#remainsByNumber.set(each.number, [each]);
      else same.push(each);
    }
    for (const [index, { header }] of this.untruncated.entries()) {
      if (this.untruncated[index + 1]?.header.number === header.number) this.#doubled.add(header.number);
    }
    this.checkpoint = checkpoint;
    this.firstKept = firstKept;
  }

  /** Whether several untruncated segments have a number. */
  isDoubled(number: number): boolean {
    return this.#doubled.has(number);
  }

  /**
   * The segment or remains with the highest number below a number that begins before an LSN; truncated ones excluded.
   */
  highestBelow(above: number, limit: Lsn): Link | Remains | undefined {
    const link = lastBelow(this.untruncated, ({ header }) => header, above, limit);
    const remains = lastBelow(this.remains, (each) => each, above, limit);
    if (link === undefined || remains === undefined) return link ?? remains;
    return link.header.number > remains.number ? link : remains;
  }

  /** The remains of the segment with a number. With more than one it is unknown which of them is the segment. */
  remainsOf(wanted: number): readonly Remains[] {
    return this.#remainsByNumber.get(wanted) ?? [];
  }

  /**
   * Follows the chain from a segment to its predecessors. `missing` is the number of the first one that does not exist.
   */
  walk(top: Link, firstKept: number): { readonly links: readonly Link[]; readonly missing: number | undefined } {
    const links = [top];
    for (let link = top; ; ) {
      const { predecessor } = link.header;
      if (predecessor === undefined || predecessor.number < firstKept) {
        return { links: links.reverse(), missing: undefined };
      }
      const below = this.below(link);
      if (below === undefined) return { links: links.reverse(), missing: predecessor.number };
      links.push(below);
      link = below;
    }
  }

  /** The predecessor of a segment, when it is there and the segment can continue it. */
  below({ header }: Link): Link | undefined {
    const { predecessor, firstLsn, firstPosition } = header;
    const below = predecessor === undefined ? undefined : this.#byId.get(idOf(predecessor));
    if (below === undefined || below.header.firstLsn >= firstLsn || below.header.firstPosition > firstPosition) {
      return undefined;
    }
    return below;
  }

  get #byId(): Map<string, Link> {
    this.#indexed ??= new Map(
      this.sound.map((link) => [idOf({ number: link.header.number, id: link.header.segmentId }), link]),
    );
    return this.#indexed;
  }

  /**
   * Whether a missing predecessor may have been truncated: there is no usable checkpoint, and no segment or remains
   * before it.
   */
  isBeginning(missing: number): boolean {
    return this.firstKept === undefined && this.isLowest(missing);
  }

  /** Whether no segment or remains has a number up to this one. */
  isLowest(missing: number): boolean {
    return (
      !this.sound.some(({ header }) => header.number <= missing) &&
      !this.remains.some(({ number }) => number <= missing)
    );
  }
}

/** The last item, in an array ordered by number, with a number below `above` that begins before the LSN `limit`. */
function lastBelow<T>(
  all: readonly T[],
  nameOf: (each: T) => { readonly number: number; readonly firstLsn: Lsn },
  above: number,
  limit: Lsn,
): T | undefined {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (nameOf(all[middle] as T).number < above) low = middle + 1;
    else high = middle;
  }
  for (let index = low - 1; index >= 0; index--) if (nameOf(all[index] as T).firstLsn < limit) return all[index];
  return undefined;
}

export const isSound = (found: Link | Remains): found is Link => !('number' in found);

const idOf = ({ number, id }: { readonly number: number; readonly id: Uint8Array }): string =>
  `${number}/${Buffer.from(id).toString('hex')}`;

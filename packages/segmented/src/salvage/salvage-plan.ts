import { join } from 'node:path';
import { type Checkpoint, FileName, type Lsn, type SegmentHeader, WalError } from '@walstack/codec';
import type { Link, LogFiles, Segment } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { type Prefix, readPrefix, readSealed } from '../recovery/analyze-log.js';
import type { LsnRange } from '../recovery/recovery-report.js';
import { loweredTo } from '../retention/checkpoint-store.js';
import { BEGINNING, type ChainLink, isEmpty, linkBehind } from '../segments/segment.js';
import type { Remains, Survey } from './salvage-survey.js';
import { lastSeenIn } from './salvage-traces.js';

/** What salvage keeps, and what it gives up. */
export interface SalvagePlan {
  /** What is kept of the chain, from the oldest to the newest segment, the last of them cut. */
  readonly kept: readonly Segment[];
  /** The LSN that the log goes on with. */
  readonly nextLsn: Lsn;
  /** What the segment that it goes on in takes over. */
  readonly from: ChainLink;
  /** The number of that segment: above all that the log has had. */
  readonly number: number;
  /** Names of the files that are not part of the log any more, a checkpoint that cannot be used among them. */
  readonly hidden: readonly string[];
  /** The checkpoint that there is to be. */
  readonly checkpoint: Omit<Checkpoint, 'logId'>;
  readonly lost: readonly LsnRange[];
}

/** What is kept, before it is known what is lost by that. */
type Choice = Pick<SalvagePlan, 'kept' | 'nextLsn' | 'from'>;

/**
 * Decides, reading only, what of a damaged log can be kept: a prefix of it, up to the first record that is lost.
 *
 * @param damage - why the log cannot be opened
 * @param salvageLsn - the LSN to go on with, where that cannot be told from what is there
 * @throws `WAL_CORRUPT` of the same `reason` as `damage`, with what to do, where it needs a `salvageLsn`
 */
export function* planSalvage(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  survey: Survey,
  damage: WalError,
  salvageLsn: Lsn | undefined,
): IoRoutine<SalvagePlan> {
  const search = new SalvageSearch(io, survey);
  let choice = yield* search.choose();
  if (choice === undefined && salvageLsn !== undefined) choice = yield* search.chooseUpTo(salvageLsn);
  if (choice === undefined) throw asking(directory, damage);
  const { kept, nextLsn } = choice;
  const keptPaths = new Set(kept.map(({ path }) => path));
  const hidden = files.segments.map(({ name }) => name).filter((name) => !keptPaths.has(join(directory, name)));
  if (survey.checkpointUseless) hidden.push(FileName.checkpoint);
  const number = numberBehind(survey);
  const checkpoint = { ...checkpointFor(survey, kept, nextLsn), salvagedBelow: number };
  return { ...choice, number, hidden, checkpoint, lost: yield* search.lostBeside(kept, nextLsn) };
}

class SalvageSearch {
  readonly #io: StorageIo;
  /** In the order of their numbers. */
  readonly #sound: readonly Link[];
  /** The same, as far as the log has not been truncated before them. */
  readonly #untruncated: readonly Link[];
  readonly #remains: readonly Remains[];
  readonly #remainsByNumber = new Map<number, Remains[]>();
  /** Numbers that several of those have which were not truncated. */
  readonly #doubled = new Set<number>();
  readonly #checkpoint: Checkpoint | undefined;
  /** The number of the first segment of the log; `undefined` where nothing says. */
  readonly #firstKept: number | undefined;

  constructor(io: StorageIo, { sound, remains, checkpoint, checkpointUseless }: Survey) {
    const firstKept = checkpointUseless ? undefined : (checkpoint?.firstSegment ?? 1);
    this.#io = io;
    this.#sound = sound;
    this.#untruncated = sound.filter(({ header }) => header.number >= (firstKept ?? 1));
    this.#remains = remains.filter(({ number }) => number >= (firstKept ?? 1));
    for (const each of this.#remains) {
      const same = this.#remainsByNumber.get(each.number);
      if (same === undefined) this.#remainsByNumber.set(each.number, [each]);
      else same.push(each);
    }
    for (const [index, { header }] of this.#untruncated.entries()) {
      if (this.#untruncated[index + 1]?.header.number === header.number) this.#doubled.add(header.number);
    }
    this.#checkpoint = checkpoint;
    this.#firstKept = firstKept;
  }

  /** Keeps what stands before the first record that is lost; `undefined` where that cannot be told. */
  *choose(): IoRoutine<Choice | undefined> {
    // What stands behind the highest break is lost; below it, records from here on.
    let limit = Number.POSITIVE_INFINITY;
    let above = Number.POSITIVE_INFINITY;
    for (;;) {
      const top = this.#highestBelow(above, limit);
      if (top === undefined) {
        return above === this.#firstKept ? { kept: [], nextLsn: limit, from: BEGINNING } : undefined;
      }
      if (!isSound(top)) {
        if (this.#remainsOf(top.number).length > 1) return undefined;
        ({ firstLsn: limit, number: above } = top);
        continue;
      }
      if (this.#doubled.has(top.header.number)) return undefined;
      const { links, missing } = this.#walk(top, this.#firstKept ?? 1);
      if (missing === undefined || this.#isBeginning(missing)) return yield* this.#readUpTo(links, limit, above);
      // Only the name of a damaged file says where its records began.
      const [remains, ...others] = this.#remainsOf(missing);
      if (remains === undefined || others.length > 0) return undefined;
      ({ firstLsn: limit, number: above } = remains);
    }
  }

  /** Keeps what can be read, without a gap, right before an LSN; `undefined` where nothing can be. */
  *chooseUpTo(salvageLsn: Lsn): IoRoutine<Choice | undefined> {
    const before = this.#sound.filter(({ header }) => header.firstLsn < salvageLsn);
    for (const top of [...before].reverse()) {
      const prefix = yield* readPrefix(this.#io, top, salvageLsn);
      if (!prefix.reachesLimit) continue;
      // A batch is kept as a whole or not at all.
      const segment = { ...prefix.segment, ...prefix.openBatch };
      const firstKept = this.#firstKept ?? 1;
      const { links } = this.#walk(top, top.header.number < firstKept ? 1 : firstKept);
      const kept = [...(yield* this.#soundBelow(links)), ...(isEmpty(segment) ? [] : [segment])];
      const last = kept.at(-1);
      // An empty segment is given up, and what it continued goes on.
      const from = last === undefined ? BEGINNING : linkBehind(last);
      return { kept, nextLsn: segment.nextLsn, from };
    }
    const isBegun = before.length > 0 || this.#remains.some(({ firstLsn }) => firstLsn < salvageLsn);
    return isBegun && this.#sound.length > 0 ? undefined : { kept: [], nextLsn: salvageLsn, from: BEGINNING };
  }

  /** What is lost: before what is kept, and behind it as far as there are traces. */
  *lostBeside(kept: readonly Segment[], nextLsn: Lsn): IoRoutine<readonly LsnRange[]> {
    const lost: LsnRange[] = [];
    const first = kept[0]?.header;
    if (first?.predecessor !== undefined && first.predecessor.number >= (this.#firstKept ?? 1)) {
      const isBelow = (number: number): boolean => number < first.number;
      let begun = first.firstLsn - 1;
      for (const { header } of this.#untruncated) if (isBelow(header.number)) begun = Math.min(begun, header.firstLsn);
      for (const { number, firstLsn } of this.#remains) if (isBelow(number)) begun = Math.min(begun, firstLsn);
      const isKnown = begun < first.firstLsn - 1 || this.#firstKept !== undefined;
      if (isKnown && begun >= 1) lost.push({ fromLsn: begun, toLsn: first.firstLsn - 1 });
    }
    const seen = yield* this.#lastSeen();
    const from = this.#begun(kept, nextLsn);
    if (seen >= from) lost.push({ fromLsn: from, toLsn: seen });
    return lost;
  }

  /** The first LSN behind what is kept that the log may have had: with nothing kept it may have begun later. */
  #begun(kept: readonly Segment[], nextLsn: Lsn): Lsn {
    if (kept.length > 0) return nextLsn;
    let begun = Number.POSITIVE_INFINITY;
    for (const { header } of this.#untruncated) begun = Math.min(begun, header.firstLsn);
    for (const { firstLsn } of this.#remains) begun = Math.min(begun, firstLsn);
    return begun === Number.POSITIVE_INFINITY ? nextLsn : Math.max(nextLsn, begun);
  }

  /** The highest LSN of the log of which anything shows a trace; 0 where nothing does. */
  *#lastSeen(): IoRoutine<Lsn> {
    let seen = seenBy(this.#checkpoint);
    // What a segment has cut off is no part of the log: from its first LSN on, only those above tell.
    let limit = Number.POSITIVE_INFINITY;
    for (let above = Number.POSITIVE_INFINITY; ; ) {
      const top = this.#highestBelow(above, Number.POSITIVE_INFINITY);
      if (top === undefined) return seen;
      const { firstLsn, number } = isSound(top) ? top.header : top;
      const last = yield* lastSeenIn(this.#io, top);
      if (firstLsn < limit) seen = Math.max(seen, Math.min(last, limit - 1));
      // Everything below it ends before its first LSN, and there was something below it.
      if (isSound(top)) return seen;
      limit = Math.min(limit, firstLsn);
      above = number;
    }
  }

  /** What stands highest below a number and begins before an LSN, in the part of the log that was not truncated. */
  #highestBelow(above: number, limit: Lsn): Link | Remains | undefined {
    const link = lastBelow(this.#untruncated, ({ header }) => header, above, limit);
    const remains = lastBelow(this.#remains, (each) => each, above, limit);
    if (link === undefined || remains === undefined) return link ?? remains;
    return link.header.number > remains.number ? link : remains;
  }

  /** What is left of the segment with a number; with two of them nothing tells which it is. */
  #remainsOf(wanted: number): readonly Remains[] {
    return this.#remainsByNumber.get(wanted) ?? [];
  }

  /** Follows the chain down from a segment. `missing` is the number of the one that is not there. */
  #walk(top: Link, firstKept: number): { readonly links: readonly Link[]; readonly missing: number | undefined } {
    const links = [top];
    for (let link = top; ; ) {
      const { predecessor, firstLsn, firstPosition } = link.header;
      if (predecessor === undefined || predecessor.number < firstKept) {
        return { links: links.reverse(), missing: undefined };
      }
      const below = this.#byId.get(idOf(predecessor));
      if (below === undefined || below.header.firstLsn >= firstLsn || below.header.firstPosition > firstPosition) {
        return { links: links.reverse(), missing: predecessor.number };
      }
      links.push(below);
      link = below;
    }
  }

  get #byId(): Map<string, Link> {
    this.#indexed ??= new Map(
      this.#sound.map((link) => [idOf({ number: link.header.number, id: link.header.segmentId }), link]),
    );
    return this.#indexed;
  }

  #indexed: Map<string, Link> | undefined;

  /** Whether it is only the beginning of the log that nothing tells any more: it has no checkpoint that can be used. */
  #isBeginning(missing: number): boolean {
    return (
      this.#firstKept === undefined &&
      !this.#sound.some(({ header }) => header.number <= missing) &&
      !this.#remains.some(({ number }) => number <= missing)
    );
  }

  /** The links below the newest one that can be read without a gap. */
  *#soundBelow(links: readonly Link[]): IoRoutine<readonly Segment[]> {
    const sound: Segment[] = [];
    for (let index = links.length - 2; index >= 0; index--) {
      const successor = links[index + 1] as Link;
      try {
        sound.push(yield* readSealed(this.#io, links[index] as Link, successor.header.firstLsn, successor.path));
      } catch (error) {
        if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
        break;
      }
    }
    return sound.reverse();
  }

  /** Reads a chain from its beginning to the first record that is lost. */
  *#readUpTo(links: readonly Link[], limit: Lsn, above: number): IoRoutine<Choice | undefined> {
    const kept: Segment[] = [];
    let from = BEGINNING;
    for (const [index, link] of links.entries()) {
      const successor = links[index + 1];
      const prefix = yield* readPrefix(this.#io, link, successor?.header.firstLsn ?? limit);
      if (successor === undefined && !isSurelyBefore(prefix, link, limit, above)) return undefined;
      from = linkBehind(prefix.segment);
      if (!isEmpty(prefix.segment)) kept.push(prefix.segment);
      if (!prefix.reachesLimit) return { kept, nextLsn: prefix.segment.nextLsn, from: behind(kept, from) };
    }
    return { kept, nextLsn: limit, from: behind(kept, from) };
  }
}

/** The highest LSN that a checkpoint proves: before a hold is durable, everything that stands before its LSN is. */
function seenBy(checkpoint: Checkpoint | undefined): Lsn {
  if (checkpoint === undefined) return 0;
  return Object.values(checkpoint.holds).reduce((seen, lsn) => Math.max(seen, lsn - 1), checkpoint.checkpointLsn);
}

/** The last of some, which are in the order of their numbers, that has a number below one and begins before an LSN. */
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

const isSound = (found: Link | Remains): found is Link => !('number' in found);

const idOf = ({ number, id }: { readonly number: number; readonly id: Uint8Array }): string =>
  `${number}/${Buffer.from(id).toString('hex')}`;

/** Below a break only a segment goes on being the log that surely is the one before it. */
function isSurelyBefore({ reachesLimit, goesOn }: Prefix, { header }: Link, limit: Lsn, above: number): boolean {
  if (limit === Number.POSITIVE_INFINITY) return true;
  return reachesLimit && (!goesOn || header.number === above - 1);
}

/** What the new segment takes over: with nothing kept, the log begins in it, whatever an empty segment had continued. */
function behind(kept: readonly Segment[], from: ChainLink): ChainLink {
  return kept.length === 0 ? { ...from, predecessor: undefined } : from;
}

/** A number above those of all segments that the log has had, as far as that can be known. */
function numberBehind({ sound, remains, checkpoint }: Survey): number {
  const newest = Math.max(sound.at(-1)?.header.number ?? 0, remains.at(-1)?.number ?? 0);
  return Math.max(newest + 1, checkpoint?.firstSegment ?? 1, (checkpoint?.salvagedBelow ?? 0) + 1);
}

/** The checkpoint that goes with what is kept. */
function checkpointFor(
  { checkpoint }: Survey,
  kept: readonly Segment[],
  nextLsn: Lsn,
): Pick<Checkpoint, 'firstSegment' | 'checkpointLsn' | 'holds'> {
  const present = checkpoint?.firstSegment ?? 1;
  const header = kept[0]?.header;
  const firstSegment = header === undefined ? present : firstSegmentFor(header, present);
  if (checkpoint === undefined) return { firstSegment, checkpointLsn: 0, holds: {} };
  const { checkpointLsn, holds } = loweredTo(nextLsn - 1, checkpoint);
  return { firstSegment, checkpointLsn, holds };
}

function firstSegmentFor({ number, predecessor }: SegmentHeader, present: number): number {
  return number < present || (predecessor !== undefined && predecessor.number >= present) ? number : present;
}

function asking(directory: string, damage: WalError): WalError {
  const { path, offset, lsn, reason } = damage;
  return new WalError(
    'WAL_CORRUPT',
    `${damage.message}; salvage cannot tell where the log went on: give salvageLsn, the LSN that the next record ` +
      `is to get, and the records before it are kept as far as they can be read from the segments in ${directory}`,
    {
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(lsn === undefined ? {} : { lsn }),
      ...(reason === undefined ? {} : { reason }),
    },
    { cause: damage },
  );
}

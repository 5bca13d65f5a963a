import { join } from 'node:path';
import { type Checkpoint, FileName, type Lsn, type SegmentHeader, WalError } from '@walstack/codec';
import type { Link, LogFiles, ReadProgress, Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { type Prefix, readPrefix, readSealed } from '../recovery/analyze-log.js';
import type { LsnRange } from '../recovery/recovery-report.js';
import { loweredTo } from '../retention/checkpoint-store.js';
import { BEGINNING, type ChainLink, isEmpty, linkBehind } from '../segments/segment.js';
import type { Repair } from './holes/repair.js';
import { isSound, SalvageFiles } from './salvage-files.js';
import type { Survey } from './salvage-survey.js';
import { lastSeenIn } from './salvage-traces.js';

/** What salvage keeps, and what it takes out of the log. */
export interface SalvagePlan {
  /** The kept segments, from the oldest to the newest, the last one cut behind its last kept record. */
  readonly kept: readonly Segment[];
  /** The LSN with which the log continues. */
  readonly nextLsn: Lsn;
  /** The chain link of the new segment. */
  readonly from: ChainLink;
  /** The number of the new segment: above all numbers that the log has used. */
  readonly number: number;
  /** Names of the files that are not part of the log any more, including a checkpoint that cannot be used. */
  readonly hidden: readonly string[];
  /** The checkpoint to be written. */
  readonly checkpoint: Omit<Checkpoint, 'logId'>;
  readonly lost: readonly LsnRange[];
  /** The kept segments that have files: all but those that are made in the place of lost ones. */
  readonly readable: readonly Segment[];
  /** The segments that are made again around their damage. */
  readonly repairs: readonly Repair[];
}

/** The kept part of a plan, before the lost records are determined. */
type Choice = Pick<SalvagePlan, 'kept' | 'nextLsn' | 'from'>;

/**
 * Decides, by reading only, which part of a damaged log is kept: its records before the first lost one.
 *
 * @param damage - why the log cannot be opened
 * @param salvageLsn - the LSN to continue with, for when the files do not show it; a list is for a salvage around damage alone
 * @param progress - counts what was read
 * @throws `WAL_CORRUPT` with the `reason` of `damage` and an instruction when a `salvageLsn` is needed
 */
export function* planSalvage(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  survey: Survey,
  damage: WalError,
  salvageLsn: Lsn | readonly Lsn[] | undefined,
  progress: ReadProgress,
): IoRoutine<SalvagePlan> {
  const search = new SalvageSearch(io, new SalvageFiles(survey), progress);
  let choice = yield* search.choose();
  if (choice === undefined && typeof salvageLsn === 'number') choice = yield* search.chooseUpTo(salvageLsn);
  if (choice === undefined) throw asking(directory, damage);
  const { kept, nextLsn } = choice;
  const keptPaths = new Set(kept.map(({ path }) => path));
  const lost = yield* search.lostBeside(kept, nextLsn);
  const replaced = replacedBy(directory, files, survey, choice, keptPaths);
  return { ...choice, ...replaced, lost, readable: kept, repairs: [] };
}

/** What takes the place of the rest of the log, and the names of that. @param keptPaths - of the files that keep their names */
export function replacedBy(
  directory: string,
  files: LogFiles,
  survey: Survey,
  { kept, nextLsn }: Pick<SalvagePlan, 'kept' | 'nextLsn'>,
  keptPaths: ReadonlySet<string>,
): Pick<SalvagePlan, 'number' | 'hidden' | 'checkpoint'> {
  const hidden = files.segments.map(({ name }) => name).filter((name) => !keptPaths.has(join(directory, name)));
  if (survey.checkpointUseless) hidden.push(FileName.checkpoint);
  const number = numberBehind(survey);
  return { number, hidden, checkpoint: { ...checkpointFor(survey, kept, nextLsn), salvagedBelow: number } };
}

/** Searches the files of a damaged log for the part that can be kept, and for traces of lost records. */
class SalvageSearch {
  readonly #io: StorageIo;
  readonly #progress: ReadProgress;
  readonly #files: SalvageFiles;

  constructor(io: StorageIo, files: SalvageFiles, progress: ReadProgress) {
    this.#io = io;
    this.#files = files;
    this.#progress = progress;
  }

  /** Chooses the records before the first lost one; `undefined` when the files do not show which these are. */
  *choose(): IoRoutine<Choice | undefined> {
    // `limit`: the first lost LSN so far. `above`: the number of the segment at the lowest break in the chain found so
    // far.
    let limit = Number.POSITIVE_INFINITY;
    let above = Number.POSITIVE_INFINITY;
    for (;;) {
      const top = this.#files.highestBelow(above, limit);
      if (top === undefined) {
        return above === this.#files.firstKept ? { kept: [], nextLsn: limit, from: BEGINNING } : undefined;
      }
      if (!isSound(top)) {
        if (this.#files.remainsOf(top.number).length > 1) return undefined;
        ({ firstLsn: limit, number: above } = top);
        continue;
      }
      if (this.#files.isDoubled(top.header.number)) return undefined;
      const { links, missing } = this.#files.walk(top, this.#files.firstKept ?? 1);
      if (missing === undefined || this.#files.isBeginning(missing)) return yield* this.#readUpTo(links, limit, above);
      // The header of a damaged file is lost: its name contains its first LSN.
      const [remains, ...others] = this.#files.remainsOf(missing);
      if (remains === undefined || others.length > 0) return undefined;
      ({ firstLsn: limit, number: above } = remains);
    }
  }

  /** Chooses the records that can be read without a gap right before an LSN; `undefined` when there are none. */
  *chooseUpTo(salvageLsn: Lsn): IoRoutine<Choice | undefined> {
    const before = this.#files.sound.filter(({ header }) => header.firstLsn < salvageLsn);
    for (const top of [...before].reverse()) {
      const prefix = yield* this.#readPrefix(top, salvageLsn);
      if (!prefix.reachesLimit) continue;
      // A batch is kept as a whole or not at all.
      const segment = { ...prefix.segment, ...prefix.openBatch };
      const firstKept = this.#files.firstKept ?? 1;
      const { links } = this.#files.walk(top, top.header.number < firstKept ? 1 : firstKept);
      const kept = [...(yield* this.#soundBelow(links)), ...(isEmpty(segment) ? [] : [segment])];
      const last = kept.at(-1);
      // An empty segment is not kept: the new segment gets its chain link.
      const from = last === undefined ? BEGINNING : linkBehind(last);
      // The LSN may be in a hole.
      return { kept, nextLsn: Math.min(segment.nextLsn, salvageLsn), from };
    }
    const isBegun = before.length > 0 || this.#files.remains.some(({ firstLsn }) => firstLsn < salvageLsn);
    return isBegun && this.#files.sound.length > 0 ? undefined : { kept: [], nextLsn: salvageLsn, from: BEGINNING };
  }

  /** The lost records: before the kept ones, and behind them as far as there are traces. */
  *lostBeside(kept: readonly Segment[], nextLsn: Lsn): IoRoutine<readonly LsnRange[]> {
    const lost: LsnRange[] = [];
    const first = kept[0]?.header;
    if (first?.predecessor !== undefined && first.predecessor.number >= (this.#files.firstKept ?? 1)) {
      const isBelow = (number: number): boolean => number < first.number;
      let begun = first.firstLsn - 1;
      for (const { header } of this.#files.untruncated)
        if (isBelow(header.number)) begun = Math.min(begun, header.firstLsn);
      for (const { number, firstLsn } of this.#files.remains) if (isBelow(number)) begun = Math.min(begun, firstLsn);
      const isKnown = begun < first.firstLsn - 1 || this.#files.firstKept !== undefined;
      if (isKnown && begun >= 1) lost.push({ fromLsn: begun, toLsn: first.firstLsn - 1 });
    }
    const seen = yield* this.#lastSeen();
    const from = this.#begun(kept, nextLsn);
    if (seen >= from) lost.push({ fromLsn: from, toLsn: seen });
    return lost;
  }

  /** The first LSN behind the kept records. With nothing kept, the log may have begun at a later LSN than `nextLsn`. */
  #begun(kept: readonly Segment[], nextLsn: Lsn): Lsn {
    if (kept.length > 0) return nextLsn;
    let begun = Number.POSITIVE_INFINITY;
    for (const { header } of this.#files.untruncated) begun = Math.min(begun, header.firstLsn);
    for (const { firstLsn } of this.#files.remains) begun = Math.min(begun, firstLsn);
    return begun === Number.POSITIVE_INFINITY ? nextLsn : Math.max(nextLsn, begun);
  }

  /** The highest LSN of the log of which there is a trace; 0 when there is none. */
  *#lastSeen(): IoRoutine<Lsn> {
    let seen = seenBy(this.#files.checkpoint);
    // Records that a later segment has cut off are not part of the log: below a segment, only LSNs before its first one
    // count.
    let limit = Number.POSITIVE_INFINITY;
    for (let above = Number.POSITIVE_INFINITY; ; ) {
      const top = this.#files.highestBelow(above, Number.POSITIVE_INFINITY);
      if (top === undefined) return seen;
      const { firstLsn, number } = isSound(top) ? top.header : top;
      const last = yield* lastSeenIn(this.#io, top);
      if (firstLsn < limit) seen = Math.max(seen, Math.min(last, limit - 1));
      // All segments below it end before its first LSN.
      if (isSound(top)) return seen;
      limit = Math.min(limit, firstLsn);
      above = number;
    }
  }

  #readPrefix(link: Link, limit: Lsn): IoRoutine<Prefix> {
    return readPrefix(this.#io, link, limit, this.#progress);
  }

  /** The segments before the last link that can be read without a gap up to it. */
  *#soundBelow(links: readonly Link[]): IoRoutine<readonly Segment[]> {
    const sound: Segment[] = [];
    for (let index = links.length - 2; index >= 0; index--) {
      const [link, successor] = links.slice(index, index + 2) as [Link, Link];
      const { firstLsn } = successor.header;
      try {
        const segment = yield* readSealed(this.#io, link, firstLsn, successor.path, this.#progress);
        this.#progress.pass(segment.end);
        sound.push(segment);
      } catch (error) {
        if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
        break;
      }
    }
    return sound.reverse();
  }

  /**
   * Reads a chain from its beginning to the first lost record; `undefined` when the files do not show that the chain goes on
   * at the break above it, whatever is missing further down.
   */
  *#readUpTo(links: readonly Link[], limit: Lsn, above: number): IoRoutine<Choice | undefined> {
    const top = links.at(-1) as Link;
    const topPrefix = yield* this.#readPrefix(top, limit);
    if (!isSurelyBefore(topPrefix, top, limit, above)) return undefined;
    const kept: Segment[] = [];
    let from = BEGINNING;
    for (const [index, link] of links.entries()) {
      const successor = links[index + 1];
      const prefix = successor === undefined ? topPrefix : yield* this.#readPrefix(link, successor.header.firstLsn);
      from = linkBehind(prefix.segment);
      if (!isEmpty(prefix.segment)) kept.push(prefix.segment);
      if (!prefix.reachesLimit) return { kept, nextLsn: prefix.segment.nextLsn, from: behind(kept, from) };
    }
    return { kept, nextLsn: limit, from: behind(kept, from) };
  }
}

/**
 * The highest LSN that a checkpoint proves durable: records are synced before a checkpoint or hold behind them is
 * stored.
 */
export function seenBy(checkpoint: Checkpoint | undefined): Lsn {
  if (checkpoint === undefined) return 0;
  return Object.values(checkpoint.holds).reduce((seen, lsn) => Math.max(seen, lsn - 1), checkpoint.checkpointLsn);
}

/** Whether the last link is certainly the predecessor of the break in the chain above it. */
function isSurelyBefore({ reachesLimit, goesOn }: Prefix, { header }: Link, limit: Lsn, above: number): boolean {
  if (limit === Number.POSITIVE_INFINITY) return true;
  return reachesLimit && (!goesOn || header.number === above - 1);
}

/** The chain link of the new segment: with nothing kept the log begins in it, so it has no predecessor. */
export function behind(kept: readonly Segment[], from: ChainLink): ChainLink {
  return kept.length === 0 ? { ...from, predecessor: undefined } : from;
}

/** A number above those of all segments that the log has had, as far as the files show. */
function numberBehind({ sound, remains, checkpoint }: Survey): number {
  const newest = Math.max(sound.at(-1)?.header.number ?? 0, remains.at(-1)?.number ?? 0);
  return Math.max(newest + 1, checkpoint?.firstSegment ?? 1, (checkpoint?.salvagedBelow ?? 0) + 1);
}

/** The checkpoint that matches the kept segments. */
function checkpointFor(
  { checkpoint }: Survey,
  kept: readonly Segment[],
  nextLsn: Lsn,
): Pick<Checkpoint, 'firstSegment' | 'checkpointLsn' | 'holds' | 'expiredLsn'> {
  const present = checkpoint?.firstSegment ?? 1;
  const header = kept[0]?.header;
  const firstSegment = header === undefined ? present : firstSegmentFor(header, present);
  if (checkpoint === undefined) return { firstSegment, checkpointLsn: 0, holds: {} };
  const { checkpointLsn, holds, expiredLsn } = loweredTo(nextLsn - 1, checkpoint);
  const expired = expiredLsn === undefined || firstSegment !== present ? {} : { expiredLsn };
  return { firstSegment, checkpointLsn, holds, ...expired };
}

function firstSegmentFor({ number, predecessor }: SegmentHeader, present: number): number {
  return number < present || (predecessor !== undefined && predecessor.number >= present) ? number : present;
}

export function asking(directory: string, damage: WalError): WalError {
  const what =
    'the files do not show where the log continues: give salvageLsn, the LSN for the next record; the ' +
    `records before it are kept as far as they can be read from the segments in ${directory}`;
  return refusal(damage, what);
}

/** The files do not show how the parts of the log follow each other. @param wanted - what is to be given */
export function askingFor(wanted: string, damage: WalError): WalError {
  const what = `the files do not show the whole order of the log: give salvageLsn, a list where it is more than one LSN: ${wanted}`;
  return refusal(damage, what);
}

function refusal(damage: WalError, what: string): WalError {
  const { path, offset, lsn, reason } = damage;
  return new WalError(
    'WAL_CORRUPT',
    `${damage.message}; ${what}`,
    {
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(lsn === undefined ? {} : { lsn }),
      ...(reason === undefined ? {} : { reason }),
    },
    { cause: damage },
  );
}

import { join } from 'node:path';
import { type Checkpoint, FileName, type SegmentHeader, type SegmentName, WalError } from '@walstack/codec';
import { settled, withoutUnsettled } from '@walstack/codec/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { corruption } from './chain-errors.js';
import { isNoFile, readHeader } from './log-files.js';
import { sameId } from './segment.js';

/** The largest number of a segment: the next segment still has a number of ten digits. */
const SEGMENT_NUMBER_MAX = 9_999_999_998;

/** The largest position of a segment: the position of the next segment is still a safe integer. */
export const POSITION_MAX = 2 ** 52;

/** One segment file of the chain. */
export interface Link {
  readonly path: string;
  readonly header: SegmentHeader;
}

/** The end of the chain of a log. */
export interface ChainEnd {
  /** From the oldest to the newest segment; at least one. */
  readonly links: readonly Link[];
  /** The checkpoint of the log, with the beginning that the files show; `undefined` when there is none. */
  readonly checkpoint: Checkpoint | undefined;
}

/** The segments that make up the log, and those that are left over from a cut. */
export interface Chain extends ChainEnd {
  /** Paths of files that are no longer part of the log, and may be removed. */
  readonly leftovers: readonly string[];
}

/**
 * Follows the chain from the newest segment, the one with the highest number, from predecessor to predecessor.
 *
 * @param segments - those of the directory, in the order of their numbers; at least one
 * @throws `WAL_CORRUPT` for a missing, foreign, duplicated or damaged segment, naming both neighbours;
 * `WAL_UNSUPPORTED_VERSION`
 */
export function* readChain(
  io: StorageIo,
  directory: string,
  segments: readonly SegmentName[],
  checkpoint: Checkpoint | undefined,
): IoRoutine<Chain> {
  const end = yield* followChain(io, directory, segments, checkpoint, () => false);
  const { links } = end;
  const inChain = new Set(links.map((link) => link.header.number));
  const leftovers: string[] = [];
  for (const segment of segments) {
    if (inChain.has(segment.number)) continue;
    if (yield* isLeftover(io, directory, segment, links)) leftovers.push(join(directory, segment.name));
  }
  return { ...end, leftovers };
}

/**
 * The end of the chain. Where the checkpoint was written for a truncation, the log begins where it began before as long as none of
 * the segments was removed that the truncation removes: its writer may have been killed while it asked the followers.
 *
 * @param isEnough - called from the newest segment backwards: returns whether older ones are not needed
 * @throws like {@link readChain}
 */
export function* followChain(
  io: StorageIo,
  directory: string,
  segments: readonly SegmentName[],
  checkpoint: Checkpoint | undefined,
  isEnough: (link: Link) => boolean,
): IoRoutine<ChainEnd> {
  const byNumber = indexByNumber(directory, segments);
  const newest = segments.at(-1) as SegmentName;
  const firstKept = firstKeptOf(checkpoint);
  // Both were written when a segment with that number or a higher one had its name durably; the newest is never
  // removed.
  const known = Math.max(firstKept, checkpoint?.salvagedBelow ?? 1);
  if (known > newest.number) {
    const what = `it was written when segment ${known} existed, but the newest is ${newest.name}`;
    throw corruption(join(directory, FileName.checkpoint), 'missing-segment', what);
  }
  const links: Link[] = [];
  for (let name: SegmentName | undefined = newest; name !== undefined; ) {
    const link: Link = yield* nextLink(io, directory, name, links.at(-1), checkpoint);
    links.push(link);
    name = isEnough(link) ? undefined : predecessorOf(link, byNumber, firstKept, directory);
  }
  if (checkpoint?.unsettled === undefined) return { links: links.reverse(), checkpoint };
  const oldest = links.at(-1) as Link;
  const unsettled = isEnough(oldest) ? undefined : yield* unsettledLinks(io, directory, byNumber, oldest, checkpoint);
  if (unsettled === undefined) return { links: links.reverse(), checkpoint: settled(checkpoint) };
  return { links: [...links, ...unsettled].reverse(), checkpoint: withoutUnsettled(checkpoint) };
}

/**
 * The segments that a truncation removes, from the newest on; `undefined` as soon as one of them is not there any more, or when there
 * are none.
 *
 * @param kept - the first segment that it keeps
 */
function* unsettledLinks(
  io: StorageIo,
  directory: string,
  byNumber: ReadonlyMap<number, SegmentName>,
  kept: Link,
  checkpoint: Checkpoint,
): IoRoutine<readonly Link[] | undefined> {
  const { firstSegment } = withoutUnsettled(checkpoint);
  const links: Link[] = [];
  for (let later = kept; later.header.number > firstSegment; ) {
    const name = byNumber.get(later.header.predecessor?.number ?? 0);
    if (name === undefined || name.number < firstSegment) return undefined;
    later = yield* nextLink(io, directory, name, later, checkpoint);
    links.push(later);
  }
  return links;
}

function* nextLink(
  io: StorageIo,
  directory: string,
  name: SegmentName,
  later: Link | undefined,
  checkpoint: Checkpoint | undefined,
): IoRoutine<Link> {
  const link: Link = { path: join(directory, name.name), header: yield* readLink(io, directory, name) };
  checkFirst(link, checkpoint);
  if (later !== undefined) checkNeighbours(link, later);
  return link;
}

const firstKeptOf = (checkpoint: Checkpoint | undefined): number => checkpoint?.firstSegment ?? 1;

function indexByNumber(directory: string, segments: readonly SegmentName[]): Map<number, SegmentName> {
  const byNumber = new Map<number, SegmentName>();
  for (const segment of segments) {
    const other = byNumber.get(segment.number);
    if (other !== undefined) {
      const what = `${other.name} has the same segment number`;
      throw corruption(join(directory, segment.name), 'duplicated-segment', what);
    }
    byNumber.set(segment.number, segment);
  }
  return byNumber;
}

function* readLink(io: StorageIo, directory: string, name: SegmentName): IoRoutine<SegmentHeader> {
  const path = join(directory, name.name);
  let header: SegmentHeader;
  try {
    header = yield* readHeader(io, path);
  } catch (error) {
    if (isNoFile(error)) {
      const what = 'the directory has the name, but it is no file';
      throw corruption(path, 'missing-segment', what, { offset: 0, lsn: name.firstLsn });
    }
    if (!WalError.is(error, 'WAL_BAD_HEADER')) throw error;
    // A segment gets its name only after its header is durable: no crash leaves this.
    throw new WalError(
      'WAL_CORRUPT',
      `${error.message}; nothing was changed`,
      { path, offset: 0, lsn: name.firstLsn, reason: 'header' },
      { cause: error },
    );
  }
  if (header.number > SEGMENT_NUMBER_MAX || header.firstPosition > POSITION_MAX) {
    throw corruption(path, 'impossible-fields', 'its header leaves no number or position for another segment', {
      offset: 0,
    });
  }
  if (header.number !== name.number || header.firstLsn !== name.firstLsn) {
    const what = `its header says segment ${header.number} with first LSN ${header.firstLsn}`;
    throw corruption(path, 'renamed-segment', what, { offset: 0, lsn: name.firstLsn });
  }
  return header;
}

function checkFirst(link: Link, checkpoint: Checkpoint | undefined): void {
  if (checkpoint !== undefined && !sameId(checkpoint.logId, link.header.logId)) {
    throw corruption(link.path, 'other-log', 'it belongs to another log than the checkpoint beside it');
  }
}

function checkNeighbours(link: Link, later: Link): void {
  const facts = { lsn: later.header.firstLsn };
  if (!sameId(link.header.logId, later.header.logId)) {
    throw corruption(link.path, 'other-log', `it belongs to another log than its successor ${later.path}`, facts);
  }
  if (!sameId(link.header.segmentId, (later.header.predecessor as { id: Uint8Array }).id)) {
    throw corruption(link.path, 'other-segment', `it is not the segment that ${later.path} continues`, facts);
  }
  if (later.header.firstLsn <= link.header.firstLsn || later.header.firstPosition < link.header.firstPosition) {
    throw corruption(later.path, 'impossible-chain', `it cannot continue ${link.path}`, facts);
  }
}

function predecessorOf(
  link: Link,
  byNumber: Map<number, SegmentName>,
  firstKept: number,
  directory: string,
): SegmentName | undefined {
  const { predecessor, number } = link.header;
  if (predecessor === undefined || predecessor.number < firstKept) return undefined;
  const name = byNumber.get(predecessor.number);
  if (name !== undefined) return name;
  let below = 0;
  for (const each of byNumber.keys()) if (each < number && each > below) below = each;
  const neighbour = below === 0 ? 'no earlier segment is there' : `the one before it is ${byNumber.get(below)?.name}`;
  throw corruption(
    join(directory, `segment ${predecessor.number}`),
    'missing-segment',
    `${link.path} continues it, but it is missing: ${neighbour}`,
    { lsn: link.header.firstLsn - 1 },
  );
}

/**
 * Whether a file outside the chain is left over from a cut of this log. Other files must not be removed: no cut leaves
 * a file without a header, or under a name that does not match its header.
 *
 * @throws `WAL_CORRUPT` for a file of another log, whatever its number, and for a segment after the newest one
 */
function* isLeftover(io: StorageIo, directory: string, name: SegmentName, links: readonly Link[]): IoRoutine<boolean> {
  const path = join(directory, name.name);
  let header: SegmentHeader;
  try {
    header = yield* readHeader(io, path);
  } catch (error) {
    if (WalError.is(error, 'WAL_BAD_HEADER') || isNoFile(error)) return false;
    throw error;
  }
  const newest = links.at(-1) as Link;
  if (!sameId(header.logId, newest.header.logId)) {
    throw corruption(path, 'other-log', `it belongs to another log than ${newest.path}`);
  }
  const { number, firstLsn } = header;
  if (number > newest.header.number) {
    const what = `its header says segment ${number} with first LSN ${firstLsn}, which is after the newest, ${newest.path}`;
    throw corruption(path, 'renamed-segment', what, { offset: 0, lsn: firstLsn });
  }
  return number === name.number && firstLsn === name.firstLsn;
}

import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import {
  checkpointOf,
  type FrameScanner,
  FrameSummary,
  type Hole,
  holeUpTo,
  type Link,
  type LogFiles,
  lostRecord,
  openSealed,
  openStreamed,
  type ReadProgress,
  readChain,
  type Segment,
  type Sessions,
  SparseIndex,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { OpeningWatch } from './opening-watch.js';
import { analyzeNewest } from './torn-or-corrupt.js';

/** The result of {@link analyzeLog}: what recovery keeps of a log. */
export interface LogAnalysis {
  /** The chain, from the oldest to the newest segment, each cut where its kept part ends. At least one. */
  readonly segments: readonly Segment[];
  readonly checkpoint: Checkpoint | undefined;
  /** Paths of files that are not part of the log any more. */
  readonly leftovers: readonly string[];
  /** Records kept. */
  readonly records: number;
  /** The records that are lost, where the log was salvaged around them. */
  readonly holes: readonly Hole[];
  /** Whether the log ends with the mark of a clean close, with only zeros behind it. */
  readonly cleanlyClosed: boolean;
  /** Whether the kept part ends with a mark. */
  readonly endsWithMark: boolean;
  /** Whether that mark is the one of a clean close, behind which its writer wrote nothing. */
  readonly endsClosed: boolean;
  /** The highest LSN that a frame of the newest segment, or the existence of that segment, proves durable. */
  readonly provenLsn: Lsn;
  /** Bytes behind the kept part of the newest segment that are not all zeros: the torn tail. */
  readonly tornBytes: number;
  /** Offset in the newest segment of the first kept record that nothing proves durable. */
  readonly unprovenFrom: number | undefined;
  /** Whether the stored checkpoint announces a truncation that is not done, and is given up by this opening. */
  readonly isStale: boolean;
}

/**
 * Decides what of a log is kept, by reading only: reads every segment to its end and verifies every checksum.
 *
 * @param files - of the directory; at least one segment
 * @param watch - counts what was read
 * @throws `WAL_CORRUPT` when something that had been acknowledged is lost, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`
 */
export function* analyzeLog(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  watch: OpeningWatch,
): IoRoutine<LogAnalysis> {
  const stored = yield* checkpointOf(io, directory, files);
  const { links, leftovers, checkpoint } = yield* readChain(io, directory, files.segments, stored);
  const segments: Segment[] = [];
  const { progress } = watch;
  yield* watch.beginPass('verify', io, links);
  for (const [index, link] of links.entries()) {
    const successor = links[index + 1];
    if (successor === undefined) break;
    segments.push(yield* readSealed(io, link, successor.header.firstLsn, successor.path, progress));
    progress.pass();
  }
  const last = links.at(-1) as Link;
  const newest = yield* analyzeNewest(io, last, checkpoint, progress);
  segments.push(newest.segment);
  const holes = segments.flatMap((segment) => segment.holes ?? []);
  const records = newest.segment.nextLsn - (links[0] as Link).header.firstLsn - lsnsIn(holes);
  const isStale = checkpoint?.firstSegment !== stored?.firstSegment;
  return { ...newest, segments, checkpoint, leftovers, records, holes, isStale };
}

/**
 * Reads a segment that has a successor: its records must extend to the successor's first LSN.
 *
 * @throws `WAL_CORRUPT` when one of them cannot be read
 */
export function* readSealed(
  io: StorageIo,
  link: Link,
  successorLsn: Lsn,
  successorPath: string,
  progress: ReadProgress,
): IoRoutine<Segment> {
  const proof = `${successorPath} begins with LSN ${successorLsn}`;
  const sparseIndex = new SparseIndex();
  const reason = 'hole-before-successor';
  const scanner = yield* openSealed(io, link);
  const { end, sessions, holes } = yield* endBefore(scanner, successorLsn, reason, proof, { sparseIndex, progress });
  return { ...link, end, nextLsn: successorLsn, sparseIndex, sessions, holes };
}

/** How many LSNs holes have. */
export const lsnsIn = (holes: readonly Hole[]): number =>
  holes.reduce((sum, { firstLsn, lastLsn }) => sum + lastLsn - firstLsn + 1, 0);

/** The end of the frames before the record with `nextLsn`, marks included. The record is in the segment. */
export function* endOfKept(io: StorageIo, segment: Segment, nextLsn: Lsn): IoRoutine<number> {
  const proof = `the log has records up to ${segment.nextLsn - 1} there`;
  return (yield* endBefore(yield* openStreamed(io, segment, { limit: segment.end }), nextLsn, 'hole', proof)).end;
}

/** Reads up to the record with `nextLsn`, and returns the end of the frames before it, their sessions, and what is lost of them. */
function* endBefore(
  scanner: FrameScanner,
  nextLsn: Lsn,
  reason: string,
  proof: string,
  { sparseIndex, progress }: { readonly sparseIndex?: SparseIndex; readonly progress?: ReadProgress } = {},
): IoRoutine<{ readonly end: number; readonly sessions: Sessions; readonly holes: readonly Hole[] }> {
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    while (yield* scanner.fill()) {
      const isBefore = frames.skip(summary, nextLsn);
      progress?.at(frames.end, frames.nextLsn);
      if (!isBefore) break;
      sparseIndex?.note(frames.end, frames.nextLsn);
    }
    if (frames.nextLsn < nextLsn) throw lostRecord(frames.path, frames.end, frames.nextLsn, reason, proof);
    const holes = summary.holes.flatMap((hole) => holeUpTo(hole, nextLsn - 1) ?? []);
    return { end: frames.end, sessions: summary.sessions, holes };
  } finally {
    scanner.close();
  }
}

/** The readable part of a segment, from its beginning on. */
export interface Prefix {
  /** Cut behind the last kept record, without a batch whose last record is missing. */
  readonly segment: Segment;
  /** Whether every record before the limit can be read. */
  readonly reachesLimit: boolean;
  /** Whether the record at the limit can be read, too. */
  readonly goesOn: boolean;
  /** The beginning of the batch that the limit would split. */
  readonly openBatch: FrameSummary['openBatch'];
}

/**
 * Reads a segment up to the record with LSN `limit`, or to the first damaged byte. Damage behind the limit does not
 * matter.
 */
export function* readPrefix(io: StorageIo, link: Link, limit: Lsn, progress?: ReadProgress): IoRoutine<Prefix> {
  const scanner = yield* openStreamed(io, link);
  const { frames } = scanner;
  const tail = new FrameSummary(0);
  try {
    const goesOn = yield* readOn(scanner, tail, limit, progress);
    progress?.pass(frames.end);
    const segment = { ...link, end: frames.end, nextLsn: frames.nextLsn };
    const { openBatch } = tail;
    if (segment.nextLsn >= limit) return { segment, reachesLimit: true, goesOn, openBatch };
    return { segment: { ...segment, ...openBatch }, reachesLimit: false, goesOn: false, openBatch: undefined };
  } finally {
    scanner.close();
  }
}

/** Reads to the record with LSN `limit`, or to the first damaged byte. @returns whether that record was reached */
function* readOn(
  scanner: FrameScanner,
  tail: FrameSummary,
  limit: Lsn,
  progress: ReadProgress | undefined,
): IoRoutine<boolean> {
  try {
    while (yield* scanner.fill()) {
      const { frames } = scanner;
      if (!frames.skip(tail, limit)) return true;
      progress?.at(frames.end, frames.nextLsn);
    }
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  }
  return false;
}

import { type Checkpoint, type Lsn, MarkType, WalError } from '@walstack/codec';
import {
  type FrameScanner,
  FrameSummary,
  type Link,
  type LogFiles,
  lostRecord,
  openSealed,
  openStreamed,
  provenByCheckpoint,
  readChain,
  readCheckpoint,
  type Segment,
  SparseIndex,
  type StreamedScanner,
  scanTail,
} from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/** What recovery found out about a log by reading alone. */
export interface LogAnalysis {
  /** The chain, from the oldest to the newest segment, each cut where its kept part ends. At least one. */
  readonly segments: readonly Segment[];
  readonly checkpoint: Checkpoint | undefined;
  /** Paths of files that are not part of the log any more. */
  readonly leftovers: readonly string[];
  /** Records kept. */
  readonly records: number;
  /** Whether the log ends with the mark of a clean close and nothing stands behind it. */
  readonly cleanlyClosed: boolean;
  /** Whether the kept part ends with a mark. */
  readonly endsWithMark: boolean;
  /** The highest LSN that some frame of the newest segment, or its being there, proves durable. */
  readonly provenLsn: Lsn;
  /** Bytes behind the kept part of the newest segment that are not all zeros: the torn tail. */
  readonly tornBytes: number;
  /** Where, in the newest segment, the first kept record stands that nothing proves durable. */
  readonly unprovenFrom: number | undefined;
}

/** What the scan of a newest segment found. */
interface Newest {
  readonly segment: Segment;
  readonly cleanlyClosed: boolean;
  readonly endsWithMark: boolean;
  readonly provenLsn: Lsn;
  readonly tornBytes: number;
  readonly unprovenFrom: number | undefined;
}

/**
 * Decides, reading only, what of a log is kept: every segment is read to its end and every checksum verified.
 *
 * @param files - of the directory; at least one segment
 * @throws `WAL_CORRUPT` when something that had been acknowledged is lost, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`
 */
export function* analyzeLog(io: StorageIo, directory: string, files: LogFiles): IoRoutine<LogAnalysis> {
  const checkpoint = files.checkpoint ? yield* readCheckpoint(io, directory) : undefined;
  const { links, leftovers } = yield* readChain(io, directory, files.segments, checkpoint);
  const segments: Segment[] = [];
  for (const [index, link] of links.entries()) {
    const successor = links[index + 1];
    if (successor === undefined) break;
    segments.push(yield* readSealed(io, link, successor.header.firstLsn, successor.path));
  }
  const last = links.at(-1) as Link;
  const newest = yield* judgeNewest(io, last, checkpoint);
  segments.push(newest.segment);
  const records = newest.segment.nextLsn - (links[0] as Link).header.firstLsn;
  return { ...newest, segments, checkpoint, leftovers, records };
}

/**
 * Reads a segment that has a successor: its records must reach the successor's first LSN.
 *
 * @throws `WAL_CORRUPT` when they do not
 */
export function* readSealed(io: StorageIo, link: Link, successorLsn: Lsn, successorPath: string): IoRoutine<Segment> {
  const proof = `${successorPath} begins with LSN ${successorLsn}`;
  const places = new SparseIndex();
  const end = yield* endBefore(yield* openSealed(io, link), successorLsn, 'hole-before-successor', proof, places);
  return { ...link, end, nextLsn: successorLsn, places };
}

/** Where the frames of a segment end that stand before the record with `nextLsn`, which is there: marks included. */
export function* endOfKept(io: StorageIo, segment: Segment, nextLsn: Lsn): IoRoutine<number> {
  const proof = `the log has records up to ${segment.nextLsn - 1} there`;
  return yield* endBefore(yield* openStreamed(io, segment, { limit: segment.end }), nextLsn, 'hole', proof);
}

/** Reads up to the first record that is not kept, and returns where the frames before it end. */
function* endBefore(
  scanner: FrameScanner,
  nextLsn: Lsn,
  reason: string,
  proof: string,
  places?: SparseIndex,
): IoRoutine<number> {
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    while (yield* scanner.fill()) {
      if (!frames.skip(summary, nextLsn)) break;
      places?.note(frames.end, frames.nextLsn);
    }
    if (frames.nextLsn < nextLsn) throw lostRecord(frames.path, frames.end, frames.nextLsn, reason, proof);
    return frames.end;
  } finally {
    scanner.close();
  }
}

function* judgeNewest(io: StorageIo, link: Link, checkpoint: Checkpoint | undefined): IoRoutine<Newest> {
  const scanner = yield* openStreamed(io, link);
  try {
    return yield* readNewest(io, scanner, link, checkpoint);
  } finally {
    scanner.close();
  }
}

/** A segment as far as it can be read. */
export interface Prefix {
  /** Without a batch whose last record is missing. */
  readonly segment: Segment;
  /** Whether every record before the limit can be read. */
  readonly reachesLimit: boolean;
  /** Whether records behind the limit can be read, too. */
  readonly goesOn: boolean;
  /** Where the batch began that the limit cuts in two. */
  readonly openBatch: FrameSummary['openBatch'];
}

/** Reads a segment as far as that goes, up to the record with LSN `limit`, whatever is damaged behind that. */
export function* readPrefix(io: StorageIo, link: Link, limit: Lsn): IoRoutine<Prefix> {
  const scanner = yield* openStreamed(io, link);
  const { frames } = scanner;
  const tail = new FrameSummary(0);
  try {
    const goesOn = yield* readOn(scanner, tail, limit);
    const segment = { ...link, end: frames.end, nextLsn: frames.nextLsn };
    const { openBatch } = tail;
    if (segment.nextLsn >= limit) return { segment, reachesLimit: true, goesOn, openBatch };
    return { segment: { ...segment, ...openBatch }, reachesLimit: false, goesOn: false, openBatch: undefined };
  } finally {
    scanner.close();
  }
}

/** Reads to the record with LSN `limit`, or as far as that goes. @returns whether it has come to that record */
function* readOn(scanner: FrameScanner, tail: FrameSummary, limit: Lsn): IoRoutine<boolean> {
  try {
    while (yield* scanner.fill()) if (!scanner.frames.skip(tail, limit)) return true;
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  }
  return false;
}

/** Reads the newest segment and judges what stands behind its last readable record. */
function* readNewest(
  io: StorageIo,
  scanner: StreamedScanner,
  link: Link,
  checkpoint: Checkpoint | undefined,
): IoRoutine<Newest> {
  const { header } = link;
  const { file, frames } = scanner;
  const size = io.size(file);
  const tail = new FrameSummary(header.firstLsn - 1);
  const places = new SparseIndex();
  while (yield* scanner.fill()) {
    frames.skip(tail);
    places.note(frames.end, frames.nextLsn);
  }

  const readable: Segment = { ...link, end: frames.end, nextLsn: frames.nextLsn, places };
  // Without the batch whose last record is missing: what proves any of it durable proves that the rest of it was, too.
  const kept = { ...readable, ...tail.openBatch };
  const behind = yield* scanTail(io, file, readable, size, kept.nextLsn);
  const facts = [link.path, readable.end, readable.nextLsn] as const;
  if (behind.proofOffset !== undefined) {
    throw lostRecord(...facts, 'hole', `the frame at offset ${behind.proofOffset} proves that it had been durable`);
  }
  if (tail.provenLsn >= kept.nextLsn) {
    throw lostRecord(...facts, 'hole', `a frame proves that LSN ${tail.provenLsn} of the same batch had been durable`);
  }
  const proven = provenByCheckpoint(checkpoint, kept.nextLsn);
  if (proven !== undefined) throw lostRecord(...facts, proven.reason, proven.proof);
  const whole = kept.end === readable.end;
  const unproven = kept.nextLsn - 1 > tail.provenLsn && kept.nextLsn > header.firstLsn;
  return {
    segment: kept,
    cleanlyClosed: whole && !behind.dirty && tail.markType === MarkType.closed,
    endsWithMark: whole && tail.markType !== undefined,
    provenLsn: Math.min(tail.provenLsn, kept.nextLsn - 1),
    tornBytes: behind.dirty || !whole ? size - kept.end : 0,
    unprovenFrom: unproven ? yield* positionOf(io, tail.provenLsn + 1, kept) : undefined,
  };
}

/** Where the record with this LSN stands, which is one of the segment. */
function* positionOf(io: StorageIo, lsn: Lsn, segment: Segment): IoRoutine<number> {
  const { end, places } = segment;
  const scanner = yield* openStreamed(io, segment, { ...places?.before(lsn), limit: end });
  const { frames } = scanner;
  try {
    while (yield* scanner.fill()) {
      while (frames.next()) if (frames.lsn === lsn && !frames.isMark) return frames.position;
    }
    return end;
  } finally {
    scanner.close();
  }
}

import { type Checkpoint, isMark, type Lsn, MarkType, provenDurable, RecordFlag } from '@walstack/codec';
import {
  type LogFiles,
  lookBehind,
  lostRecord,
  readChain,
  readCheckpoint,
  type Segment,
  SegmentScanner,
  withFile,
} from '@walstack/mmap-reader/segments';
import type { IoFile, IoRoutine, StorageIo } from '@walstack/storage-io';

/** What recovery found out about a log by reading alone. */
export interface Judgement {
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
  readonly tornBytes: number;
  readonly unprovenFrom: number | undefined;
}

/**
 * Decides, reading only, what of a log is kept: every segment is read to its end and every checksum verified.
 *
 * @param files - of the directory; at least one segment
 * @throws `WAL_CORRUPT` when something that had been acknowledged is lost, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`
 */
export function* judge(io: StorageIo, directory: string, files: LogFiles): IoRoutine<Judgement> {
  const checkpoint = files.checkpoint ? yield* readCheckpoint(io, directory) : undefined;
  const { links, leftovers } = yield* readChain(io, directory, files.segments, checkpoint);
  const segments: Segment[] = [];
  for (const [index, link] of links.entries()) {
    const successor = links[index + 1];
    if (successor === undefined) break;
    segments.push(yield* readSealed(io, link, successor.header.firstLsn, successor.path));
  }
  const last = links.at(-1) as (typeof links)[number];
  const newest = yield* withFile(io, last.path, (file) => readNewest(io, file, last, checkpoint));
  segments.push(newest.segment);
  const records = newest.segment.nextLsn - (links[0] as (typeof links)[number]).header.firstLsn;
  return { ...newest, segments, checkpoint, leftovers, records };
}

/** Reads a segment that has a successor: its records must reach the successor's first LSN. */
function* readSealed(
  io: StorageIo,
  link: { path: string; header: Segment['header'] },
  successorLsn: Lsn,
  successorPath: string,
): IoRoutine<Segment> {
  return yield* withFile(io, link.path, function* (file) {
    const { header } = link;
    const scanner = new SegmentScanner(io, file, header, header.blockBytes, header.firstLsn, io.size(file));
    const end = yield* endBefore(scanner, header.blockBytes, successorLsn);
    if (scanner.nextLsn < successorLsn) {
      const proof = `${successorPath} begins with LSN ${successorLsn}`;
      throw lostRecord(link.path, scanner.end, scanner.nextLsn, 'hole-before-successor', proof);
    }
    return { ...link, end, nextLsn: successorLsn };
  });
}

/** Where the frames of a segment end that stand before the record with `nextLsn`, which is there: marks included. */
export function* endOfKept(io: StorageIo, segment: Segment, nextLsn: Lsn): IoRoutine<number> {
  return yield* withFile(io, segment.path, function* (file) {
    const { header } = segment;
    const scanner = new SegmentScanner(io, file, header, header.blockBytes, header.firstLsn, segment.end);
    const end = yield* endBefore(scanner, header.blockBytes, nextLsn);
    if (scanner.nextLsn < nextLsn) {
      const proof = `the log has records up to ${segment.nextLsn - 1} there`;
      throw lostRecord(segment.path, scanner.end, scanner.nextLsn, 'hole', proof);
    }
    return end;
  });
}

/** Reads up to the first record that a successor hides, and returns where the frames before it end. */
function* endBefore(scanner: SegmentScanner, from: number, successorLsn: Lsn): IoRoutine<number> {
  let end = from;
  do {
    while (scanner.next()) {
      if (scanner.record.lsn >= successorLsn && !isMark(scanner.record)) return end;
      end = scanner.end;
    }
  } while (yield* scanner.fill());
  return end;
}

/** Reads the newest segment and judges what stands behind its last readable record. */
function* readNewest(
  io: StorageIo,
  file: IoFile,
  link: { path: string; header: Segment['header'] },
  checkpoint: Checkpoint | undefined,
): IoRoutine<Newest> {
  const { header } = link;
  const size = io.size(file);
  const tail = new TailTracker(header.firstLsn, header.blockBytes);
  const scanner = new SegmentScanner(io, file, header, header.blockBytes, header.firstLsn, size);
  do {
    tail.chunkAt(scanner.end, scanner.nextLsn);
    while (scanner.next()) tail.frame(scanner);
  } while (yield* scanner.fill());

  const readable: Segment = { ...link, end: scanner.end, nextLsn: scanner.nextLsn };
  const behind = yield* lookBehind(io, file, readable, size);
  const facts = [link.path, readable.end, readable.nextLsn] as const;
  if (behind.evidenceOffset !== undefined) {
    throw lostRecord(...facts, 'hole', `the frame at offset ${behind.evidenceOffset} proves that it had been durable`);
  }
  if (checkpoint !== undefined && checkpoint.checkpointLsn >= readable.nextLsn) {
    throw lostRecord(...facts, 'hole-before-checkpoint', `the checkpoint has LSN ${checkpoint.checkpointLsn}`);
  }
  const kept = tail.keep(readable);
  const whole = kept.end === readable.end;
  const unproven = kept.nextLsn - 1 > tail.provenLsn && kept.nextLsn > header.firstLsn;
  return {
    segment: kept,
    cleanlyClosed: whole && !behind.dirty && tail.closed,
    endsWithMark: whole && tail.marked,
    tornBytes: behind.dirty || !whole ? size - kept.end : 0,
    unprovenFrom: unproven ? yield* tail.positionOf(io, file, header, tail.provenLsn + 1, kept) : undefined,
  };
}

/** What is to be remembered while the newest segment is read. */
class TailTracker {
  /** The highest LSN that some frame proves durable. */
  provenLsn: Lsn;
  /** Whether the last frame was a mark, and whether that of a clean close. */
  marked = false;
  closed = false;
  /** Where the batch began that the last record continues. */
  #batch: { readonly end: number; readonly nextLsn: Lsn } | undefined;
  /** Places between records from which the first record that is not proven can be found by reading on. */
  #places: { readonly position: number; readonly lsn: Lsn }[];
  #end: number;

  constructor(firstLsn: Lsn, position: number) {
    this.provenLsn = firstLsn - 1;
    this.#places = [{ position, lsn: firstLsn }];
    this.#end = position;
  }

  chunkAt(position: number, lsn: Lsn): void {
    this.#places.push({ position, lsn });
    // Only the last place at or before the first record that is not proven is of use.
    while (this.#places.length > 1 && (this.#places[1] as { lsn: Lsn }).lsn <= this.provenLsn + 1) this.#places.shift();
  }

  frame(scanner: SegmentScanner): void {
    const { record } = scanner;
    this.provenLsn = Math.max(this.provenLsn, provenDurable(record.lsn, record.durableLag));
    this.marked = isMark(record);
    this.closed = this.marked && record.type === MarkType.closed;
    if (!this.marked) {
      if ((record.flags & RecordFlag.batchContinues) === 0) this.#batch = undefined;
      else this.#batch ??= { end: this.#end, nextLsn: record.lsn };
    }
    this.#end = scanner.end;
  }

  /** The segment without the batch whose last record is missing. */
  keep(readable: Segment): Segment {
    return this.#batch === undefined ? readable : { ...readable, ...this.#batch };
  }

  /** Where the record with this LSN stands, one that is not proven. */
  *positionOf(io: StorageIo, file: IoFile, header: Segment['header'], lsn: Lsn, kept: Segment): IoRoutine<number> {
    const place = this.#places[0] as { position: number; lsn: Lsn };
    const scanner = new SegmentScanner(io, file, header, place.position, place.lsn, kept.end);
    do {
      while (scanner.next()) if (scanner.record.lsn === lsn && !isMark(scanner.record)) return scanner.position;
    } while (yield* scanner.fill());
    return kept.end;
  }
}

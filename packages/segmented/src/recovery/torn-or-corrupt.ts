import { type Checkpoint, type Lsn, MarkType } from '@walstack/codec';
import {
  FrameSummary,
  type Link,
  lostRecord,
  openStreamed,
  provenByCheckpoint,
  type ReadProgress,
  type Segment,
  SparseIndex,
  type StreamedScanner,
  scanTail,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/** What recovery keeps of the newest segment. */
export interface NewestAnalysis {
  readonly segment: Segment;
  readonly cleanlyClosed: boolean;
  readonly endsWithMark: boolean;
  /** Whether that mark is the one of a clean close, behind which its writer wrote nothing. */
  readonly endsClosed: boolean;
  readonly provenLsn: Lsn;
  readonly tornBytes: number;
  readonly unprovenFrom: number | undefined;
}

/**
 * Reads the newest segment and decides whether the bytes behind its last readable record are a torn tail, which nothing
 * proves to have been durable, or corruption.
 *
 * @throws `WAL_CORRUPT` when a frame, a mark, the checkpoint or a hold proves that what cannot be read had been durable
 */
export function* analyzeNewest(
  io: StorageIo,
  link: Link,
  checkpoint: Checkpoint | undefined,
  progress: ReadProgress,
): IoRoutine<NewestAnalysis> {
  const scanner = yield* openStreamed(io, link);
  try {
    return yield* readNewest(io, scanner, link, checkpoint, progress);
  } finally {
    scanner.close();
  }
}

function* readNewest(
  io: StorageIo,
  scanner: StreamedScanner,
  link: Link,
  checkpoint: Checkpoint | undefined,
  progress: ReadProgress,
): IoRoutine<NewestAnalysis> {
  const { header } = link;
  const { file, frames } = scanner;
  const size = io.size(file);
  const tail = new FrameSummary(header.firstLsn - 1);
  const sparseIndex = new SparseIndex();
  while (yield* scanner.fill()) {
    frames.skip(tail);
    sparseIndex.note(frames.end, frames.nextLsn);
    progress.at(frames.end, frames.nextLsn);
  }

  const { sessions, holes } = tail;
  const readable: Segment = { ...link, end: frames.end, nextLsn: frames.nextLsn, sparseIndex, sessions, holes };
  // Without a batch whose last record is missing: a proof that a part of it was durable would prove all of it durable.
  const kept = { ...readable, ...tail.openBatch };
  progress.phase = 'search';
  const reached = (position: number): void => progress.at(position, readable.nextLsn);
  const tailScan = yield* scanTail(io, file, readable, size, kept.nextLsn, reached);
  const facts = [link.path, readable.end, readable.nextLsn] as const;
  if (tailScan.proofOffset !== undefined) {
    throw lostRecord(...facts, 'hole', `the frame at offset ${tailScan.proofOffset} proves that it had been durable`);
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
    cleanlyClosed: whole && !tailScan.dirty && tail.markType === MarkType.closed,
    endsWithMark: whole && tail.markType !== undefined,
    endsClosed: whole && tail.markType === MarkType.closed,
    provenLsn: Math.min(tail.provenLsn, kept.nextLsn - 1),
    tornBytes: tailScan.dirty || !whole ? size - kept.end : 0,
    unprovenFrom: unproven ? yield* positionOf(io, tail.provenLsn + 1, kept) : undefined,
  };
}

/** Offset of the record with an LSN, which is in the segment. */
function* positionOf(io: StorageIo, lsn: Lsn, segment: Segment): IoRoutine<number> {
  const { end, sparseIndex } = segment;
  const scanner = yield* openStreamed(io, segment, { ...sparseIndex?.before(lsn), limit: end });
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

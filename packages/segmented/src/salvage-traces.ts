import {
  blockEnd,
  FRAME_HEADER_BYTES,
  isMark,
  type Lsn,
  MARK_FRAME_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  WalError,
} from '@walstack/codec';
import {
  FrameSummary,
  type Link,
  lookBehind,
  openStreamed,
  type Segment,
  withFile,
} from '@walstack/mmap-reader/segments';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { Remains } from './salvage-survey.js';

/**
 * The highest LSN of which a segment shows a trace, behind damage as well; that before its first one where there is none.
 *
 * @param sound - segments of the same log: a header that cannot be read is taken to have had their block size
 */
export function* lastSeenIn(io: StorageIo, found: Link | Remains, sound: readonly Link[]): IoRoutine<Lsn> {
  const { path, header } = found;
  if (header !== undefined) return yield* lastVerified(io, { path, header });
  const { firstLsn } = found as Remains;
  const blockBytes = new Set(sound.map((link) => link.header.blockBytes));
  let seen = firstLsn - 1;
  try {
    seen = yield* withFile(io, path, function* (file) {
      let last = firstLsn - 1;
      for (const each of blockBytes) last = Math.max(last, yield* lastUnverified(io, file, firstLsn, each));
      return last;
    });
  } catch (error) {
    // It is no file, or none that can be read: then it shows nothing.
    if (!WalError.is(error)) throw error;
  }
  return seen;
}

/** Reads on behind every hole, as long as there is evidence that something stands there. */
function* lastVerified(io: StorageIo, link: Link): IoRoutine<Lsn> {
  let seen = link.header.firstLsn - 1;
  let from = link.header.blockBytes;
  let nextLsn = link.header.firstLsn;
  for (;;) {
    const read = yield* readFrom(io, link, from, nextLsn);
    seen = Math.max(seen, read.nextLsn - 1);
    const evidence = yield* evidenceBehind(io, read);
    if (evidence === undefined) return seen;
    ({ offset: from, lsn: nextLsn } = evidence);
    if (evidence.isRecord) seen = Math.max(seen, nextLsn);
    else seen = Math.max(seen, nextLsn - 1);
    if (from <= read.end && nextLsn <= read.nextLsn) return seen;
  }
}

/** Reads a segment from a frame on as far as that goes. */
function* readFrom(io: StorageIo, link: Link, from: number, nextLsn: Lsn): IoRoutine<Segment> {
  const scanner = yield* openStreamed(io, link, { from, nextLsn });
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    while (yield* scanner.fill()) frames.skip(summary);
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  } finally {
    scanner.close();
  }
  return { ...link, end: frames.end, nextLsn: frames.nextLsn };
}

interface Evidence {
  readonly offset: number;
  readonly lsn: Lsn;
  readonly isRecord: boolean;
}

function* evidenceBehind(io: StorageIo, segment: Segment): IoRoutine<Evidence | undefined> {
  return yield* withFile(io, segment.path, function* (file) {
    let offset: number | undefined;
    try {
      ({ evidenceOffset: offset } = yield* lookBehind(io, file, segment, io.size(file)));
    } catch (error) {
      // A file that was made to be searched in vain shows nothing further.
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    }
    if (offset === undefined) return undefined;
    const record = yield* headerAt(io, file, offset);
    return { offset, lsn: record.lsn, isRecord: !isMark(record) };
  });
}

function* headerAt(io: StorageIo, file: IoFile, offset: number): IoRoutine<RecordHeader> {
  const bytes = new Uint8Array(MARK_FRAME_BYTES);
  yield* ioSteps.read(io, file, bytes, offset);
  const record = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer), 0, record);
  return record;
}

/** Walks from frame to frame without their checksums, which the lost header has the salt of: LSNs have to count on. */
function* lastUnverified(io: StorageIo, file: IoFile, firstLsn: Lsn, blockBytes: number): IoRoutine<Lsn> {
  const size = io.size(file);
  const bytes = new Uint8Array(MARK_FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  const record = new RecordHeader();
  let next = firstLsn;
  for (let at = blockBytes; at + MARK_FRAME_BYTES <= size; ) {
    yield* ioSteps.read(io, file, bytes, at);
    const length = blockBytes - (at % blockBytes) < FRAME_HEADER_BYTES ? 0 : view.getUint32(0, true);
    if (length === 0) {
      at = blockEnd(at + 1, blockBytes);
      continue;
    }
    readRecordHeader(view, 0, record);
    if (length < RECORD_HEADER_BYTES || at + FRAME_HEADER_BYTES + length > size || record.lsn !== next) break;
    if ((record.flags & RecordFlag.mark) === 0) next++;
    at += FRAME_HEADER_BYTES + length;
  }
  return next - 1;
}

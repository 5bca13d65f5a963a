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
  type FrameScanner,
  FrameSummary,
  type Link,
  openStreamed,
  type Segment,
  scanTail,
  withFile,
} from '@walstack/mmap-reader/segments';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { Remains } from './salvage-survey.js';

/** Bytes at the end of a segment that are searched first. */
const LAST_BYTES = 64 * 1024;

/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** Blocks that segments may have. */
const BLOCKS = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/** The highest LSN of which a segment shows a trace, behind damage as well; that before its first one where there is none. */
export function* lastSeenIn(io: StorageIo, found: Link | Remains): IoRoutine<Lsn> {
  const { path, header } = found;
  if (header !== undefined) return yield* lastVerified(io, { path, header });
  const { firstLsn } = found as Remains;
  let seen = firstLsn - 1;
  try {
    seen = yield* withFile(io, path, function* (file) {
      let last = firstLsn - 1;
      // Of another size than its own, the first block is not where the first record is, or it soon comes to an end.
      for (const each of BLOCKS) last = Math.max(last, yield* lastUnverified(io, file, firstLsn, each));
      return last;
    });
  } catch (error) {
    // It is no file, or none that can be read: then it shows nothing.
    if (!WalError.is(error)) throw error;
  }
  return seen;
}

/** Looks for what stands last, behind whatever holes: in the end of the file, and in more of it as long as nothing is there. */
function* lastVerified(io: StorageIo, link: Link): IoRoutine<Lsn> {
  const readable = yield* readFrom(io, link, link.header.blockBytes, link.header.firstLsn);
  const { size } = io.stat(link.path);
  for (let bytes = LAST_BYTES; ; bytes *= 4) {
    const end = Math.max(readable.end, size - bytes);
    // So many records may stand in what is not searched.
    const nextLsn = readable.nextLsn + Math.ceil((end - readable.end) / MARK_FRAME_BYTES);
    const evidence = yield* evidenceBehind(io, { ...readable, end, nextLsn }, readable.nextLsn);
    if (evidence !== undefined) return yield* lastBehind(io, link, evidence, readable.nextLsn);
    if (end === readable.end) return readable.nextLsn - 1;
  }
}

/** Reads on behind every hole, as long as there is evidence that something stands there. */
function* lastBehind(io: StorageIo, link: Link, first: Evidence, lostFrom: Lsn): IoRoutine<Lsn> {
  let seen = 0;
  for (let evidence = first; ; ) {
    const { offset, lsn, isRecord } = evidence;
    const read = yield* readFrom(io, link, offset, lsn);
    seen = Math.max(seen, isRecord ? lsn : lsn - 1, read.nextLsn - 1);
    const next = yield* evidenceBehind(io, read, lostFrom);
    if (next === undefined || next.offset <= offset) return seen;
    evidence = next;
  }
}

/** Reads a segment from a frame on as far as that goes. */
function* readFrom(io: StorageIo, link: Link, from: number, nextLsn: Lsn): IoRoutine<Segment> {
  const scanner = yield* openStreamed(io, link, { from, nextLsn });
  const { frames } = scanner;
  try {
    yield* skipReadable(scanner);
    // Before it is closed, which forgets where it is.
    return { ...link, end: frames.end, nextLsn: frames.nextLsn };
  } finally {
    scanner.close();
  }
}

function* skipReadable(scanner: FrameScanner): IoRoutine<void> {
  const summary = new FrameSummary(0);
  try {
    while (yield* scanner.fill()) scanner.frames.skip(summary);
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  }
}

interface Evidence {
  readonly offset: number;
  readonly lsn: Lsn;
  readonly isRecord: boolean;
}

function* evidenceBehind(io: StorageIo, segment: Segment, lostFrom: Lsn): IoRoutine<Evidence | undefined> {
  return yield* withFile(io, segment.path, function* (file) {
    let offset: number | undefined;
    try {
      ({ proofOffset: offset } = yield* scanTail(io, file, segment, io.size(file), lostFrom));
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
  const bytes = new Uint8Array(Math.min(size, CHUNK_BYTES));
  const view = new DataView(bytes.buffer);
  const record = new RecordHeader();
  let next = firstLsn;
  let base = 0;
  let filled = 0;
  for (let at = blockBytes; at + MARK_FRAME_BYTES <= size; ) {
    if (at < base || at + MARK_FRAME_BYTES > base + filled) {
      base = at;
      filled = yield* ioSteps.read(io, file, bytes, at);
      // The file has become shorter.
      if (filled < MARK_FRAME_BYTES) break;
    }
    const length = blockBytes - (at % blockBytes) < FRAME_HEADER_BYTES ? 0 : view.getUint32(at - base, true);
    if (length === 0) {
      at = blockEnd(at + 1, blockBytes);
      continue;
    }
    readRecordHeader(view, at - base, record);
    if (length < RECORD_HEADER_BYTES || at + FRAME_HEADER_BYTES + length > size || record.lsn !== next) break;
    if ((record.flags & RecordFlag.mark) === 0) next++;
    at += FRAME_HEADER_BYTES + length;
  }
  return next - 1;
}

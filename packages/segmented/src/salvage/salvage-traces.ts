import {
  blockEnd,
  FRAME_HEADER_BYTES,
  isHole,
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
} from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { Remains } from './salvage-survey.js';

/** The number of bytes at the end of a segment that are searched first. */
const LAST_BYTES = 64 * 1024;

/** The number of bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** The block sizes that segments may have. */
const BLOCKS = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/**
 * The highest LSN of which a segment contains a trace, also behind damage; its first LSN minus one when there is none.
 */
export function* lastSeenIn(io: StorageIo, found: Link | Remains): IoRoutine<Lsn> {
  const { path, header } = found;
  if (header !== undefined) return yield* lastVerified(io, { path, header });
  const { firstLsn } = found as Remains;
  let seen = firstLsn - 1;
  try {
    seen = yield* withFile(io, path, function* (file) {
      let last = firstLsn - 1;
      // The block size is unknown. With a wrong one there is no first record at its offset, or the walk soon ends.
      for (const each of BLOCKS) last = Math.max(last, yield* lastUnverified(io, file, firstLsn, each));
      return last;
    });
  } catch (error) {
    // It is not a file, or it cannot be read: then there is no trace.
    if (!WalError.is(error)) throw error;
  }
  return seen;
}

/**
 * Finds the last record behind any damage: searches the end of the file, and a larger part of it while nothing is
 * found.
 */
function* lastVerified(io: StorageIo, link: Link): IoRoutine<Lsn> {
  const readable = yield* readFrom(io, link, link.header.blockBytes, link.header.firstLsn);
  const { size } = io.stat(link.path);
  for (let bytes = LAST_BYTES; ; bytes *= 4) {
    const end = Math.max(readable.end, size - bytes);
    // The part that is not searched may contain this many records.
    const nextLsn = readable.nextLsn + Math.ceil((end - readable.end) / MARK_FRAME_BYTES);
    const proof = yield* proofBehind(io, { ...readable, end, nextLsn }, readable.nextLsn);
    if (proof !== undefined) return yield* lastBehind(io, link, proof, readable.nextLsn);
    if (end === readable.end) return readable.nextLsn - 1;
  }
}

/** Continues reading behind each damaged range, as long as a durability proof is found there. */
function* lastBehind(io: StorageIo, link: Link, first: ProofFrame, lostFrom: Lsn): IoRoutine<Lsn> {
  let seen = 0;
  for (let proof = first; ; ) {
    const { offset, lsn, isRecord } = proof;
    const read = yield* readFrom(io, link, offset, lsn);
    seen = Math.max(seen, isRecord ? lsn : lsn - 1, read.nextLsn - 1);
    const next = yield* proofBehind(io, read, lostFrom);
    if (next === undefined || next.offset <= offset) return seen;
    proof = next;
  }
}

/** Reads a segment from a frame on, to the first damaged byte. */
function* readFrom(io: StorageIo, link: Link, from: number, nextLsn: Lsn): IoRoutine<Segment> {
  const scanner = yield* openStreamed(io, link, { from, nextLsn });
  const { frames } = scanner;
  try {
    yield* skipReadable(scanner);
    // Read before `close`, which resets the scanner.
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

interface ProofFrame {
  readonly offset: number;
  readonly lsn: Lsn;
  readonly isRecord: boolean;
}

function* proofBehind(io: StorageIo, segment: Segment, lostFrom: Lsn): IoRoutine<ProofFrame | undefined> {
  return yield* withFile(io, segment.path, function* (file) {
    let offset: number | undefined;
    try {
      ({ proofOffset: offset } = yield* scanTail(io, file, segment, io.size(file), lostFrom));
    } catch (error) {
      // The search gives up on a file that was made to exhaust it: then no further trace is reported.
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    }
    if (offset === undefined) return undefined;
    const record = yield* headerAt(io, file, offset);
    return { offset, lsn: record.lsn, isRecord: !isMark(record) && !isHole(record) };
  });
}

function* headerAt(io: StorageIo, file: IoFile, offset: number): IoRoutine<RecordHeader> {
  const bytes = new Uint8Array(MARK_FRAME_BYTES);
  yield* ioSteps.read(io, file, bytes, offset);
  const record = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer), 0, record);
  return record;
}

/**
 * Walks from frame to frame without verifying checksums, as their seed is in the lost header: LSNs have to be
 * consecutive.
 */
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
      // The file was truncated meanwhile.
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

import { join } from 'node:path';
import { FRAME_HEADER_BYTES, frameStart, RECORD_HEADER_BYTES, WalError } from '@walstack/codec';
import {
  FrameSummary,
  type Link,
  lostRecord,
  openStreamed,
  readHeader,
  type StreamedScanner,
  scanTail,
  sortFiles,
} from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';

/**
 * What follows the last entry of a log: `'end'`, nothing but zeros, or what was written meanwhile; `'torn'`, an incomplete
 * frame; or `'checksum'`, a frame that is as long as its header says, but has another checksum. In a reused file (option
 * `recycleSegments`) the last two may also be earlier contents, until the file is cut to its size.
 */
export type EndOfLog = 'end' | 'torn' | 'checksum';

/**
 * Examines the bytes after the last readable frame of the newest segment.
 *
 * @throws `WAL_CORRUPT` when they prove that an acknowledged frame before them cannot be read
 */
export function* endOfLog(io: StorageIo, directory: string): IoRoutine<EndOfLog> {
  for (;;) {
    const newest = newestIn(io, directory);
    if (newest === undefined) return 'end';
    try {
      const kind = yield* endOf(io, join(directory, newest));
      // If the log has rolled since the listing, the next reading returns what is in the newer segment.
      return newestIn(io, directory) === newest ? kind : 'end';
    } catch (error) {
      // The log may have rolled since the listing: then its end is in a newer segment.
      if (!WalError.is(error) || newestIn(io, directory) === newest) throw error;
    }
  }
}

const newestIn = (io: StorageIo, directory: string): string | undefined =>
  sortFiles(io.list(directory)).segments.at(-1)?.name;

function* endOf(io: StorageIo, path: string): IoRoutine<EndOfLog> {
  const link = { path, header: yield* readHeader(io, path) };
  const scanner = yield* openStreamed(io, link);
  try {
    const summary = new FrameSummary(0);
    const seen = yield* readableEnd(scanner, summary);
    const { kind, proofOffset } = yield* inspectTail(io, link, scanner.file, seen);
    if (kind === 'end') return kind;
    // A writer may have written these bytes after their place was read: then they are frames that the next reading returns.
    scanner.resume();
    const again = yield* readableEnd(scanner, summary);
    if (again.end > seen.end) return 'end';
    if (proofOffset === undefined) return kind;
    const proof = `the frame at offset ${proofOffset} proves that it had been durable`;
    throw lostRecord(path, seen.end, seen.nextLsn, 'hole', proof);
  } finally {
    scanner.close();
  }
}

/** Where the readable frames of a segment end, and the LSN from which recovery would drop records. */
interface ReadableEnd {
  readonly end: number;
  readonly nextLsn: number;
  readonly droppedFrom: number;
}

/** Reads on from where the scanner is; `summary` is that of all frames before. */
function* readableEnd(scanner: StreamedScanner, summary: FrameSummary): IoRoutine<ReadableEnd> {
  const { frames } = scanner;
  while (yield* scanner.fill()) frames.skip(summary);
  return { end: frames.end, nextLsn: frames.nextLsn, droppedFrom: summary.openBatch?.nextLsn ?? frames.nextLsn };
}

function* inspectTail(
  io: StorageIo,
  { path, header }: Link,
  file: IoFile,
  seen: ReadableEnd,
): IoRoutine<{ readonly kind: EndOfLog; readonly proofOffset: number | undefined }> {
  const size = io.size(file);
  const { dirty, proofOffset } = yield* scanTail(io, file, { path, header, ...seen }, size, seen.droppedFrom);
  const kind = dirty ? yield* tailKindAt(io, file, frameStart(seen.end, header.blockBytes), size) : 'end';
  return { kind, proofOffset };
}

function* tailKindAt(io: StorageIo, file: IoFile, at: number, size: number): IoRoutine<EndOfLog> {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  const read = yield* ioSteps.read(io, file, bytes, at);
  const length = read < FRAME_HEADER_BYTES ? 0 : new DataView(bytes.buffer).getUint32(0, true);
  const fits = length >= RECORD_HEADER_BYTES && at + FRAME_HEADER_BYTES + length <= size;
  return fits ? 'checksum' : 'torn';
}

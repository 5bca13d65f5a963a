import { MARK_FRAME_BYTES, MarkType, RecordHeader, readRecordHeader, sealFrames, writeMark } from '@walstack/codec';
import { corruption } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { ActiveSegment, Continuation } from '../segments/active-segment.js';

/**
 * Writes the mark that a log goes on behind the mark of its clean close, in the same segment; durable once the file is synced.
 * Only then anything else may be written there: a log that ends with the mark of a clean close has no other write in flight, whichever
 * process was killed before.
 *
 * The mark of the clean close is written again with it. It was read, but the sync behind it may have failed, and where it is
 * missing nothing behind it could be read. The bytes are the same in every process that goes on there: such a write of a
 * killed process may land at any later time.
 *
 * @throws `WAL_CORRUPT` when the mark of the clean close cannot be read any more: it never reached the disk
 */
export function* writeOpenedMark(
  { io }: Environment,
  file: IoFile,
  segment: ActiveSegment,
  { closedEnd, end }: Continuation,
): IoRoutine<number> {
  const { blockBytes } = segment.header;
  const closedAt = closedEnd - MARK_FRAME_BYTES;
  const from = closedAt - (closedAt % blockBytes);
  const bytes = io.allocateBuffer(end + blockBytes - from);
  yield* ioSteps.read(io, file, bytes.subarray(0, end - from), from);
  if (!isClosedMark(bytes.subarray(closedAt - from, closedEnd - from), closedAt, segment)) {
    const what = 'the mark of the clean close is not there any more';
    throw corruption(segment.path, 'unsteady', what, { offset: closedAt, lsn: segment.header.firstLsn });
  }
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  // Without a time, which would differ between two processes.
  writeMark(view, end - from, segment.nextWrittenLsn, MarkType.opened, 0);
  sealFrames(bytes, end - from, end - from + MARK_FRAME_BYTES, end, blockBytes, segment.seed);
  yield* ioSteps.write(io, file, bytes, from);
  return bytes.length;
}

/** Whether bytes are the frame of a mark of a clean close in front of the next record: it is encoded again and compared. */
function isClosedMark(frame: Uint8Array, position: number, segment: ActiveSegment): boolean {
  const found = new RecordHeader();
  readRecordHeader(new DataView(frame.buffer, frame.byteOffset, frame.byteLength), 0, found);
  const expected = new Uint8Array(MARK_FRAME_BYTES);
  writeMark(new DataView(expected.buffer), 0, segment.nextWrittenLsn, MarkType.closed, found.elapsedMs);
  sealFrames(expected, 0, MARK_FRAME_BYTES, position, segment.header.blockBytes, segment.seed);
  return Buffer.compare(frame, expected) === 0;
}

import { isMark, type Lsn, WalError } from '@walstack/codec';
import { type Segment, SegmentScanner, withFile } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { positionAt } from './segment.js';

/**
 * The LSN of the last record that ends at or before a position in the log; one less than the first LSN when none does.
 *
 * @param segments - of the log, from the oldest to the newest, as far as they were written
 * @throws `WAL_RANGE` when the position is past the end or inside a frame, `WAL_TRUNCATED` when it was removed
 */
export function* lsnBefore(io: StorageIo, segments: readonly Segment[], position: number): IoRoutine<Lsn> {
  const segment = segments.findLast(({ header }) => header.firstPosition <= position);
  if (segment === undefined) throw removed(segments[0], position);
  const successor = segments[segments.indexOf(segment) + 1];
  const end = positionAt(segment);
  if (position > end && successor === undefined) throw past(segment.path, position, end);
  return yield* withFile(io, segment.path, function* (file) {
    const { header } = segment;
    const offset = position - header.firstPosition + header.blockBytes;
    const scanner = new SegmentScanner(io, file, header, header.blockBytes, header.firstLsn, segment.end);
    let lsn = header.firstLsn - 1;
    do {
      while (scanner.next()) {
        if (scanner.position >= offset) return lsn;
        if (scanner.end > offset) throw inside(segment.path, position, scanner.position, scanner.record.lsn);
        if (!isMark(scanner.record)) lsn = scanner.record.lsn;
      }
    } while (yield* scanner.fill());
    return lsn;
  });
}

function past(path: string, position: number, end: number): WalError {
  return new WalError('WAL_RANGE', `position ${position} is past the end of the log, which is at ${end}`, {
    path,
    actual: position,
    limit: end,
    reason: 'past-the-end',
  });
}

function inside(path: string, position: number, offset: number, lsn: Lsn): WalError {
  return new WalError(
    'WAL_RANGE',
    `position ${position} is inside the frame of LSN ${lsn}: take a position that an append has returned`,
    { path, offset, lsn, actual: position, reason: 'inside-a-frame' },
  );
}

function removed(first: Segment | undefined, position: number): WalError {
  const begins = first === undefined ? '' : `, which now begins at ${first.header.firstPosition}`;
  return new WalError('WAL_TRUNCATED', `position ${position} was removed from the log${begins}`, {
    actual: position,
    ...(first === undefined ? {} : { firstLsn: first.header.firstLsn }),
  });
}

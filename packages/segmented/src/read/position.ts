import { type Lsn, WalError } from '@walstack/codec';
import { type FrameScanner, openSealed, openStreamed, type Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { countWhile, type Segments } from '../segments/segment-list.js';

/**
 * The LSN of the last record that ends at or before a position in the log; the first LSN minus one when none does.
 *
 * @param segments - of the log, from the oldest to the newest, with everything before `end` written
 * @param end - the position of the next frame. When the newest segment is sealed, this is the end of its last block, which
 * is behind its last written byte.
 * @throws `WAL_RANGE` when the position is past the end or inside a frame, `WAL_TRUNCATED` when it was removed
 */
export function* lsnBefore(io: StorageIo, segments: Segments, position: number, end: number): IoRoutine<Lsn> {
  if (position > end) throw past(segments.at(segments.length - 1)?.path, position, end);
  const begun = countWhile(segments, ({ header }) => header.firstPosition <= position);
  const segment = begun === 0 ? undefined : segments.at(begun - 1);
  if (segment === undefined) throw removed(segments.at(0), position);
  // Its file may not be there yet.
  if (position === segment.header.firstPosition) return segment.header.firstLsn - 1;
  const successor = segments.at(begun);
  const scanner = yield* (successor === undefined ? openStreamed : openSealed)(io, segment, { limit: segment.end });
  try {
    return yield* lsnBeforeOffset(scanner, position - segment.header.firstPosition, position);
  } finally {
    scanner.close();
  }
}

/** @param distance - from the first frame of the segment to the position */
function* lsnBeforeOffset(scanner: FrameScanner, distance: number, position: number): IoRoutine<Lsn> {
  const { frames } = scanner;
  const { blockBytes, firstLsn } = frames.header;
  const offset = distance + blockBytes;
  let lsn = firstLsn - 1;
  while (yield* scanner.fill()) {
    while (frames.next()) {
      if (frames.position >= offset) return lsn;
      if (frames.end > offset) throw inside(frames.path, position, frames.position, frames.lsn);
      if (!frames.isMark) lsn = frames.lsn;
    }
  }
  return lsn;
}

function past(path: string | undefined, position: number, end: number): WalError {
  return new WalError('WAL_RANGE', `position ${position} is past the end of the log, which is at ${end}`, {
    ...(path === undefined ? {} : { path }),
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

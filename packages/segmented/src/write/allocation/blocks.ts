import { blockEnd, WalError } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import type { ActiveSegment } from '../../segments/active-segment.js';

/**
 * Allocates the blocks of a range, as long as the zeros given. Once a sync has made this durable, a durable write there
 * changes only data, no metadata.
 */
export function* preallocateBlocks(
  { io }: Environment,
  { preallocate }: Settings,
  file: IoFile,
  start: number,
  zeros: Uint8Array,
): IoRoutine<void> {
  if (preallocate === 'none' || zeros.length === 0) return;
  if (preallocate === 'allocate') yield* ioSteps.allocate(io, file, start, zeros.length);
  else yield* ioSteps.write(io, file, zeros, start);
}

/**
 * Reserves blocks for a range behind everything that was written to a segment, if the file system can reserve them, so that a
 * write there does not fail on a full disk.
 *
 * @returns `false` when the disk is full, with nothing changed
 */
export function* reserveBlocks(
  { io }: Environment,
  segment: ActiveSegment,
  start: number,
  end: number,
): IoRoutine<boolean> {
  const { blockBytes } = segment.header;
  const limit = blockEnd(end, blockBytes);
  const from = Math.max(segment.preallocatedEnd, blockEnd(start, blockBytes));
  if (segment.file === undefined || from >= limit) return true;
  try {
    yield* ioSteps.allocate(io, segment.file, from, limit - from);
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return false;
    // The file system may not support reservation. If it is broken instead, the write that follows fails.
    if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
  }
  return true;
}

import { join } from 'node:path';
import { blockEnd, encodeSegmentHeader, FileName, type SegmentHeader } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { nameOf } from './segment.js';

/** The steps of a segment file's life, each of them durable on return. */

/**
 * Makes `next.seg`, always a new file, with a header and nothing else. One that fails half-way is removed again, so that
 * it can be tried another time.
 */
export function* makeNextSegment(io: StorageIo, directory: string, header: SegmentHeader): IoRoutine<IoFile> {
  const path = join(directory, FileName.nextSegment);
  const file = io.open(path, { create: true, exclusive: true });
  try {
    const block = io.allocateBuffer(header.blockBytes);
    encodeSegmentHeader(block, header);
    yield* ioSteps.write(io, file, block, 0);
    yield* ioSteps.datasync(io, file);
  } catch (error) {
    io.close(file);
    yield* ioSteps.remove(io, path);
    throw error;
  }
  return file;
}

/**
 * Gives `next.seg` the name of its segment. To be called when its predecessor is sealed: that the name exists proves
 * the predecessor complete.
 */
export function* nameNextSegment(io: StorageIo, directory: string, header: SegmentHeader): IoRoutine<void> {
  io.rename(join(directory, FileName.nextSegment), join(directory, nameOf(header)));
  yield* ioSteps.syncDirectory(io, directory);
}

/** Cuts a file behind its last used block, if it is longer. `end` is the offset behind the last frame. */
export function* cutToSize(io: StorageIo, file: IoFile, end: number, blockBytes: number): IoRoutine<boolean> {
  const bytes = blockEnd(end, blockBytes);
  if (io.size(file) <= bytes) return false;
  yield* ioSteps.truncate(io, file, bytes);
  yield* ioSteps.datasync(io, file);
  return true;
}

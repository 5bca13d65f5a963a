import { join } from 'node:path';
import { blockEnd, encodeSegmentHeader, FileName, type SegmentHeader, WalError } from '@walstack/codec';
import { closeFile, type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { Settings } from '../options.js';
import { nameOf } from './segment.js';

/** The steps of a segment file's life, each of them durable on return. */

/**
 * Writes a segment's header into `next.seg`. A file that fails half-way is removed again, so that it can be tried another
 * time.
 */
export function* beginSegment(io: StorageIo, directory: string, file: IoFile, header: SegmentHeader): IoRoutine<void> {
  try {
    yield* writeHeader(io, file, header);
  } catch (error) {
    yield* discardNextSegment(io, directory, file);
    throw error;
  }
}

/** What of a log's settings its files depend on. */
type FileSettings = Pick<Settings, 'directory' | 'directIo' | 'blockBytes'>;

/**
 * Opens `next.seg`, for writing around the page cache where that is wanted and can be had for single blocks.
 *
 * @param create - make it; it must not be there yet: see {@link makeNextSegment}
 */
export function openNextSegment(io: StorageIo, settings: FileSettings, create = true): IoFile {
  const path = join(settings.directory, FileName.nextSegment);
  const direct = settings.directIo && writesSideBySide(io);
  const file = io.open(path, { create, exclusive: create, direct });
  if (settings.blockBytes % file.alignment === 0) return file;
  closeFile(io, file);
  return io.open(path);
}

/** Makes `next.seg`, also where one is left that could not be removed when it was given up: its content is worth nothing. */
export function* makeNextSegment(io: StorageIo, settings: FileSettings): IoRoutine<IoFile> {
  try {
    return openNextSegment(io, settings);
  } catch (error) {
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
  yield* ioSteps.remove(io, join(settings.directory, FileName.nextSegment));
  return openNextSegment(io, settings);
}

/** Writes a segment's header into its block; durable on return. */
function* writeHeader(io: StorageIo, file: IoFile, header: SegmentHeader): IoRoutine<void> {
  const block = io.allocateBuffer(header.blockBytes);
  encodeSegmentHeader(block, header);
  if (io.capabilities.durableWrites) {
    yield* ioSteps.write(io, file, block, 0, { durable: true });
  } else {
    yield* ioSteps.write(io, file, block, 0);
    yield* ioSteps.datasync(io, file);
  }
}

/** Whether a backend can make several writes durable side by side: then they go around the page cache where they can. */
export const writesSideBySide = ({ capabilities }: StorageIo): boolean =>
  capabilities.durableWrites && capabilities.overlappedWrites && !capabilities.completesInline;

/** Closes and removes `next.seg`, which is not needed. */
export function* discardNextSegment(io: StorageIo, directory: string, file: IoFile): IoRoutine<void> {
  closeFile(io, file);
  yield* dropNextSegment(io, directory);
}

/** Whether an error says that one file is gone or damaged, and nothing of the disk or the backend. */
export const isFailureOfFile = (error: unknown): boolean =>
  WalError.is(error, 'WAL_NOT_FOUND') || WalError.is(error, 'WAL_IO_FAILED');

/** Whether an error says that a file cannot be got rid of now: some file systems need room for that, too. */
export const isFailureOfRemoval = (error: unknown): boolean =>
  isFailureOfFile(error) || WalError.is(error, 'WAL_NO_SPACE');

/**
 * Removes a file that the log does without.
 *
 * @returns `false` when it cannot be removed, which is no failure of the log; `true` also when it was gone already
 */
export function* removeIfPossible(io: StorageIo, path: string): IoRoutine<boolean> {
  try {
    yield* ioSteps.remove(io, path);
  } catch (error) {
    if (!isFailureOfRemoval(error)) throw error;
    return WalError.is(error, 'WAL_NOT_FOUND');
  }
  return true;
}

/** Removes `next.seg` after a failure, which is what matters to the caller: another one here must not hide it. */
export function* dropNextSegment(io: StorageIo, directory: string): IoRoutine<void> {
  try {
    yield* ioSteps.remove(io, join(directory, FileName.nextSegment));
  } catch {
    // It stays behind, and is removed when the log is opened.
  }
}

/**
 * Gives `next.seg` the name of its segment; durable once the directory is synced. To be called when its predecessor is
 * sealed: that the name exists proves the predecessor complete. Where the name cannot be given, the file is removed and
 * nothing has changed.
 */
export function* nameNextSegment(io: StorageIo, directory: string, header: SegmentHeader): IoRoutine<void> {
  try {
    io.rename(join(directory, FileName.nextSegment), join(directory, nameOf(header)));
  } catch (error) {
    yield* dropNextSegment(io, directory);
    throw error;
  }
}

/** Cuts a file behind its last used block, if it is longer. `end` is the offset behind the last frame. */
export function* cutToSize(io: StorageIo, file: IoFile, end: number, blockBytes: number): IoRoutine<boolean> {
  const bytes = blockEnd(end, blockBytes);
  if (io.size(file) <= bytes) return false;
  yield* ioSteps.truncate(io, file, bytes);
  yield* ioSteps.datasync(io, file);
  return true;
}

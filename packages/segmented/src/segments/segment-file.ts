import { join } from 'node:path';
import { blockEnd, encodeSegmentHeader, FileName, type SegmentHeader, WalError } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type OpenOptions, type StorageIo } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import type { Settings } from '../options.js';
import { nameOf } from './segment.js';

/** The I/O steps that create, name, trim and remove a segment file. */

/**
 * Writes a segment's header into `next.seg`; durable on return. On failure the file is removed, so that it can be tried
 * again.
 */
export function* beginSegment(io: StorageIo, directory: string, file: IoFile, header: SegmentHeader): IoRoutine<void> {
  try {
    yield* writeHeader(io, file, header);
  } catch (error) {
    yield* discardNextSegment(io, directory, file);
    throw error;
  }
}

/** The settings that segment files depend on. */
type FileSettings = Pick<Settings, 'directory' | 'directIo' | 'blockBytes' | 'fileMode'>;

/**
 * Opens `next.seg`, with direct I/O when that is wanted and the file system supports it for single blocks.
 *
 * @param create - create the file, which must not exist yet: see {@link makeNextSegment}
 */
export function openNextSegment(io: StorageIo, settings: FileSettings, create = true): IoFile {
  const path = join(settings.directory, FileName.nextSegment);
  return openForWriting(io, settings, path, { create, exclusive: create, mode: settings.fileMode });
}

/** Opens the file of a segment, with direct I/O when that is wanted and the file system supports it for single blocks. */
export function openForWriting(io: StorageIo, settings: FileSettings, path: string, options: OpenOptions = {}): IoFile {
  const direct = settings.directIo && writesSideBySide(io);
  const file = io.open(path, { ...options, direct });
  if (settings.blockBytes % file.alignment === 0) return file;
  closeFile(io, file);
  return io.open(path);
}

/** Creates `next.seg`. An earlier one that could not be removed when it was discarded is removed first. */
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

/** Whether a backend can have several durable writes in flight: then segment files use direct I/O where possible. */
export const writesSideBySide = ({ capabilities }: StorageIo): boolean =>
  capabilities.durableWrites && capabilities.overlappedWrites && !capabilities.completesInline;

/** Closes and removes `next.seg`. */
export function* discardNextSegment(io: StorageIo, directory: string, file: IoFile): IoRoutine<void> {
  closeFile(io, file);
  yield* dropNextSegment(io, directory);
}

/** Whether an error concerns one file, which is missing or damaged, and not the disk or the backend. */
export const isFailureOfFile = (error: unknown): boolean =>
  WalError.is(error, 'WAL_NOT_FOUND') || WalError.is(error, 'WAL_IO_FAILED');

/** Whether an error means that a file cannot be removed now. Some file systems need free space for a removal. */
export const isFailureOfRemoval = (error: unknown): boolean =>
  isFailureOfFile(error) || WalError.is(error, 'WAL_NO_SPACE');

/**
 * Removes a file that the log does not need.
 *
 * @returns `false` when it cannot be removed, which does not fail the log; `true` also when it was already gone
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

/** Removes files of a directory: {@link removeAll}. */
export const removeNames = (io: StorageIo, directory: string, names: readonly string[]): IoRoutine<void> =>
  removeAll(
    io,
    names.map((name) => join(directory, name)),
  );

/** Removes files, as far as they exist. @throws when one cannot be removed; the ones after it are not touched then */
export function* removeAll(io: StorageIo, paths: readonly string[]): IoRoutine<void> {
  for (const path of paths) {
    try {
      yield* ioSteps.remove(io, path);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NOT_FOUND')) throw error;
    }
  }
}

/** Removes `next.seg` after a failure. If this fails too, the first error is kept. */
export function* dropNextSegment(io: StorageIo, directory: string): IoRoutine<void> {
  try {
    yield* ioSteps.remove(io, join(directory, FileName.nextSegment));
  } catch {
    // The file remains: the next opening removes it, or the next backup.
  }
}

/**
 * Renames `next.seg` to the name of its segment; durable once the directory is synced. Must be called after its
 * predecessor was sealed: the existence of the name proves that the predecessor is complete. If the rename fails, the file
 * is removed and nothing has changed.
 *
 * @param makeRoom - called as long as there is no room for the name; returns whether there may be some now. Default: there is not
 */
export function* nameNextSegment(
  io: StorageIo,
  directory: string,
  header: SegmentHeader,
  makeRoom?: () => IoRoutine<boolean>,
): IoRoutine<void> {
  for (;;) {
    try {
      io.rename(join(directory, FileName.nextSegment), join(directory, nameOf(header)));
      return;
    } catch (error) {
      if (makeRoom !== undefined && WalError.is(error, 'WAL_NO_SPACE') && (yield* makeRoom())) continue;
      yield* dropNextSegment(io, directory);
      throw error;
    }
  }
}

/**
 * Truncates a file behind its last used block, if it is longer; durable on return. `end` is the offset behind the last
 * frame.
 */
export function* cutToSize(io: StorageIo, file: IoFile, end: number, blockBytes: number): IoRoutine<boolean> {
  const bytes = blockEnd(end, blockBytes);
  if (io.size(file) <= bytes) return false;
  yield* ioSteps.truncate(io, file, bytes);
  yield* ioSteps.datasync(io, file);
  return true;
}

import { dirname, join } from 'node:path';
import { type Checkpoint, encodeCheckpoint, FileName, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';

/**
 * Replaces the file `checkpoint`; durable once the directory is synced. Who fails has changed nothing.
 */
export function* placeCheckpoint(io: StorageIo, directory: string, checkpoint: Checkpoint): IoRoutine<void> {
  const draft = join(directory, FileName.checkpointDraft);
  const file = io.open(draft, { create: true, truncate: true });
  try {
    yield* ioSteps.write(io, file, encodeCheckpoint(checkpoint), 0);
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
  io.rename(draft, join(directory, FileName.checkpoint));
}

/** What stands at `path`; `undefined` when nothing does. */
export function kindOf(io: StorageIo, path: string): 'file' | 'directory' | 'other' | undefined {
  try {
    return io.stat(path).kind;
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Makes a directory with its parents. None of it is durable before {@link syncAncestors}. */
export function makeDirectories(io: StorageIo, path: string): void {
  if (kindOf(io, path) !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(io, parent);
  try {
    io.makeDirectory(path);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
}

/**
 * Makes the name of a directory durable, and those of all directories above it: one of them may have been made by a
 * process that died before it could sync. A directory that may not be opened was not made by us.
 */
export function* syncAncestors(io: StorageIo, path: string): IoRoutine<void> {
  const parent = dirname(path);
  if (parent === path) return;
  try {
    yield* ioSteps.syncDirectory(io, parent);
  } catch (error) {
    if (!WalError.is(error) || (error.systemCode !== 'EACCES' && error.systemCode !== 'EPERM')) throw error;
  }
  yield* syncAncestors(io, parent);
}

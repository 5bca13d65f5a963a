import { dirname, join } from 'node:path';
import { type Checkpoint, encodeCheckpoint, FileName, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps, replaceFile, type StorageIo } from '@walstack/storage-io';

/**
 * Replaces the file `checkpoint`; durable once the directory is synced. If it fails, nothing is changed.
 */
export function* placeCheckpoint(io: StorageIo, directory: string, checkpoint: Checkpoint): IoRoutine<void> {
  const draft = join(directory, FileName.checkpointDraft);
  yield* replaceFile(io, draft, join(directory, FileName.checkpoint), encodeCheckpoint(checkpoint));
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

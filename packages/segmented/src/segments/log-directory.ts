import { dirname, join } from 'node:path';
import { type Checkpoint, encodeCheckpoint, FileName, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import type { Settings } from '../options.js';

/**
 * Replaces the file `checkpoint`; durable once the directory is synced. On failure nothing has changed.
 */
export function* writeCheckpoint(
  io: StorageIo,
  { directory, fileMode }: Pick<Settings, 'directory' | 'fileMode'>,
  checkpoint: Checkpoint,
): IoRoutine<void> {
  const draft = join(directory, FileName.checkpointDraft);
  yield* replaceFile(io, draft, join(directory, FileName.checkpoint), encodeCheckpoint(checkpoint), fileMode);
}

/**
 * Makes the name of a directory durable, and those of all directories above it: one of them may have been created by a
 * process that died before it synced. A directory that this process may not open was not created by it, and is skipped.
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

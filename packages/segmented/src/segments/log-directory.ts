import { join } from 'node:path';
import { type Checkpoint, encodeCheckpoint, FileName } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
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

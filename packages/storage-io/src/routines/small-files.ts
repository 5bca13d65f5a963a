import { dirname } from 'node:path';
import { WalError } from '@walstack/codec';
import type { IoFile, StorageIo } from '../storage-io.js';
import { datasync, remove, syncDirectory, write } from './io-operations.js';
import type { IoRoutine } from './routine.js';

/** What is at `path`; `undefined` when nothing is. */
export function kindOf(io: StorageIo, path: string): 'file' | 'directory' | 'other' | undefined {
  try {
    return io.stat(path).kind;
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Makes a directory and its missing parents, with these permissions. None of their names is durable on return: {@link syncAncestors}. */
export function makeDirectories(io: StorageIo, path: string, mode: number): void {
  if (kindOf(io, path) !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(io, parent, mode);
  try {
    io.makeDirectory(path, mode);
  } catch (error) {
    // Another thread or process may have made it meanwhile.
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
}

/**
 * Makes the name of a directory durable, and those of all directories above it: one of them may have been created by a
 * process that died before it synced. A directory that this process may not open was not created by it, and is skipped.
 */
export function* syncAncestors(io: StorageIo, path: string): IoRoutine<void> {
  const parent = dirname(path);
  if (parent === path) return;
  try {
    yield* syncDirectory(io, parent);
  } catch (error) {
    if (!WalError.is(error) || (error.systemCode !== 'EACCES' && error.systemCode !== 'EPERM')) throw error;
  }
  yield* syncAncestors(io, parent);
}

/**
 * Replaces a file as a whole: writes the file `draft` beside it, and renames that. The bytes are durable on return, the
 * name is once the directory is synced. A failure before the rename leaves `path` unchanged. A draft for which there is no room
 * is removed: what it has of the room could be all that is left.
 *
 * @param mode - the permissions of the new file
 */
export function* replaceFile(
  io: StorageIo,
  draft: string,
  path: string,
  bytes: Uint8Array,
  mode: number,
): IoRoutine<void> {
  try {
    const file = yield* makeFile(io, draft, mode);
    try {
      yield* write(io, file, bytes, 0);
      yield* datasync(io, file);
    } finally {
      closeFile(io, file);
    }
    io.rename(draft, path);
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) yield* removeDraft(io, draft);
    throw error;
  }
}

/** If this fails too, the first error is kept, and the draft stays. */
function* removeDraft(io: StorageIo, draft: string): IoRoutine<void> {
  try {
    yield* remove(io, draft);
  } catch {
    // It is removed by the next attempt, or the next opening.
  }
}

/** Makes a new file. One of a killed process is removed, and not used: a write that it began may still land in that. */
function* makeFile(io: StorageIo, path: string, mode: number): IoRoutine<IoFile> {
  const options = { create: true, exclusive: true, mode };
  try {
    return io.open(path, options);
  } catch (error) {
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
  yield* remove(io, path);
  return io.open(path, options);
}

/**
 * Closes a file whose bytes are durable, or are not needed. Some file systems fail to close a file (the `flush` of
 * FUSE, a quota on a network file system): it is closed all the same, and what a sync has covered is not affected. So
 * such a failure is ignored.
 *
 * @throws `WAL_BUSY`, `WAL_BAD_FD`, `WAL_CLOSED`
 */
export function closeFile(io: StorageIo, file: IoFile): void {
  try {
    io.close(file);
  } catch (error) {
    if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
}

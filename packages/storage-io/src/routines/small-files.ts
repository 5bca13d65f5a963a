import { dirname } from 'node:path';
import { WalError } from '@walstack/codec';
import type { IoFile, StorageIo } from '../storage-io.js';
import { datasync, write } from './io-operations.js';
import type { IoRoutine } from './routine.js';

/** What stands at `path`; `undefined` when nothing does. */
export function kindOf(io: StorageIo, path: string): 'file' | 'directory' | 'other' | undefined {
  try {
    return io.stat(path).kind;
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Makes a directory with its parents, as far as they are not there. None of their names is durable on return. */
export function makeDirectories(io: StorageIo, path: string): void {
  if (kindOf(io, path) !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(io, parent);
  try {
    io.makeDirectory(path);
  } catch (error) {
    // Another thread or process may have made it meanwhile.
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
}

/**
 * Replaces a file as a whole, by way of a draft beside it. The bytes are durable on return, the name is when the directory
 * was synced. Whoever fails before the rename has changed nothing.
 */
export function* replaceFile(io: StorageIo, draft: string, path: string, bytes: Uint8Array): IoRoutine<void> {
  const file = io.open(draft, { create: true, truncate: true });
  try {
    yield* write(io, file, bytes, 0);
    yield* datasync(io, file);
  } finally {
    closeFile(io, file);
  }
  io.rename(draft, path);
}

/**
 * Closes a file of which everything that counts was made durable before, or nothing counts. Some file systems fail that (the
 * `flush` of FUSE, a quota on a network): the file is closed all the same, and it says nothing of what a sync has covered.
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

import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { openStorageIo, runAsync, type StorageIo } from '@walstack/storage-io';
import { DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT, syncAncestors } from '@walstack/storage-io/internal';
import { isFree, onDisk } from './segment-files.js';

/** So often it is tried to make and to lock the directory that is made in. */
const ATTEMPTS = 8;

/**
 * Makes a directory as a whole: beside it, in `<path>.restoring`, until everything in it is durable. What is there from a call that was
 * killed is removed, and nothing stays of one that fails.
 *
 * @param make - makes the content of the directory with this path, durable
 * @throws `WAL_FOREIGN_DIRECTORY` unless `path` is missing or empty, `WAL_LOCKED` while another call makes it, `WAL_NO_SPACE`,
 * `WAL_IO_FAILED`, and what `make` throws
 */
export async function makeWhole<T>(path: string, make: (staged: string) => Promise<T>): Promise<T> {
  await refuseUnlessFree(path);
  const io = openStorageIo('auto', { needs: 'async' });
  try {
    return await makeLocked(io, path, make);
  } finally {
    await io.dispose();
  }
}

async function makeLocked<T>(io: StorageIo, path: string, make: (staged: string) => Promise<T>): Promise<T> {
  const staged = `${path}.restoring`;
  const unlock = await lockStaged(io, staged);
  let isMade = false;
  try {
    // Again, now that nothing else makes it.
    await refuseUnlessFree(path);
    await onDisk('remove', staged, () => removeAllBut(FileName.lock, staged));
    const made = await make(staged);
    await onDisk('rename', path, () => rename(staged, path)).catch(async (error: unknown) => {
      await refuseUnlessFree(path);
      throw error;
    });
    isMade = true;
    await runAsync(io, syncAncestors(io, path));
    return made;
  } finally {
    try {
      // Behind the rename the name may be that of another call.
      if (!isMade) await onDisk('remove', staged, () => removeStaged(staged));
    } finally {
      unlock();
    }
  }
}

/** Makes the directory that is made in, and locks it. Another call that fails may remove it in between. */
async function lockStaged(io: StorageIo, staged: string): Promise<() => void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await onDisk('mkdir', staged, () => mkdir(staged, { recursive: true, mode: DIRECTORY_MODE_DEFAULT }));
      return io.lock(join(staged, FileName.lock), FILE_MODE_DEFAULT);
    } catch (error) {
      if (attempt === ATTEMPTS || !WalError.is(error, 'WAL_NOT_FOUND')) throw error;
    }
  }
}

/** Removes the directory that is made in. Without its lock file, which is the last one, it may be that of another call. */
async function removeStaged(staged: string): Promise<void> {
  await removeAllBut(FileName.lock, staged);
  await rm(join(staged, FileName.lock), { force: true });
  await rmdir(staged).catch(() => {});
}

async function refuseUnlessFree(path: string): Promise<void> {
  if (await isFree(path)) return;
  const what = `${path} is not empty: restore into a directory that is missing or empty`;
  throw new WalError('WAL_FOREIGN_DIRECTORY', what, { path });
}

async function removeAllBut(kept: string, directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name !== kept) await rm(join(directory, name), { recursive: true, force: true });
  }
}

import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { corruption, type LogFiles, sortFiles } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf, makeDirectories } from './log-directory.js';
import type { Settings } from './options.js';
import { createLog, type Opened, recoverLog } from './recovery.js';
import type { World } from './world.js';

/** A log that was opened, and what gives its lock back. */
export interface OpenedLog extends Opened {
  readonly unlock: () => void;
}

/**
 * Opens the log of a directory: locks it, then recovers it or makes a new one. A directory that is no log, and has to
 * become none, is left as it is.
 *
 * @param blocking - nobody can wait for a key service
 */
export function* openLog(world: World, settings: Settings, blocking: boolean): IoRoutine<OpenedLog> {
  const { io } = world;
  const { directory } = settings;
  const kind = kindOf(io, directory);
  if (kind === undefined) {
    if (!settings.create) throw notFound(directory, 'there is nothing at this path');
    makeDirectories(io, directory);
  } else if (kind !== 'directory') {
    throw new WalError('WAL_BAD_HEADER', `${directory} is a ${kind}, not the directory of a log: give a directory`, {
      path: directory,
      reason: 'not-a-directory',
    });
  }
  checkLog(io, settings);
  const unlock = io.lock(join(directory, FileName.lock));
  try {
    // Again, now that nobody else changes it.
    const files = checkLog(io, settings);
    const open = files.segments.length === 0 ? createLog : recoverLog;
    return { ...(yield* open(world, settings, files, blocking)), unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The files of a directory that is a log, or may become one. */
function checkLog(io: StorageIo, settings: Settings): LogFiles {
  const { directory, create } = settings;
  const files = sortFiles(io.list(directory));
  if (files.segments.length > 0) return files;
  if (files.checkpoint || files.free.length > 0) {
    const what = `there is a ${files.checkpoint ? 'checkpoint' : 'free segment'} but no segment`;
    throw corruption(directory, 'missing-segment', what);
  }
  if (files.foreign.length > 0) {
    const other = files.foreign.slice(0, 3).join(', ');
    throw notFound(
      directory,
      `the directory holds other files (${other}) and no log: a log needs a directory of its own`,
    );
  }
  if (!create) throw notFound(directory, 'the directory is empty');
  return files;
}

function notFound(directory: string, what: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: ${what}; nothing was made`, { path: directory });
}

import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { corruption, type LogFiles, listFiles, refuseUnfinishedSalvage } from '@walstack/mmap-reader/segments';
import { type IoRoutine, kindOf, makeDirectories, type StorageIo } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { goOnWithSalvage, salvageLog } from '../salvage/salvage.js';
import { blockingPause, lockWithin, pauseOf } from './lock-within.js';
import { readLogOnly } from './readonly-log.js';
import { createLog, type Opened, recoverLog } from './recover.js';

/** A log that was opened, and what gives its lock back. */
export interface OpenedLog extends Opened {
  readonly unlock: () => void;
}

/**
 * Opens the log of a directory: locks it, then recovers it or makes a new one. A directory that is no log, and has to
 * become none, is left as it is.
 *
 * @param blocking - the thread waits: for a lock by blocking, and for a key service not at all
 */
export function* openLog(world: Environment, settings: Settings, blocking: boolean): IoRoutine<OpenedLog> {
  const { io } = world;
  const { directory, recoveryMode } = settings;
  const create = settings.create && recoveryMode !== 'readonly';
  const kind = kindOf(io, directory);
  if (kind === undefined) {
    if (!create) throw notFound(directory, 'there is nothing at this path');
    makeDirectories(io, directory);
  } else if (kind !== 'directory') {
    throw new WalError('WAL_BAD_HEADER', `${directory} is a ${kind}, not the directory of a log: give a directory`, {
      path: directory,
      reason: 'not-a-directory',
    });
  }
  const look = () => checkLog(io, directory, settings);
  look();
  if (recoveryMode === 'readonly')
    return { ...(yield* readLogOnly(world, settings, look, blocking)), unlock: () => {} };
  const pause = blocking ? blockingPause : pauseOf(world);
  const unlock = yield* lockWithin(world, join(directory, FileName.lock), settings.lockTimeoutMs, pause);
  try {
    // Again, now that nothing else changes it.
    const files = look();
    refuseTakenNames(io, directory, files);
    const open = remainsOf(files) === undefined && files.segments.length === 0 ? createLog : recoverMode[recoveryMode];
    return { ...(yield* open(world, settings, files, blocking)), unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

const recoverMode = { strict: recoverLog, salvage: recoverOrSalvage };

/** Recovers a log, and salvages one of which something acknowledged is lost. */
function* recoverOrSalvage(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  if (files.salvage) {
    const opened = yield* goOnWithSalvage(world, settings, files, blocking);
    if (opened !== undefined) return opened;
  }
  let damage: WalError;
  try {
    refuseRemains(settings.directory, files);
    return yield* recoverLog(world, settings, files, blocking);
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    damage = error;
  }
  return yield* salvageLog(world, settings, listFiles(world.io, settings.directory), damage, blocking);
}

/** The files of a directory that is a log, or may become one. */
function checkLog(io: StorageIo, directory: string, { create, recoveryMode }: Settings): LogFiles {
  const files = listFiles(io, directory);
  if (recoveryMode !== 'salvage') refuseRemains(directory, files);
  if (files.segments.length > 0 || remainsOf(files) !== undefined) return files;
  if (files.foreign.length > 0) {
    const other = files.foreign.slice(0, 3).join(', ');
    throw notFound(
      directory,
      `the directory holds other files (${other}) and no log: a log needs a directory of its own`,
    );
  }
  if (!create || recoveryMode === 'readonly') throw notFound(directory, 'the directory is empty');
  return files;
}

/** What shows that there was a log, where no segment is left of it; `undefined` where nothing does. */
function remainsOf(files: LogFiles): string | undefined {
  if (files.segments.length > 0) return undefined;
  if (files.checkpoint) return 'checkpoint';
  if (files.salvage) return 'file salvage';
  if (files.free.length > 0) return 'free segment';
  return files.quarantine ? 'quarantine' : undefined;
}

/** @throws `WAL_CORRUPT` where there is what only a log has, but no segment, and where a salvage has not ended */
function refuseRemains(directory: string, files: LogFiles): void {
  refuseUnfinishedSalvage(directory, files);
  const remains = remainsOf(files);
  if (remains === undefined) return;
  throw corruption(directory, 'missing-segment', `there is a ${remains} but no segment`);
}

/** @throws `WAL_IO_FAILED` where a name that the log needs for a file is a directory's, or a link's that leads nowhere */
function refuseTakenNames(io: StorageIo, directory: string, { drafts }: LogFiles): void {
  const isTaken = (name: string): boolean => {
    const kind = kindOf(io, join(directory, name));
    // It may be gone by now: what a killed process has asked for may still be carried out.
    return kind === undefined ? io.list(directory).includes(name) : kind !== 'file';
  };
  const taken = drafts.find(isTaken);
  if (taken === undefined) return;
  const path = join(directory, taken);
  const what = `${path} is no file, and the log needs the name for one: move it away; nothing was changed`;
  throw new WalError('WAL_IO_FAILED', what, { path, reason: 'taken-name' });
}

function notFound(directory: string, what: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: ${what}; nothing was made`, { path: directory });
}

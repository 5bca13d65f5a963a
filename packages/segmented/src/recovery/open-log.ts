import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import {
  corruption,
  type LogFiles,
  listFiles,
  refuseUnfinishedBackup,
  refuseUnfinishedSalvage,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf, makeDirectories } from '@walstack/storage-io/internal';
import { switchOver } from '../backup/switch-over.js';
import type { Settings } from '../options.js';
import { resumeSalvage, salvageLog } from '../salvage/salvage.js';
import { blockingPause, lockWithin, pauseOf } from './lock-within.js';
import type { OpeningEnvironment } from './opening-watch.js';
import { readLogOnly } from './readonly-log.js';
import { createLog, type Opened, recoverLog } from './recover.js';
import { salvages } from './recovery-report.js';

/** A log that was opened. */
export interface OpenedLog extends Opened {
  /** Releases the lock. */
  readonly unlock: () => void;
}

/**
 * Opens the log of a directory: locks it, then recovers it or creates a new one. A directory that is not a log, and may
 * not become one, is not changed.
 *
 * @param blocking - whether the call blocks the thread while it waits for the lock; then it cannot await a key service
 */
export function* openLog(environment: OpeningEnvironment, settings: Settings, blocking: boolean): IoRoutine<OpenedLog> {
  const { io } = environment;
  const { directory, recoveryMode } = settings;
  const create = settings.create && recoveryMode !== 'readonly';
  const kind = kindOf(io, directory);
  if (kind === undefined) {
    if (!create) throw notFound(directory, 'there is nothing at this path');
    makeDirectories(io, directory, settings.directoryMode);
  } else if (kind !== 'directory') {
    const what = kind === 'file' ? 'a file' : 'neither a file nor a directory';
    throw new WalError('WAL_BAD_HEADER', `${directory} is ${what}: give the directory of a log`, {
      path: directory,
      reason: 'not-a-directory',
    });
  }
  const listLog = () => checkLog(io, directory, settings);
  listLog();
  if (recoveryMode === 'readonly')
    return { ...(yield* readLogOnly(environment, settings, listLog, blocking)), unlock: () => {} };
  const pause = blocking ? blockingPause : pauseOf(environment);
  const unlock = yield* lockWithin(environment, join(directory, FileName.lock), settings, pause);
  try {
    // Again, now that no other writer changes it.
    let files = listLog();
    if (files.backup === 'decided') {
      yield* environment.watch.undisturbed(switchOver(io, directory));
      files = listLog();
    }
    refuseTakenNames(io, directory, files);
    const open = remainsOf(files) === undefined && files.segments.length === 0 ? createLog : recoverMode[recoveryMode];
    return { ...(yield* open(environment, settings, files, blocking)), unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

const recoverMode = { strict: recoverLog, salvage: recoverOrSalvage, 'skip-corrupt': recoverOrSalvage };

/** Recovers a log, or salvages it if something acknowledged is lost. */
function* recoverOrSalvage(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  if (files.salvage) {
    const opened = yield* resumeSalvage(environment, settings, files, blocking);
    if (opened !== undefined) return opened;
  }
  let damage: WalError;
  try {
    refuseRemains(settings.directory, files);
    return yield* recoverLog(environment, settings, files, blocking);
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    damage = error;
  }
  return yield* salvageLog(environment, settings, listFiles(environment.io, settings.directory), damage, blocking);
}

/** Lists the files of a directory. @throws `WAL_NOT_FOUND`, `WAL_FOREIGN_DIRECTORY` when it is not a log and may not become one */
function checkLog(io: StorageIo, directory: string, { create, recoveryMode }: Settings): LogFiles {
  const files = listFiles(io, directory);
  if (files.backup === 'decided' && recoveryMode !== 'readonly') return files;
  refuseUnfinishedBackup(directory, files);
  if (!salvages(recoveryMode)) refuseRemains(directory, files);
  if (files.segments.length > 0 || remainsOf(files) !== undefined) return files;
  if (files.foreign.length > 0) {
    const other = files.foreign.slice(0, 3).join(', ');
    const what = `the directory ${directory} holds other files (${other}) and no log: a log needs a directory of its own`;
    throw new WalError('WAL_FOREIGN_DIRECTORY', `${what}; nothing was changed`, { path: directory });
  }
  if (!create || recoveryMode === 'readonly') throw notFound(directory, 'the directory is empty');
  return files;
}

/** A file that shows that a directory without segments was a log; `undefined` when there is none. */
function remainsOf(files: LogFiles): string | undefined {
  if (files.segments.length > 0) return undefined;
  if (files.checkpoint) return 'checkpoint';
  if (files.salvage) return 'file salvage';
  if (files.free.length > 0) return 'free segment';
  return files.quarantine ? 'quarantine' : undefined;
}

/** @throws `WAL_CORRUPT` when there are files of a log but no segment, or when a salvage has not ended */
function refuseRemains(directory: string, files: LogFiles): void {
  refuseUnfinishedSalvage(directory, files);
  const remains = remainsOf(files);
  if (remains === undefined) return;
  throw corruption(directory, 'missing-segment', `there is a ${remains} but no segment`);
}

/** @throws `WAL_IO_FAILED` when a name that the log needs for a draft belongs to a directory or a dangling link */
function refuseTakenNames(io: StorageIo, directory: string, { drafts }: LogFiles): void {
  const isTaken = (name: string): boolean => {
    const kind = kindOf(io, join(directory, name));
    // Listed again, as the file may be gone by now: the kernel may still carry out requests of a killed process.
    return kind === undefined ? io.list(directory).includes(name) : kind !== 'file';
  };
  const taken = drafts.find(isTaken);
  if (taken === undefined) return;
  const path = join(directory, taken);
  const what = `${path} is not a file, and the log needs this name for a file: move it away; nothing was changed`;
  throw new WalError('WAL_IO_FAILED', what, { path, reason: 'taken-name' });
}

function notFound(directory: string, what: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: ${what}; nothing was created`, { path: directory });
}

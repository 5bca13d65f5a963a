import { join } from 'node:path';
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeSegmentHeader,
  FileName,
  isCoreDirectoryName,
  isFreeFileName,
  parseSegmentFileName,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SegmentName,
  WalError,
} from '@walstack/codec';
import { parseStagedName, settled } from '@walstack/codec/internal';
import { type IoFile, type IoRoutine, ioSteps, type OpenOptions, type StorageIo } from '@walstack/storage-io';
import { closeFile, kindOf } from '@walstack/storage-io/internal';
import { corruption } from './chain-errors.js';

/** The files of a log's directory by kind. */
export interface LogFiles {
  /** In the order of their numbers. */
  readonly segments: readonly SegmentName[];
  readonly checkpoint: boolean;
  /** Whether a salvage was begun and has not ended. */
  readonly salvage: boolean;
  /** Whether a salvage has quarantined anything here. */
  readonly quarantine: boolean;
  /** Freed segment files that are kept for reuse. */
  readonly free: readonly string[];
  /** Whether a backup was begun here and has no segment yet, or was decided and not ended. */
  readonly backup: 'begun' | 'decided' | undefined;
  /** Whether this is a backup that was not opened for writing, complete or not. */
  readonly isBackup: boolean;
  /** Whether there ever was a follower with a name. */
  readonly followers: boolean;
  /** Whether room is kept here for a full disk. */
  readonly reserve: boolean;
  /** Temporary files that a crash left: never part of the log. */
  readonly drafts: readonly string[];
  /** Names that do not belong to a log. */
  readonly foreign: readonly string[];
}

/** Names that any directory may contain besides a log. */
const HARMLESS = /^(\.|lost\+found$)/;

const OWN = new Set<string>([
  FileName.lock,
  `${FileName.lock}.takeover`,
  FileName.salvage,
  FileName.followers,
  FileName.backup,
  FileName.backupDecision,
  FileName.madeBackups,
]);

/** What salvage cut off; with a number where the name was taken. */
const QUARANTINE = new RegExp(`^${FileName.quarantine}(-\\d{1,9})?$`);
const DRAFTS = new Set<string>([
  FileName.nextSegment,
  FileName.checkpointDraft,
  FileName.salvageDraft,
  FileName.backupDraft,
]);

/** Sorts the names in a directory by kind. */
export function sortFiles(names: readonly string[]): LogFiles {
  const segments: SegmentName[] = [];
  const drafts: string[] = [];
  const foreign: string[] = [];
  const free: string[] = [];
  for (const name of names) {
    const segment = parseSegmentFileName(name);
    if (segment !== undefined) segments.push(segment);
    else if (DRAFTS.has(name) || parseStagedName(name) !== undefined) drafts.push(name);
    else if (isFreeFileName(name)) free.push(name);
    else if (
      name !== FileName.checkpoint &&
      !OWN.has(name) &&
      !isCoreDirectoryName(name) &&
      !HARMLESS.test(name) &&
      !QUARANTINE.test(name)
    ) {
      foreign.push(name);
    }
  }
  segments.sort((a, b) => a.number - b.number);
  return {
    segments,
    checkpoint: names.includes(FileName.checkpoint),
    salvage: names.includes(FileName.salvage),
    quarantine: names.some((name) => QUARANTINE.test(name)),
    free,
    backup: backupIn(names, segments.length > 0),
    isBackup: names.includes(FileName.backup),
    followers: names.includes(FileName.followers),
    reserve: names.includes(FileName.reserve),
    drafts,
    foreign,
  };
}

function backupIn(names: readonly string[], hasSegments: boolean): LogFiles['backup'] {
  if (names.includes(FileName.backupDecision)) return 'decided';
  const isOfBackup = (name: string): boolean => name === FileName.backup || parseStagedName(name) !== undefined;
  return !hasSegments && names.some(isOfBackup) ? 'begun' : undefined;
}

/** The files of a log's directory by kind. */
export function listFiles(io: StorageIo, directory: string, names = io.list(directory)): LogFiles {
  const files = sortFiles(names);
  // Salvage writes a file: a directory of that name is unrelated.
  if (!files.salvage || kindOf(io, join(directory, FileName.salvage)) !== 'directory') return files;
  return { ...files, salvage: false, foreign: [...files.foreign, FileName.salvage] };
}

/** Opens a file for one routine that only reads it, and closes it in any case. */
export const withFile = <T>(io: StorageIo, path: string, use: (file: IoFile) => IoRoutine<T>): IoRoutine<T> =>
  openedFor(io, path, READ_ONLY, use);

/** Opens a file for one routine that writes it, and closes it in any case. */
export const withWritableFile = <T>(io: StorageIo, path: string, use: (file: IoFile) => IoRoutine<T>): IoRoutine<T> =>
  openedFor(io, path, undefined, use);

const READ_ONLY: OpenOptions = { readOnly: true };

function* openedFor<T>(
  io: StorageIo,
  path: string,
  options: OpenOptions | undefined,
  use: (file: IoFile) => IoRoutine<T>,
): IoRoutine<T> {
  const file = io.open(path, options);
  try {
    return yield* use(file);
  } finally {
    closeFile(io, file);
  }
}

/** Reads the header of a segment. @throws `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION`, `WAL_NOT_FOUND` */
export function* readHeader(io: StorageIo, path: string): IoRoutine<SegmentHeader> {
  return yield* withFile(io, path, (file) => headerOf(io, file));
}

/** Reads the header of an open segment. @throws `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION` */
export function* headerOf(io: StorageIo, file: IoFile): IoRoutine<SegmentHeader> {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const length = yield* ioSteps.read(io, file, bytes, 0);
  return decodeSegmentHeader(bytes.subarray(0, length), file.path);
}

/** A larger file is none that a log has beside its segments. */
const WHOLE_FILE_BYTES_MAX = 256 * 1024 * 1024;

/** Reads a whole file with a checksum. Of one that is larger than `bytesMax`, only this much is read, which fails the checksum. */
export function* readWholeFile(io: StorageIo, path: string, bytesMax = WHOLE_FILE_BYTES_MAX): IoRoutine<Uint8Array> {
  return yield* withFile(io, path, function* (file) {
    const bytes = new Uint8Array(Math.min(io.size(file), bytesMax));
    const length = yield* ioSteps.read(io, file, bytes, 0);
    return bytes.subarray(0, length);
  });
}

/** A larger file is no checkpoint. */
const CHECKPOINT_BYTES_MAX = 1024 * 1024;

/** Reads the file `checkpoint`. @throws `WAL_CORRUPT` */
export function* readCheckpoint(io: StorageIo, directory: string): IoRoutine<Checkpoint> {
  const path = join(directory, FileName.checkpoint);
  try {
    return decodeCheckpoint(yield* readWholeFile(io, path, CHECKPOINT_BYTES_MAX), path);
  } catch (error) {
    if (!isNoFile(error)) throw error;
    throw corruption(path, 'no-file', 'the directory has the name, but it is no file', { offset: 0 });
  }
}

/**
 * The checkpoint for reading the chain of a log. A truncation that is announced is as good as done where there is no follower with a
 * name for which it would have to be undone.
 */
export function* checkpointOf(io: StorageIo, directory: string, files: LogFiles): IoRoutine<Checkpoint | undefined> {
  if (!files.checkpoint) return undefined;
  const checkpoint = yield* readCheckpoint(io, directory);
  return files.followers ? checkpoint : settled(checkpoint);
}

/** Whether opening failed because the name is no file: a directory, or a dangling link. */
export function isNoFile(error: unknown): error is WalError {
  return WalError.is(error) && (error.code === 'WAL_NOT_FOUND' || NO_FILES.has(error.systemCode ?? ''));
}

const NO_FILES = new Set(['EISDIR', 'ELOOP', 'ENXIO', 'ENODEV']);

/**
 * Refuses a directory in which a salvage is unfinished: only its journal file tells what the log consists of then.
 *
 * @throws `WAL_CORRUPT` while a salvage is unfinished
 */
export function refuseUnfinishedSalvage(directory: string, { salvage }: LogFiles): void {
  if (!salvage) return;
  throw corruption(
    join(directory, FileName.salvage),
    'salvage-unfinished',
    "a salvage of this log was begun and has not ended: open it with recoveryMode 'salvage', which continues it",
  );
}

/**
 * Refuses the directory of a backup that was begun and has not ended: it is no log, or may have files of two states of one.
 *
 * @throws `WAL_STATE`
 */
export function refuseUnfinishedBackup(directory: string, { backup }: LogFiles): void {
  if (backup === undefined) return;
  const what =
    backup === 'decided'
      ? 'open it for writing once, or back up into it again, which ends it'
      : 'back up into it again, which continues it';
  throw new WalError('WAL_STATE', `the backup in ${directory} was begun and has not ended: ${what}`, {
    path: directory,
    state: `backup-${backup}`,
  });
}

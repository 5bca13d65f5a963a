import { join } from 'node:path';
import { FileName, parseSegmentFileName } from '@walstack/codec';
import { parseStagedName } from '@walstack/codec/internal';
import { corruption } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import { removeNames } from '../segments/segment-file.js';
import { type BackupList, encodeList, listedName, readList } from './backup-list.js';

/**
 * Decides that a backup consists of these segments from now on: all of them are in its directory under their names or as staged
 * files, durable, and so is the checkpoint. Durable on return. After a crash, {@link switchOver} carries it out.
 */
export function* decide(io: StorageIo, directory: string, list: BackupList, fileMode: number): IoRoutine<void> {
  const draft = join(directory, FileName.backupDraft);
  yield* replaceFile(io, draft, join(directory, FileName.backupDecision), encodeList(list), fileMode);
  yield* ioSteps.syncDirectory(io, directory);
}

/**
 * Carries out what was decided: gives the staged files their names, and removes what is not part of the backup any more. It can
 * be repeated after a crash. Durable on return.
 *
 * @throws `WAL_CORRUPT` when `backup.next` is damaged, or a segment that it names is not there
 */
export function* switchOver(io: StorageIo, directory: string): IoRoutine<void> {
  const decision = join(directory, FileName.backupDecision);
  const list = yield* readList(io, directory, FileName.backupDecision);
  if (list === undefined) throw corruption(decision, 'no-file', 'the directory has the name, but it is no file');
  const wanted = new Set([...list.segments.map(listedName), FileName.checkpoint]);
  const names = new Set(io.list(directory));
  for (const staged of names) {
    const { name } = parseStagedName(staged) ?? {};
    if (name === undefined || !wanted.has(name)) continue;
    // Removed before, as a rename that frees a large file blocks the thread.
    if (names.has(name)) yield* removeNames(io, directory, [name]);
    io.rename(join(directory, staged), join(directory, name));
    names.add(name);
  }
  for (const name of wanted) {
    if (!names.has(name)) throw corruption(join(directory, name), 'missing-segment', 'the backup consists of it');
  }
  const obsolete = io.list(directory).filter((name) => !wanted.has(name) && isOfBackup(name));
  yield* removeNames(io, directory, obsolete);
  // Until this is durable, it can be repeated.
  yield* ioSteps.syncDirectory(io, directory);
  io.rename(decision, join(directory, FileName.backup));
  yield* ioSteps.syncDirectory(io, directory);
}

/** Whether a name is that of a segment, or of what was staged. */
const isOfBackup = (name: string): boolean =>
  parseSegmentFileName(name) !== undefined || parseStagedName(name) !== undefined;

/** The staged files of a directory. */
export const stagedIn = (io: StorageIo, directory: string): readonly string[] =>
  io.list(directory).filter((name) => parseStagedName(name) !== undefined);

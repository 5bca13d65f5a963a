import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FileName, type Lsn, parseSegmentFileName, type SegmentHeader, WalError } from '@walstack/codec';
import { parseStagedName } from '@walstack/codec/internal';
import { type LogFiles, listFiles, readHeader } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf } from '@walstack/storage-io/internal';
import { type BackupList, hexOf, type ListedSegment, listedName, readList } from './backup-list.js';
import type { MadeBackup } from './made-backups.js';

/** Why a backup is not made into a directory. The reason of the error. */
type Refusal = 'log' | 'other-files' | 'other-log' | 'changed' | 'ahead' | 'branched';

function refused(directory: string, reason: Refusal, what: string): WalError {
  const advice = 'nothing was changed; back up into an empty directory, or an earlier backup of this log';
  return new WalError('WAL_FOREIGN_DIRECTORY', `${directory} ${what}: ${advice}`, { path: directory, reason });
}

/** @throws `WAL_FOREIGN_DIRECTORY` for the directory of the log that is backed up, or one in it, also through a symbolic link */
export function refuseOwnDirectory(io: StorageIo, directory: string, logDirectory: string): void {
  const { realFiles } = io.capabilities;
  const [target, log] = realFiles ? [realPathOf(directory), realPathOf(logDirectory)] : [directory, logDirectory];
  if (target !== log && !target.startsWith(join(log, '/'))) return;
  throw refused(directory, 'log', 'is in the directory of the log');
}

/** A path without symbolic links, as far as there is anything at it. */
function realPathOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPathOf(parent), basename(path));
  }
}

/**
 * Checks that a directory is missing, empty, or has a backup, finished or not. Nothing is changed.
 *
 * @throws `WAL_BAD_HEADER` when it is no directory, `WAL_FOREIGN_DIRECTORY` when anything else is in it
 */
export function checkTarget(io: StorageIo, directory: string): LogFiles | undefined {
  const kind = kindOf(io, directory);
  if (kind === undefined) return undefined;
  if (kind !== 'directory') {
    const what = `${directory} is not a directory: nothing was changed; give one for the backup`;
    throw new WalError('WAL_BAD_HEADER', what, { path: directory, reason: 'not-a-directory' });
  }
  const files = listFiles(io, directory);
  if (io.list(directory).includes(FileName.backup) || files.backup === 'decided') return files;
  const { segments, checkpoint, salvage, quarantine, free, foreign } = files;
  if (segments.length > 0 || checkpoint || salvage || quarantine || free.length > 0) {
    throw refused(directory, 'log', 'has a log that is no backup, or a backup that was opened for writing');
  }
  if (foreign.length > 0) {
    throw refused(directory, 'other-files', `has other files (${foreign.slice(0, 3).join(', ')}) and no backup`);
  }
  return files;
}

/**
 * Reads what an earlier backup in a directory consists of; `undefined` when there is none.
 *
 * @throws `WAL_FOREIGN_DIRECTORY` when it is of another log, or its files were changed since
 */
export function* readEarlier(io: StorageIo, directory: string, logId: string): IoRoutine<BackupList | undefined> {
  const list = yield* readList(io, directory, FileName.backup);
  if (list === undefined) return undefined;
  if (list.logId !== logId) throw refused(directory, 'other-log', 'has a backup of another log');
  const { segments, free, quarantine, salvage } = listFiles(io, directory);
  const known = new Set(list.segments.map(listedName));
  const isSame = segments.length === known.size && segments.every(({ name }) => known.has(name));
  if (!isSame || free.length > 0 || quarantine || salvage) {
    throw refused(directory, 'changed', 'has a backup whose files were changed since');
  }
  return list;
}

/**
 * Checks that a log has gone on from an earlier backup of it: else the backup may have records that the log does not have, and
 * did not remove.
 *
 * @param now - the log
 * @param known - what the log knows of the earlier backup; `undefined` when it did not make it, or has forgotten it
 * @throws `WAL_FOREIGN_DIRECTORY`
 */
export function refuseUnlessEarlier(
  directory: string,
  earlier: BackupList,
  now: BackupList,
  known: MadeBackup | undefined,
): void {
  // A segment without a record is replaced at the next opening.
  const byNumber = new Map(now.segments.filter(hasRecords).map((segment) => [segment.number, segment]));
  const oldest = now.segments[0] as ListedSegment;
  // A salvage gives up records as well, and a cut may have been noted and not carried out.
  const isSalvaged = now.salvagedBelow !== earlier.salvagedBelow;
  const cutLsn = isSalvaged ? Number.POSITIVE_INFINITY : (known?.cutLsn ?? Number.POSITIVE_INFINITY);
  // Else what it has truncated may have been another branch, with other records under these LSNs.
  const isOwn = known !== undefined || isWhole(byNumber, earlier.segments.at(-1) as ListedSegment);
  for (const before of earlier.segments) {
    const after = byNumber.get(before.number);
    if (after !== undefined && !isSameBranch(before, after)) {
      const what =
        isSalvaged && lacksSessions(before, after)
          ? `has a backup from before a salvage that found a mark damaged with which an opening of the log began, behind LSN ${before.firstLsn}: it cannot be told from that of another copy of this log`
          : `has a backup of another copy of this log, which has gone on differently from LSN ${before.firstLsn} on`;
      throw refused(directory, 'branched', what);
    }
    const lost = after === undefined ? undefined : lostSince(before, after);
    if (lost !== undefined) {
      throw refused(directory, 'ahead', `has a backup with LSN ${lost}, which the log has lost since`);
    }
    const isTruncated = isOwn && before.number < oldest.number && isKeptBySalvages(before, earlier, now);
    const nextLsn = after?.nextLsn ?? before.firstLsn;
    // What the log has cut off begins behind `cutLsn`.
    if (nextLsn >= before.nextLsn || isTruncated || nextLsn > cutLsn) continue;
    const isUnknown = !isOwn && before.number < oldest.number;
    const what = isUnknown
      ? 'has a backup of which the log has nothing any more: whether it has truncated that, or never had it, is not known'
      : `has a backup with records up to LSN ${before.nextLsn - 1} that the log does not have, and did not cut off`;
    throw refused(directory, 'ahead', what);
  }
}

/** The first LSN that a log has lost in a segment since, as it was salvaged around damage; `undefined` when there is none. */
function lostSince(before: ListedSegment, after: ListedSegment): Lsn | undefined {
  for (const [firstLsn, lastLsn] of after.holes ?? []) {
    let lsn = firstLsn;
    for (const [first, last] of before.holes ?? []) if (first <= lsn && lsn <= last) lsn = last + 1;
    if (lsn <= lastLsn && lsn < before.nextLsn) return lsn;
  }
  return undefined;
}

/** Whether a log has all of a segment of the backup. */
function isWhole(now: ReadonlyMap<number, ListedSegment>, before: ListedSegment): boolean {
  const after = now.get(before.number);
  return after !== undefined && isSameBranch(before, after) && after.nextLsn >= before.nextLsn;
}

const hasRecords = ({ firstLsn, nextLsn }: ListedSegment): boolean => nextLsn > firstLsn;

/** Whether no salvage between two states of a log can have given up a segment of the first one. */
const isKeptBySalvages = ({ number }: ListedSegment, earlier: BackupList, { salvagedBelow }: BackupList): boolean =>
  salvagedBelow === earlier.salvagedBelow || number >= salvagedBelow;

/** Whether two states of a segment are of one history, also where several openings have written to it. */
function isSameBranch(before: ListedSegment, after: ListedSegment): boolean {
  if (before.id !== after.id) return false;
  const upTo = Math.min(before.nextLsn, after.nextLsn);
  return sessionsBefore(before, upTo) === sessionsBefore(after, upTo);
}

/** Whether a segment has all sessions of an earlier state of it but some: a salvage around damage cannot restore their marks. */
function lacksSessions(before: ListedSegment, after: ListedSegment): boolean {
  const ids = new Set(before.sessions.map(([, id]) => id));
  const upTo = Math.min(before.nextLsn, after.nextLsn);
  return before.id === after.id && after.sessions.every(([firstLsn, id]) => firstLsn >= upTo || ids.has(id));
}

const sessionsBefore = ({ sessions }: ListedSegment, lsn: Lsn): string =>
  JSON.stringify(sessions.filter(([firstLsn]) => firstLsn < lsn));

/** @throws `WAL_FOREIGN_DIRECTORY` when an unfinished backup of another log has staged segments in a directory */
export function* refuseStagedOfOther(io: StorageIo, directory: string, logId: string): IoRoutine<void> {
  for (const staged of io.list(directory)) {
    if (parseSegmentFileName(parseStagedName(staged)?.name ?? '') === undefined) continue;
    // One that can be read is enough: a backup is begun where nothing is staged.
    if ((yield* headerOfLog(io, directory, staged, logId)) !== undefined) return;
  }
}

/**
 * Whether a file of a backup is that of a segment, whole: it got its name when it was complete and durable.
 *
 * @throws `WAL_FOREIGN_DIRECTORY` when it is of another log
 */
export function* hasSegment(
  io: StorageIo,
  directory: string,
  name: string,
  segment: ListedSegment,
  logId: string,
): IoRoutine<boolean> {
  const header = yield* headerOfLog(io, directory, name, logId);
  if (header === undefined || hexOf(header.segmentId) !== segment.id) return false;
  return io.stat(join(directory, name)).size >= segment.end;
}

/** The header of a file of a backup; `undefined` when it has none. @throws `WAL_FOREIGN_DIRECTORY` when it is of another log */
function* headerOfLog(
  io: StorageIo,
  directory: string,
  name: string,
  logId: string,
): IoRoutine<SegmentHeader | undefined> {
  try {
    const header = yield* readHeader(io, join(directory, name));
    if (hexOf(header.logId) !== logId) throw refused(directory, 'other-log', 'has an unfinished backup of another log');
    return header;
  } catch (error) {
    if (WalError.is(error, 'WAL_BAD_HEADER') || WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

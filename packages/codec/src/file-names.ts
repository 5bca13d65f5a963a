import { checkInteger } from './arguments/checks.js';
import { checkLsn, type Lsn } from './lsn.js';

/** Names of the other files in a log's directory. */
export const FileName = {
  /** The lock file, locked exclusively by the writer. Never removed. */
  lock: 'LOCK',
  /** The first segment, the checkpoint LSN and the holds. */
  checkpoint: 'checkpoint',
  /** The draft of `checkpoint`: written under this name, then renamed. */
  checkpointDraft: 'checkpoint.new',
  /** The next segment, not part of the log until it is renamed. */
  nextSegment: 'next.seg',
  /** Room that is kept for a full disk; not part of the log, and what it contains means nothing. */
  reserve: '.reserve',
  /** The directory of the files that salvage has taken out of the log. */
  quarantine: 'quarantine',
  /** The plan of a salvage in progress: its presence shows that the log may be half repaired. */
  salvage: 'salvage',
  /** The draft of `salvage`: written under this name, then renamed. */
  salvageDraft: 'salvage.new',
  /** In a backup: its segments. */
  backup: 'backup.segments',
  /** In a backup: what it will consist of. Its presence shows that files may have other names still: see `stagedName`. */
  backupDecision: 'backup.next',
  /** In a log: the backups that were made of it. */
  madeBackups: 'backup.made',
  /** The draft of `backup.next`, or of `backup.made`: written under this name, then renamed. */
  backupDraft: 'backup.new',
  /** The directory of the files of followers that have a name: how far each of them is. */
  followers: 'followers',
} as const;

const SEGMENT = /^wal-(\d{10})-(\d{20})\.seg$/;
const FREE = /^free-(\d+)\.seg$/;
const CORE = /^core-(\d+)$/;
const STAGED = /^staged-(newest-)?(wal-\d{10}-\d{20}\.seg|checkpoint)$/;

/** The fields of a segment file's name. */
export interface SegmentName {
  readonly name: string;
  readonly number: number;
  readonly firstLsn: Lsn;
}

/** The largest segment number that a name has room for. */
const SEGMENT_NUMBER_MAX = 9_999_999_999;

/**
 * `wal-<segment number, 10 digits>-<first LSN, 20 digits>.seg`: names sort in the order of the chain.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for numbers that do not fit into a name
 */
export function segmentFileName(number: number, firstLsn: Lsn): string {
  checkInteger('number', number, 1, SEGMENT_NUMBER_MAX);
  checkLsn('firstLsn', firstLsn);
  return `wal-${String(number).padStart(10, '0')}-${String(firstLsn).padStart(20, '0')}.seg`;
}

/** Parses the name of a segment file; `undefined` for any other name. */
export function parseSegmentFileName(name: string): SegmentName | undefined {
  const match = SEGMENT.exec(name);
  if (match === null) return undefined;
  const number = Number(match[1]);
  const firstLsn = Number(match[2]);
  if (number < 1 || firstLsn < 1 || !Number.isSafeInteger(firstLsn)) return undefined;
  return { name, number, firstLsn };
}

/** `free-<n>.seg`. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) */
export function freeFileName(number: number): string {
  return `free-${checkInteger('number', number, 1)}.seg`;
}

/** Whether a name is that of a free segment file, kept for reuse. */
export function isFreeFileName(name: string): boolean {
  return FREE.test(name);
}

/**
 * `staged-<name>`: the name of a file of a backup until the backup consists of it.
 *
 * @param isNewest - for a segment that was the newest one when it was copied, so that the copy may lack its end:
 * `staged-newest-<name>`
 */
export function stagedName(name: string, isNewest: boolean): string {
  return `staged-${isNewest ? 'newest-' : ''}${name}`;
}

/** The name that a staged file will get; `undefined` for any other name. */
export function parseStagedName(name: string): { readonly name: string; readonly isNewest: boolean } | undefined {
  const match = STAGED.exec(name);
  return match === null ? undefined : { name: match[2] as string, isNewest: match[1] !== undefined };
}

/** Whether a name is that of the directory of one core's log in a per-core log. */
export function isCoreDirectoryName(name: string): boolean {
  return CORE.test(name);
}

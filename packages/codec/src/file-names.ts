import { checkInteger } from './arguments.js';
import { checkLsn, type Lsn } from './lsn.js';

/** Names of the other files in a log's directory. */
export const FileName = {
  /** Held exclusively by the one writer. Never removed. */
  lock: 'LOCK',
  /** What was durably truncated, checkpointed and held. */
  checkpoint: 'checkpoint',
  /** The checkpoint that is being written, until it is renamed. */
  checkpointDraft: 'checkpoint.new',
  /** The next segment, not part of the log until it is renamed. */
  nextSegment: 'next.seg',
  /** What salvage cut off. */
  quarantine: 'quarantine',
  /** What a salvage that is under way has decided: without it nothing tells that the log is half repaired. */
  salvage: 'salvage',
  /** The file `salvage` that is being written, until it is renamed. */
  salvageDraft: 'salvage.new',
} as const;

const SEGMENT = /^wal-(\d{10})-(\d{20})\.seg$/;
const FREE = /^free-(\d+)\.seg$/;
const CORE = /^core-(\d+)$/;

/** What the name of a segment file says. */
export interface SegmentName {
  readonly name: string;
  readonly number: number;
  readonly firstLsn: Lsn;
}

/** The largest segment number that a name has room for. */
const MAXIMUM_SEGMENT_NUMBER = 9_999_999_999;

/**
 * `wal-<segment number, 10 digits>-<first LSN, 20 digits>.seg`: names sort in the order of the chain.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for what would be no such name
 */
export function segmentFileName(number: number, firstLsn: Lsn): string {
  checkInteger('number', number, 1, MAXIMUM_SEGMENT_NUMBER);
  checkLsn('firstLsn', firstLsn);
  return `wal-${String(number).padStart(10, '0')}-${String(firstLsn).padStart(20, '0')}.seg`;
}

/** What the name of a segment file says; `undefined` for any other name. */
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

/** Whether a name is that of a free segment, waiting for reuse. */
export function isFreeFileName(name: string): boolean {
  return FREE.test(name);
}

/** Whether a name is that of one core's log in a per-core log's directory. */
export function isCoreDirectoryName(name: string): boolean {
  return CORE.test(name);
}

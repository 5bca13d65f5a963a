import { join } from 'node:path';
import { type FileName, type Lsn, segmentFileName, WalError } from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { type Hole, holeUpTo, isNoFile, readWholeFile, type Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/** A segment of a backup. */
export interface ListedSegment {
  readonly number: number;
  readonly firstLsn: Lsn;
  /** Segment id, 32 hexadecimal digits. */
  readonly id: string;
  /** Offset behind its last frame in the log, when the backup was made. */
  readonly end: number;
  /** The LSN behind its last record, when the backup was made. */
  readonly nextLsn: Lsn;
  /** The sessions in it, but for the first: the LSN that each begins with, and its id. */
  readonly sessions: readonly (readonly [firstLsn: Lsn, id: string])[];
  /** The first and the last LSN of each hole in it; absent where there is none. */
  readonly holes?: readonly (readonly [firstLsn: Lsn, lastLsn: Lsn])[];
}

/** What a backup consists of. The last segment may go on in the log, and the copy of it has a mark at its end. */
export interface BackupList {
  /** 32 hexadecimal digits, another one for each backup: `MadeBackups`. */
  readonly id: string;
  /** 32 hexadecimal digits. */
  readonly logId: string;
  /** `salvagedBelow` of the checkpoint; 0 when the log was never salvaged. */
  readonly salvagedBelow: number;
  /** From the oldest to the newest; at least one. */
  readonly segments: readonly ListedSegment[];
}

/** A larger file is no list: it has some 150 bytes for each segment. */
const LIST_BYTES_MAX = 1024 * 1024 * 1024;

export const hexOf = (id: Uint8Array): string => Buffer.from(id).toString('hex');

/** The file name of a segment. */
export const listedName = ({ number, firstLsn }: ListedSegment): string => segmentFileName(number, firstLsn);

/** What a backup says of a segment. */
export function listed({ header, end, nextLsn, sessions, holes = [] }: Segment): ListedSegment {
  const { number, firstLsn, segmentId } = header;
  const lost = holes.flatMap((hole) => holeUpTo(hole, nextLsn - 1) ?? []);
  const id = hexOf(segmentId);
  return { number, firstLsn, id, end, nextLsn, sessions: sessions?.before(nextLsn) ?? [], ...holesOf(lost) };
}

/** Whether a backup says the same of two segments. */
export const isSameSegment = (a: ListedSegment, b: ListedSegment): boolean => JSON.stringify(a) === JSON.stringify(b);

const holesOf = (holes: readonly Pick<Hole, 'firstLsn' | 'lastLsn'>[]): Pick<ListedSegment, 'holes'> =>
  holes.length === 0 ? {} : { holes: holes.map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn] as const) };

/** The content of the file `backup.next`, which becomes `backup.segments`. */
export function encodeList(list: BackupList): Uint8Array {
  return encodeFramedJson({ version: 1, ...list });
}

/**
 * Reads `backup.segments` or `backup.next`; `undefined` when there is no such file.
 *
 * @throws `WAL_CORRUPT` when it is damaged, `WAL_UNSUPPORTED_VERSION`
 */
export function* readList(
  io: StorageIo,
  directory: string,
  name: typeof FileName.backup | typeof FileName.backupDecision,
): IoRoutine<BackupList | undefined> {
  const path = join(directory, name);
  try {
    return decodeList(yield* readWholeFile(io, path, LIST_BYTES_MAX), path);
  } catch (error) {
    if (isNoFile(error)) return undefined;
    throw error;
  }
}

function decodeList(bytes: Uint8Array, path: string): BackupList {
  const decoded = decodeFramedJson(bytes, (reason, cause) => damaged(path, reason, cause));
  const { version, id, logId, salvagedBelow, segments } = objectOf(decoded) ?? {};
  if (Number.isSafeInteger(version) && (version as number) > 1) {
    throw new WalError('WAL_UNSUPPORTED_VERSION', `${path} was written by a later version of walstack: use that one`, {
      path,
    });
  }
  const found = Array.isArray(segments) ? segments.map(segmentOf) : [];
  if (
    version !== 1 ||
    !isId(id) ||
    !isId(logId) ||
    !isSalvagedBelow(salvagedBelow) ||
    found.length === 0 ||
    found.includes(undefined)
  ) {
    throw damaged(path, 'impossible-fields');
  }
  return { id, logId, salvagedBelow, segments: found as ListedSegment[] };
}

function segmentOf(value: unknown): ListedSegment | undefined {
  const { number, firstLsn, id, end, nextLsn, sessions, holes } = objectOf(value) ?? {};
  if (!isCount(number) || !isCount(firstLsn) || !isId(id) || !isCount(end) || !isCount(nextLsn)) return undefined;
  if (!Array.isArray(sessions) || !sessions.every(isSession)) return undefined;
  if (holes === undefined) return { number, firstLsn, id, end, nextLsn, sessions };
  if (!Array.isArray(holes) || !holes.every(isRange)) return undefined;
  return { number, firstLsn, id, end, nextLsn, sessions, holes };
}

export function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

/** Whether a value of a file is an id: 32 hexadecimal digits. */
export const isId = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

const isSalvagedBelow = (value: unknown): value is number => value === 0 || isCount(value);

const isSession = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && isCount(value[0]) && typeof value[1] === 'string';

const isRange = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isCount);

function damaged(path: string, reason: string, cause?: unknown): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path} is damaged (${reason}): nothing was changed; back up into an empty directory, and remove this one then`,
    { path, offset: 0, reason },
    cause === undefined ? undefined : { cause },
  );
}

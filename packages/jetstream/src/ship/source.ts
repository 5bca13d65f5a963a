import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSegmentHeader,
  type Lsn,
  parseSegmentFileName,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SegmentName,
  WalError,
} from '@walstack/codec';
import { checkPath, invalidType } from '@walstack/codec/internal';
import { LogTail } from '@walstack/mmap-reader';
import { asStored, type StoredRecord } from '@walstack/mmap-reader/internal';
import { openStorageIo, type StorageIo, type StorageIoName } from '@walstack/storage-io';
import type { FollowFrom, WalFollower } from '@walstack/wal';
import { followDirectoryStored, followStored, type StoredFollowOptions } from '@walstack/wal/internal';

/** An open log of this process: a `Wal` of any encoding. */
export interface OpenLog {
  readonly directory: string;
  readonly lastLsn: Lsn;
  readonly durableLsn: Lsn;
  listSegments(): readonly {
    readonly number: number;
    readonly firstLsn: Lsn;
    readonly firstPosition: number;
    readonly sizeBytes: number;
  }[];
  resumePointAt(lsn: Lsn): { readonly segment: number } | undefined;
  durable(lsn: Lsn, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** A log that is shipped: an open one of this process, or the directory of one that any process writes. */
export interface Source {
  /** For errors and statistics. */
  readonly path: string;
  /** The last LSN that is durable; `undefined` where only the log itself could show it. */
  readonly durableLsn: () => Lsn | undefined;
  /** The position of the first frame of the log, and about that of its end, a header included; `undefined` as {@link durableLsn}. */
  readonly positions: () => { readonly first: number; readonly end: number } | undefined;
  /** The number of the segment that has a record now; `undefined` where it is not known. */
  readonly segmentOf: (lsn: Lsn) => number | undefined;
  /** The first LSN behind a segment, which is where the log was cut when that segment had more; `undefined` when it is the last one. */
  readonly firstLsnBehind: (segment: number) => Lsn | undefined;
  /** The segment of a log of which all records were truncated; `undefined` for any other log. */
  readonly emptySegment: () => Promise<SegmentHeader | undefined>;
  /** The segment of a record, where the log ends with a hole that has it; `undefined` for any other log. */
  readonly segmentLosing: (lsn: Lsn) => Promise<SegmentHeader | undefined>;
  /** Makes a record durable that this process has appended. */
  readonly durable: (lsn: Lsn, signal: AbortSignal | undefined) => Promise<void>;
  readonly follow: (from: FollowFrom, options: StoredFollowOptions) => WalFollower<readonly StoredRecord[]>;
}

/** @throws `TypeError` for anything else */
export function sourceOf(log: OpenLog | string | URL, io: StorageIo | StorageIoName | undefined): Source {
  if (typeof log === 'string' || log instanceof URL) return directorySource(checkPath('log', log), io);
  if (typeof log !== 'object' || log === null || typeof log.durable !== 'function') {
    throw invalidType('log', 'an open Wal, or the directory of a log', log);
  }
  return {
    path: log.directory,
    durableLsn: () => log.durableLsn,
    positions: () => {
      const segments = log.listSegments();
      const last = segments.at(-1);
      return {
        first: segments[0]?.firstPosition ?? 0,
        end: last === undefined ? 0 : last.firstPosition + last.sizeBytes,
      };
    },
    segmentOf: (lsn) => whileOpen(() => log.resumePointAt(lsn + 1)?.segment),
    emptySegment: () => emptySegmentIn(log.directory),
    segmentLosing: (lsn) => segmentLosing(log.directory, lsn),
    firstLsnBehind: (segment) => log.listSegments().find(({ number }) => number > segment)?.firstLsn,
    durable: (lsn, signal) => {
      if (lsn > log.lastLsn) throw notThere(log.directory, lsn, log.lastLsn);
      return log.durable(lsn, signal === undefined ? {} : { signal });
    },
    follow: (from, options) => followStored(log, from, options),
  };
}

function directorySource(path: string, io: StorageIo | StorageIoName | undefined): Source {
  return {
    path,
    durableLsn: () => undefined,
    positions: () => undefined,
    // Where the log was cut, the segment with the higher number is in place of those before.
    segmentOf: (lsn) => whileThere(() => segmentsIn(path))?.findLast(({ firstLsn }) => firstLsn <= lsn)?.number,
    emptySegment: () => emptySegmentIn(path),
    segmentLosing: (lsn) => segmentLosing(path, lsn),
    firstLsnBehind: (segment) => segmentsIn(path).find(({ number }) => number > segment)?.firstLsn,
    durable: async () => {},
    follow: (from, options) => followDirectoryStored(path, from, io === undefined ? options : { ...options, io }),
  };
}

/** The segment files in a directory, in order. */
const segmentsIn = (path: string): readonly SegmentName[] =>
  readdirSync(path)
    .flatMap((name) => parseSegmentFileName(name) ?? [])
    .sort((a, b) => a.number - b.number);

/** The header of the only segment, when it has no record. A log that never had one has nothing that could be lost. */
async function emptySegmentIn(path: string): Promise<SegmentHeader | undefined> {
  const [only, ...others] = segmentsIn(path);
  if (only === undefined || others.length > 0 || only.firstLsn === 1) return undefined;
  const isEmpty = await withTail(path, 'first', async (tail) => !(await tail.advance()));
  return isEmpty ? headerOf(join(path, only.name)) : undefined;
}

async function segmentLosing(path: string, lsn: Lsn): Promise<SegmentHeader | undefined> {
  const isLost = await withTail(path, lsn, async (tail) => {
    try {
      while (await tail.advance()) if (tail.next() !== undefined) return false;
      return (tail.nextLsn ?? lsn) > lsn;
    } catch (error) {
      // What was cut off or truncated is found out by following the log.
      if (WalError.is(error)) return false;
      throw error;
    }
  });
  const losing = isLost ? segmentsIn(path).findLast(({ firstLsn }) => firstLsn <= lsn) : undefined;
  return losing === undefined ? undefined : headerOf(join(path, losing.name));
}

async function withTail<T>(path: string, from: Lsn | 'first', call: (tail: LogTail) => Promise<T>): Promise<T> {
  const io = openStorageIo('auto', { needs: 'async' });
  const tail = new LogTail(io, path, asStored(from === 'first' ? { from } : { from, onHole: 'skip' }));
  try {
    return await call(tail);
  } finally {
    tail.close();
    await io.dispose();
  }
}

/** The header of a segment file. */
export function headerOf(path: string): SegmentHeader {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    return decodeSegmentHeader(bytes.subarray(0, readSync(file, bytes)), path);
  } finally {
    closeSync(file);
  }
}

/** The result of a call; `undefined` when the directory is missing. */
function whileThere<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The result of a call; `undefined` when the log is closed. */
function whileOpen<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (WalError.is(error, 'WAL_CLOSED')) return undefined;
    throw error;
  }
}

function notThere(path: string, lsn: Lsn, lastLsn: Lsn): WalError {
  return new WalError('WAL_RANGE', `${path}: there is no record with LSN ${lsn} yet, the last one is ${lastLsn}`, {
    path,
    lsn,
    lastLsn,
  });
}

import { type Lsn, WalError } from '@walstack/codec';
import { checkPath, invalidType } from '@walstack/codec/internal';
import type { StoredRecord } from '@walstack/mmap-reader/internal';
import type { StorageIo, StorageIoName } from '@walstack/storage-io';
import type { FollowFrom, WalFollower } from '@walstack/wal';
import { followDirectoryStored, followStored, type StoredFollowOptions } from '@walstack/wal/internal';

/** An open log of this process: a `Wal` of any encoding. */
export interface OpenLog {
  readonly directory: string;
  readonly lastLsn: Lsn;
  readonly durableLsn: Lsn;
  listSegments(): readonly { readonly firstPosition: number; readonly sizeBytes: number }[];
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
    durable: async () => {},
    follow: (from, options) => followDirectoryStored(path, from, io === undefined ? options : { ...options, io }),
  };
}

function notThere(path: string, lsn: Lsn, lastLsn: Lsn): WalError {
  return new WalError('WAL_RANGE', `${path}: there is no record with LSN ${lsn} yet, the last one is ${lastLsn}`, {
    path,
    lsn,
    lastLsn,
  });
}

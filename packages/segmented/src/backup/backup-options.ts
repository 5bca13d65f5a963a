import type { Lsn } from '@walstack/codec';
import { checkBoolean, checkOptions, checkPath } from '@walstack/codec/internal';
import { checkOnProgress } from '@walstack/mmap-reader/internal';
import { checkSignal } from '@walstack/storage-io/internal';

/** How far a backup is. */
export interface BackupProgress {
  /** `'copy'`: segments are copied or linked; `'switch'`: all are there, and the backup is made to consist of them. */
  readonly phase: 'copy' | 'switch';
  /** Bytes of the segments that are in the backup so far, those that were there before included. */
  readonly bytes: number;
  /** Bytes of all segments that it will consist of. */
  readonly totalBytes: number;
  /** Records in the segments that are complete so far. */
  readonly records: number;
}

/** Options of `backup`. */
export interface BackupOptions {
  /**
   * Ends the backup: the call rejects with `WAL_ABORTED`, and what was in the directory before is as it was. What was copied so
   * far is used by the next backup into the directory.
   */
  readonly signal?: AbortSignal;
  /** Called after each segment, and after each MiB of one that is copied. An error that it throws ends the backup. */
  readonly onProgress?: (progress: BackupProgress) => void;
  /**
   * Give sealed segments a second name (a hard link) where the file system can, instead of copying them. With `false` every
   * byte is copied. Default `true`.
   */
  readonly hardLinks?: boolean;
}

/** The result of a backup. */
export interface BackupReport {
  /** The directory of the backup. */
  readonly directory: string;
  /** The first LSN in the backup; `lastLsn` + 1 when it has no record. */
  readonly firstLsn: Lsn;
  /** The last LSN in the backup. */
  readonly lastLsn: Lsn;
  /** How many segments it consists of. */
  readonly segments: number;
  /** Bytes of these segments. */
  readonly bytes: number;
  /** How many of them were copied now. */
  readonly copiedSegments: number;
  /** Bytes of those. */
  readonly copiedBytes: number;
  /** How many share their file with the log since now, by a hard link. */
  readonly linkedSegments: number;
  /** How many were there already. */
  readonly keptSegments: number;
}

/** Checked arguments of a backup. */
export interface CheckedBackup {
  readonly directory: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: BackupProgress) => void) | undefined;
  readonly hardLinks: boolean;
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkBackup(directory: string | URL, options: BackupOptions): CheckedBackup {
  const path = checkPath('directory', directory);
  const {
    signal,
    onProgress,
    hardLinks = true,
  } = checkOptions('options', options, ['signal', 'onProgress', 'hardLinks']);
  return {
    directory: path,
    signal: checkSignal(signal),
    onProgress: checkOnProgress('onProgress', onProgress),
    hardLinks: checkBoolean('hardLinks', hardLinks),
  };
}

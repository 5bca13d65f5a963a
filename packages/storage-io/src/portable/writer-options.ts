import {
  checkBlockBytes,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPath,
  DEFAULT_BLOCK_BYTES,
  optionNames,
  outOfRange,
} from '@walstack/codec';
import type { StorageIoName } from '../backends/open-storage-io.js';
import type { StorageIo } from '../storage-io.js';

/** How a {@link PortableWalWriter} is opened. */
export interface PortableWalWriterOptions {
  /**
   * The backend. One that is given lives on when the writer is closed; one that is named belongs to the writer. Default
   * `'auto'`: what `openStorageIo` chooses, for `openSync` one that can wait.
   */
  readonly io?: StorageIo | StorageIoName;
  /** Make the file where there is none. Default `true`; with `false`, `WAL_NOT_FOUND` and nothing is made. */
  readonly create?: boolean;
  /**
   * The file holds frames and nothing else: opening finds and cuts a torn tail, and `append` and `appendBatched` are
   * refused. Default `false`.
   */
  readonly framed?: boolean;
  /** Ask for direct I/O. Whether it was had is in `direct` of the writer. Default `false`. */
  readonly direct?: boolean;
  /**
   * Fill every write up to the end of its block with zeros, so that a block with acknowledged data is never written
   * again, at a price in space. Only with `framed`, and always so there with direct I/O. Default `false`.
   */
  readonly padGroups?: boolean;
  /**
   * Block size of the file, a power of two from 512 to 65,536 bytes: no frame starts in the last 7 bytes of a block. The
   * same for one file always. Default 4096.
   */
  readonly blockBytes?: number;
  /** The batch is flushed when it comes to so many bytes; 1 to `maxPendingBytes`. Default 1 MiB. */
  readonly maxBatchBytes?: number;
  /**
   * Appended and not yet written, in bytes: beyond it appends are refused with `WAL_BACKPRESSURE`; 1 to 1 GiB. Default
   * 64 MiB.
   */
  readonly maxPendingBytes?: number;
  /**
   * Before more bytes than these are written and not durable, the writer syncs by itself. With `framed`, a torn tail is
   * never longer, and what is longer is refused as `WAL_CORRUPT` when the file is opened. It also bounds the frame: at most
   * so long, less one block. At least two blocks, at most 1 GiB. The same for one file always. Default 8 MiB.
   *
   * Without `framed` there is no bound, unless it is given. Then no append is longer, and opening writes so many bytes at
   * the end of the file again and syncs them: what is found is durable on return, whatever became of earlier syncs, if the
   * file was always written with it.
   */
  readonly maxUnsyncedBytes?: number;
}

/** The options with their defaults filled in, but for the backend. */
export interface WriterSettings {
  readonly path: string;
  readonly create: boolean;
  readonly framed: boolean;
  readonly direct: boolean;
  readonly padGroups: boolean;
  readonly blockBytes: number;
  readonly maxBatchBytes: number;
  readonly maxPendingBytes: number;
  readonly maxUnsyncedBytes: number;
  /** Whether there is never more that is written and not durable: always with `framed`. */
  readonly bounded: boolean;
}

const MEBIBYTE = 1024 * 1024;

/** No memory for a write is larger, and no append longer. */
export const GIBIBYTE = 1024 * MEBIBYTE;

const KNOWN = optionNames<PortableWalWriterOptions>({
  io: true,
  create: true,
  framed: true,
  direct: true,
  padGroups: true,
  blockBytes: true,
  maxBatchBytes: true,
  maxPendingBytes: true,
  maxUnsyncedBytes: true,
});

/** Checks path and options, and fills in the defaults. @throws `TypeError`, `RangeError` with Node's codes */
export function checkWriterOptions(path: string, options: PortableWalWriterOptions): WriterSettings {
  checkPath('path', path);
  const {
    create = true,
    framed = false,
    direct = false,
    padGroups = false,
    blockBytes = DEFAULT_BLOCK_BYTES,
    maxPendingBytes = 64 * MEBIBYTE,
    maxUnsyncedBytes,
  } = checkOptions('options', options, KNOWN);
  checkInteger('maxPendingBytes', maxPendingBytes, 1, GIBIBYTE);
  const maxBatchBytes = options.maxBatchBytes ?? Math.min(MEBIBYTE, maxPendingBytes);
  if (!checkBoolean('framed', framed)) {
    if (checkBoolean('padGroups', padGroups)) throw outOfRange('padGroups', 'false unless framed is true', padGroups);
  }
  return {
    path,
    create: checkBoolean('create', create),
    framed,
    direct: checkBoolean('direct', direct),
    padGroups: checkBoolean('padGroups', padGroups),
    blockBytes: checkBlockBytes('blockBytes', blockBytes),
    maxBatchBytes: checkInteger('maxBatchBytes', maxBatchBytes, 1, maxPendingBytes),
    maxPendingBytes,
    maxUnsyncedBytes: checkUnsyncedBytes(maxUnsyncedBytes, blockBytes),
    bounded: framed || maxUnsyncedBytes !== undefined,
  };
}

/** Returns how long a torn tail may be, the default when nothing is given. @throws `TypeError`, `RangeError` */
export function checkUnsyncedBytes(value: unknown, blockBytes: number): number {
  return value === undefined ? 8 * MEBIBYTE : checkInteger('maxUnsyncedBytes', value, 2 * blockBytes, GIBIBYTE);
}

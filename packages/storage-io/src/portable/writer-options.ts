import { DEFAULT_BLOCK_BYTES } from '@walstack/codec';
import {
  checkBlockBytes,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPath,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import type { StorageIoName } from '../backends/open-storage-io.js';
import { checkOwnMode, FILE_MODE_DEFAULT } from '../engine/arguments.js';
import type { StorageIo } from '../storage-io.js';

/** How a {@link PortableWalWriter} is opened. */
export interface PortableWalWriterOptions {
  /**
   * The backend. One that is passed stays open when the writer is closed; one that is named belongs to the writer.
   * Default `'auto'`: what `openStorageIo` chooses; for `openSync` one that can wait.
   */
  readonly io?: StorageIo | StorageIoName;
  /** Create the file when it does not exist. Default `true`; with `false` a missing file is `WAL_NOT_FOUND`. */
  readonly create?: boolean;
  /**
   * The permissions of the file where the writer makes it: the bits of `chmod`, whatever the umask; at least 0o600. An
   * existing file keeps its own. Default `0o600`: its owner only.
   */
  readonly fileMode?: number;
  /**
   * The file contains frames and nothing else: opening finds and cuts off a torn tail, and `append` and `appendBatched`
   * are refused. Default `false`.
   */
  readonly framed?: boolean;
  /** Request direct I/O. `direct` of the writer shows whether the file has it. Default `false`. */
  readonly direct?: boolean;
  /**
   * Pad every write to the end of its block, so that a block with acknowledged data is never written again; this takes
   * more space. Only with `framed`, and there always on with direct I/O. Default `false`.
   */
  readonly padGroups?: boolean;
  /**
   * Block size of the file, a power of two from 512 to 65,536 bytes: no frame starts in the last 7 bytes of a block.
   * Always the same for one file. Default 4096.
   */
  readonly blockBytes?: number;
  /** The batch is flushed when it reaches this many bytes; 1 to `maxPendingBytes`. Default 1 MiB. */
  readonly maxBatchBytes?: number;
  /**
   * The maximum of bytes appended and not yet written: above it appends are refused with `WAL_BACKPRESSURE`; 1 to 1
   * GiB. Default 64 MiB.
   */
  readonly maxPendingBytes?: number;
  /**
   * The writer syncs by itself before more bytes than these are written and not durable. With `framed`, a torn tail is
   * therefore never longer, and opening refuses a longer one as `WAL_CORRUPT`. A frame is at most this long, less one
   * block. At least two blocks, at most 1 GiB. Always the same for one file. Default 8 MiB.
   *
   * Without `framed` there is no such bound unless it is set. Then no append may be longer, and opening rewrites this
   * many bytes at the end of the file and syncs them: what is in the file is durable on return, even if earlier syncs
   * failed, provided that the file was always written with this option.
   */
  readonly maxUnsyncedBytes?: number;
}

/** The options with their defaults filled in, without the backend. */
export interface WriterSettings {
  readonly path: string;
  readonly create: boolean;
  readonly fileMode: number;
  readonly framed: boolean;
  readonly direct: boolean;
  readonly padGroups: boolean;
  readonly blockBytes: number;
  readonly maxBatchBytes: number;
  readonly maxPendingBytes: number;
  readonly maxUnsyncedBytes: number;
  /** Whether `maxUnsyncedBytes` is observed: always with `framed`. */
  readonly bounded: boolean;
}

const MEBIBYTE = 1024 * 1024;

/** The maximum size of a write, and of an append. */
export const GIBIBYTE = 1024 * MEBIBYTE;

const KNOWN = optionNames<PortableWalWriterOptions>({
  io: true,
  create: true,
  fileMode: true,
  framed: true,
  direct: true,
  padGroups: true,
  blockBytes: true,
  maxBatchBytes: true,
  maxPendingBytes: true,
  maxUnsyncedBytes: true,
});

/** Checks path and options, and fills in the defaults. @throws `TypeError`, `RangeError` with Node's codes */
export function checkWriterOptions(path: string | URL, options: PortableWalWriterOptions): WriterSettings {
  const checkedPath = checkPath('path', path);
  const {
    create = true,
    fileMode = FILE_MODE_DEFAULT,
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
    path: checkedPath,
    create: checkBoolean('create', create),
    fileMode: checkOwnMode('fileMode', fileMode, FILE_MODE_DEFAULT),
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

/** Returns the maximum length of a torn tail, with its default. @throws `TypeError`, `RangeError` */
export function checkUnsyncedBytes(value: unknown, blockBytes: number): number {
  return value === undefined ? 8 * MEBIBYTE : checkInteger('maxUnsyncedBytes', value, 2 * blockBytes, GIBIBYTE);
}

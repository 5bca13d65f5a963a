import type { Lsn } from '@walstack/codec';
import { checkBoolean, checkInteger, checkLsn, checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { OnHole, ReplayDirectoryOptions } from '@walstack/mmap-reader';
import { checkDecoding, checkFrom, checkOnHole, checkOnProgress } from '@walstack/mmap-reader/internal';
import {
  type CheckedFilter,
  checkFilter,
  type QuarantinePosition,
  type ReadFrom,
  type RecordFilter,
  type WalRecord,
} from '@walstack/segmented';
import { checkPosition } from '@walstack/segmented/internal';
import type { StorageIo } from '@walstack/storage-io';
import { checkSignal } from '@walstack/storage-io/internal';
import type { Abortable } from '../commit/aborting.js';

/** What an import has done so far: everything that it counts is durable. */
export interface ImportReport {
  /** Records that were imported. */
  readonly records: number;
  /** Records that were read and left out. */
  readonly leftOut: number;
  /** Bytes of the payloads that were imported. */
  readonly payloadBytes: number;
  /**
   * The LSN of the last record of the source that was imported or left out; as long as there was none, the one before the first that
   * was to be read. An import that did not come to its end continues with `from: sourceLsn + 1`.
   */
  readonly sourceLsn: Lsn;
  /**
   * The name of the file in a quarantine that has that record, as several may have records with the same LSN. That import continues
   * with `after: { file: sourceFile, lsn: sourceLsn }`. `undefined` for other sources, and as long as there was no record.
   */
  readonly sourceFile?: string;
  /** The first and the last LSN that imported records got in this log; 0 when there is none. */
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
}

/** What is imported, and how. */
export interface ImportOptions
  extends RecordFilter,
    Abortable,
    Pick<ReplayDirectoryOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'> {
  /** The first LSN of the source, `'first'`, or the first one behind the `'checkpoint'` of a log. Default `'first'`. */
  readonly from?: ReadFrom;
  /**
   * In a quarantine, the record behind which to go on: the `sourceFile` and the `sourceLsn` of an import that did not come to
   * its end. Files before that one, and records up to that one, are left out. Default: none.
   */
  readonly after?: QuarantinePosition;
  /** Whether to import a record that the other options choose. Default: all of them. */
  readonly matches?: (record: WalRecord) => boolean;
  /**
   * Whether the source is a directory of `quarantine/`, with what one salvage has taken out of a log, and not a log or a backup: then
   * each segment file in it is read by itself, around all damage. Default `false`.
   */
  readonly quarantine?: boolean;
  /**
   * What to do where records of the source are lost, as it was salvaged around them: `'throw'`, the default, ends the import with
   * `WAL_HOLE` once everything before is durable; `'skip'` continues behind them. Not for a quarantine.
   */
  readonly onHole?: OnHole;
  /** About so many bytes of payloads are made durable together, 1 to 1 GiB, and at most 65,536 records. Default 1 MiB. */
  readonly groupBytes?: number;
  /** The backend with the source. Default: that of the log. */
  readonly io?: StorageIo;
  /** Called when a group is durable. An error that it throws ends the import, which rejects with it. Default: not called. */
  readonly onProgress?: (report: ImportReport) => void;
}

const OPTIONS = optionNames<ImportOptions>({
  from: true,
  after: true,
  to: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  toTimeMs: true,
  matches: true,
  quarantine: true,
  onHole: true,
  groupBytes: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
  io: true,
  signal: true,
  onProgress: true,
});

const GROUP_BYTES = 1024 * 1024;
const GROUP_BYTES_MAX = 1024 * 1024 * 1024;

/** Options of an import that were checked. */
export interface CheckedImport {
  readonly from: ReadFrom;
  readonly to: Lsn;
  readonly filter: CheckedFilter['matches'];
  readonly matches: ImportOptions['matches'];
  readonly quarantine: boolean;
  readonly after: QuarantinePosition | undefined;
  readonly onHole: OnHole;
  readonly groupBytes: number;
  /** As they were given: the defaults are those of the log. */
  readonly decoding: Pick<ImportOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'>;
  readonly io: StorageIo | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ImportOptions['onProgress'];
}

/** @param directory - the source @throws `TypeError`, `RangeError` with Node's codes */
export function checkImport(options: ImportOptions, directory: string): CheckedImport {
  const {
    from = 'first',
    to,
    after,
    matches,
    quarantine = false,
    onHole = 'throw',
    groupBytes = GROUP_BYTES,
    keyRing,
    allowPlaintext,
    maxPayloadBytes,
    io,
    signal,
    onProgress,
    ...filter
  } = checkOptions('options', options, OPTIONS);
  if (matches !== undefined && typeof matches !== 'function') throw invalidType('matches', 'a function', matches);
  if (io !== undefined && typeof io?.submitRead !== 'function') throw invalidType('io', 'a StorageIo', io);
  const decoding = {
    ...(keyRing === undefined ? {} : { keyRing }),
    ...(allowPlaintext === undefined ? {} : { allowPlaintext }),
    ...(maxPayloadBytes === undefined ? {} : { maxPayloadBytes }),
  };
  checkDecoding(decoding);
  checkFrom('from', from);
  return {
    from: checkBoolean('quarantine', quarantine) && from === 'checkpoint' ? notOfQuarantine(from) : from,
    to: to === undefined ? Number.MAX_SAFE_INTEGER : checkLsn('to', to),
    filter: checkFilter(filter).matches,
    matches,
    quarantine,
    after: after === undefined ? undefined : quarantine ? checkPosition(after, directory) : onlyOfQuarantine(after),
    onHole: checkOnHole('onHole', onHole),
    groupBytes: checkInteger('groupBytes', groupBytes, 1, GROUP_BYTES_MAX),
    decoding,
    io,
    signal: checkSignal(signal),
    onProgress: checkOnProgress('onProgress', onProgress),
  };
}

/** Other sources have one record with an LSN. */
function onlyOfQuarantine(after: unknown): never {
  throw invalidType('after', 'undefined for a source that is no quarantine, which continues with from', after);
}

/** A quarantine has no checkpoint. */
function notOfQuarantine(from: string): never {
  throw invalidType('from', "an LSN or 'first' for a quarantine", from);
}

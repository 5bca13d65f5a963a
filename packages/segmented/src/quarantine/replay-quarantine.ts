import { basename, dirname, resolve } from 'node:path';
import type { Lsn } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  invalidType,
  optionNames,
} from '@walstack/codec/internal';
import type { DecodingSettings, LongCallOptions, WalRecord } from '@walstack/mmap-reader/internal';
import {
  checkDecoding,
  checkLongCall,
  checkOnProgress,
  forEachItem,
  items,
  itemsSync,
} from '@walstack/mmap-reader/internal';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import {
  type QuarantinePlan,
  type QuarantinePosition,
  QuarantineReader,
  type UnreadablePart,
} from './quarantine-reader.js';

/** What to read of a quarantine, and how. */
export interface ReplayQuarantineOptions extends DecodingSettings, LongCallOptions {
  /** The first LSN to return. Default: the first one of each file. */
  readonly from?: Lsn;
  /** The last LSN to return. Default: all. */
  readonly to?: Lsn;
  /** A record behind which to go on: files before its own, and records up to it, are not returned. Default: none. */
  readonly after?: QuarantinePosition;
  /** Only records of these types. Default: all. */
  readonly types?: Iterable<number>;
  /**
   * Return copies of meta and payload, which never change. With `false` they are views, valid only until the next record is
   * read. Default `true`.
   */
  readonly copy?: boolean;
  /** Called for each part of a file that cannot be read. An error that it throws ends the replay. Default: not called. */
  readonly onUnreadable?: (part: UnreadablePart) => void;
  /** The backend with the files. Default: files, by blocking calls. */
  readonly io?: StorageIo;
}

const OPTIONS = optionNames<ReplayQuarantineOptions>({
  from: true,
  to: true,
  after: true,
  types: true,
  copy: true,
  onUnreadable: true,
  signal: true,
  onProgress: true,
  io: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

/**
 * Reads the records that a salvage has taken out of a log: every segment file in a directory of `quarantine/` by itself, from
 * the lowest number to the highest, around all damage in it, and up to where the next segment of the log began, as far as the
 * report of the salvage and the other files show that, those of earlier salvages beside it included: records that `truncateAfter`
 * had removed are not returned. Nothing is written. A record may be in several files, and in the log as well; batches of which a
 * record cannot be read are left out as a whole.
 *
 * ```ts
 * for (const record of replayQuarantine(salvage.quarantine)) console.log(record.lsn);
 * ```
 *
 * Iterating, and `forEach`, throws `WAL_NOT_FOUND` where there is no segment and no report of a salvage, `WAL_UNSUPPORTED_VERSION`, `WAL_IO_FAILED`,
 * `WAL_BAD_KEY` and `WAL_TOO_LARGE` for records that cannot be decoded, `WAL_ABORTED`. With a `keyRing`, records in the clear need
 * `allowPlaintext`, as nothing proves that they are older than the encryption of the log.
 *
 * @param directory - that of one salvage: `recovery.salvage.quarantine`; a path or a `file:` URL
 * @throws `TypeError`, `RangeError` for wrong arguments
 */
export function replayQuarantine(directory: string | URL, options: ReplayQuarantineOptions = {}): QuarantineReplay {
  const { plan, io } = checkQuarantine(directory, options);
  return QuarantineReplay['make'](plan, io);
}

/** A replay made by {@link replayQuarantine}: iterable with `for … of`, which blocks the thread, and with `for await … of`. */
export class QuarantineReplay implements Iterable<WalRecord>, AsyncIterable<WalRecord> {
  readonly #plan: QuarantinePlan;
  readonly #io: StorageIo | undefined;

  private constructor(plan: QuarantinePlan, io: StorageIo | undefined) {
    this.#plan = plan;
    this.#io = io;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `replayQuarantine` uses it.
  private static make(plan: QuarantinePlan, io: StorageIo | undefined): QuarantineReplay {
    return new QuarantineReplay(plan, io);
  }

  /**
   * Calls `f` with every record, and awaits a promise that it returns. What `f` throws ends the replay and is rethrown.
   *
   * @returns how many records there were
   */
  async forEach(f: (record: WalRecord) => unknown): Promise<number> {
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    return await forEachItem(() => this.#begin(false), f);
  }

  [Symbol.iterator](): Generator<WalRecord, void, undefined> {
    return itemsSync(() => this.#begin(true));
  }

  [Symbol.asyncIterator](): AsyncGenerator<WalRecord, void, undefined> {
    return items(() => this.#begin(false));
  }

  #begin(blocking: boolean): QuarantineReader {
    const io = this.#io ?? createSyncFsStorageIo();
    return new QuarantineReader(io, { ...this.#plan, blocking }, () => {
      // Nothing is in flight on a backend with blocking calls.
      if (io !== this.#io) void io.dispose();
    });
  }
}

/** @param directory - the quarantine, which the path of a file may begin with @throws `TypeError`, `RangeError` with Node's codes */
export function checkPosition(after: unknown, directory: string): QuarantinePosition {
  const { file, lsn } = checkOptions<QuarantinePosition>('after', after as QuarantinePosition, POSITION);
  if (typeof file !== 'string') throw invalidType('after.file', 'a string', file);
  const isInside = basename(file) !== file && resolve(dirname(file)) === resolve(directory);
  return { file: isInside ? basename(file) : file, lsn: checkInteger('after.lsn', lsn) };
}

const POSITION = optionNames<QuarantinePosition>({ file: true, lsn: true });

/** The reader of a replay, with the frames that it reads; on a backend that the caller has. @throws like {@link replayQuarantine} */
export function readerOfQuarantine(
  directory: string | URL,
  options: ReplayQuarantineOptions & { readonly io: StorageIo },
): QuarantineReader {
  const { plan, io } = checkQuarantine(directory, options);
  return new QuarantineReader(io as StorageIo, plan, () => {});
}

function checkQuarantine(
  directory: string | URL,
  options: ReplayQuarantineOptions,
): { readonly plan: QuarantinePlan; readonly io: StorageIo | undefined } {
  const {
    from = 1,
    to = Number.MAX_SAFE_INTEGER,
    after,
    types,
    copy = true,
    onUnreadable,
    signal,
    onProgress,
    io,
    ...decoding
  } = checkOptions('options', options, OPTIONS);
  if (io !== undefined && typeof io?.submitRead !== 'function') throw invalidType('io', 'a StorageIo', io);
  checkOnProgress('onUnreadable', onUnreadable);
  const path = checkPath('directory', directory);
  const plan = {
    directory: path,
    from: checkLsn('from', from),
    to: checkLsn('to', to),
    after: after === undefined ? undefined : checkPosition(after, path),
    types:
      types === undefined
        ? undefined
        : new Set(Array.from(types, (type) => checkInteger('types', type, 0, 0xffff_ffff))),
    copy: checkBoolean('copy', copy),
    onUnreadable,
    decoding: checkDecoding(decoding),
    call: checkLongCall(signal, onProgress),
    blocking: false,
  };
  return { plan, io };
}

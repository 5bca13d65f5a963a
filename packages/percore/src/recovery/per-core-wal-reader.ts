import { join } from 'node:path';
import { type SegmentHeader, WalError } from '@walstack/codec';
import { checkInteger, checkOptions, checkPath, notConstructible, optionNames } from '@walstack/codec/internal';
import {
  LogTail,
  type LogTailOptions,
  type LongCallOptions,
  type ResumePoint,
  type WalProgress,
  type WalRecord,
} from '@walstack/mmap-reader';
import {
  CallWatch,
  checkLongCall,
  READING_ABORTED,
  readHeader,
  sortFiles,
  throwIfAborted,
} from '@walstack/mmap-reader/internal';
import type { SegmentedWalConfig } from '@walstack/segmented';
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { backendOf, nextTurn, Pace, releaseBackend, WAITING_STRIDE_MAX, watched } from '@walstack/storage-io/internal';
import { checkCoreId, coreDirectory } from '../core/core-directory.js';
import type { CoreEntry } from '../core/entries/entry.js';
import { EntryDecoder } from '../core/entries/entry-reader.js';
import { logConfigOf } from '../options.js';
import { readSalvageNote, unfinishedSalvage } from '../salvage/salvage-note.js';
import { type EndOfLog, endOfLog } from './end-of-log.js';

/** How the log of a core is read. */
export interface PerCoreWalReaderOptions
  extends Pick<
    LogTailOptions,
    'from' | 'durableOnly' | 'allowPlaintext' | 'maxPayloadBytes' | 'signal' | 'onProgress'
  > {
  /** The keys of encrypted segments. */
  readonly keyRing?: SegmentedWalConfig['keyRing'];
  /** The backend. An instance stays open when the reader is closed. Default `'auto'`. */
  readonly io?: SegmentedWalConfig['io'];
  /** The last epoch that is read. Default: all. */
  readonly toEpoch?: number;
}

/**
 * Why there are no further entries: `'epoch'`, the next one is of a later epoch than asked for; `'corrupt'`, an acknowledged
 * entry cannot be read, and `WAL_CORRUPT` was thrown; `'failed'`, another error was thrown, and the next call begins at the
 * same entry; or the kind of bytes after the last entry: `'end'`, nothing but zeros, or what was written meanwhile;
 * `'torn'`, an incomplete frame; `'checksum'`, a frame whose checksum does not match. In a reused file (option
 * `recycleSegments`) the last two may also be earlier contents, until the file is cut to its size.
 */
export type ReaderStop = EndOfLog | 'epoch' | 'corrupt' | 'failed';

/** What is not reported. */
const NO_PROGRESS: WalProgress = { phase: 'search', bytes: 0, totalBytes: 0, records: 0 };

const OPTIONS = optionNames<PerCoreWalReaderOptions>({
  from: true,
  durableOnly: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
  signal: true,
  onProgress: true,
  io: true,
  toEpoch: true,
});

/**
 * Reads the log of one core without a lock and without changing anything, while its writer appends or after a crash before
 * recovery. At the end of the log it gives the reason in `stopReason`, and a later call continues with new entries.
 */
export class PerCoreWalReader implements Iterable<CoreEntry>, AsyncIterable<CoreEntry> {
  readonly coreId: number;
  /** The directory of the core's log. */
  readonly directory: string;
  /** The directory of the per-core log. */
  readonly #perCoreDirectory: string;
  readonly #io: StorageIo;
  readonly #ownsIo: boolean;
  readonly #tail: LogTail;
  readonly #decoder: EntryDecoder;
  readonly #signal: LongCallOptions;
  #stopReason: ReaderStop | undefined;
  #isAdvancing = false;
  #closing: Promise<void> | undefined;

  private constructor(
    io: StorageIo,
    ownsIo: boolean,
    coreId: number,
    perCoreDirectory: string,
    options: Omit<PerCoreWalReaderOptions, 'io' | 'toEpoch'>,
    toEpoch: number,
  ) {
    if (toEpoch === undefined)
      throw notConstructible('PerCoreWalReader', 'use await PerCoreWalReader.open(coreId, directory)');
    const directory = coreDirectory(perCoreDirectory, coreId);
    this.coreId = coreId;
    this.#perCoreDirectory = perCoreDirectory;
    this.directory = directory;
    this.#io = io;
    this.#ownsIo = ownsIo;
    this.#tail = new LogTail(io, directory, logConfigOf(options));
    this.#decoder = new EntryDecoder(coreId, directory, toEpoch);
    this.#signal = checkLongCall(options.signal, undefined);
  }

  /**
   * Opens the log of a core for reading. Close the reader afterwards.
   *
   * @param directory - of the per-core log: a path or a `file:` URL
   * @throws `WAL_NOT_FOUND`, `WAL_BAD_HEADER` when the log belongs to another core or to none, `WAL_UNSUPPORTED_VERSION`;
   * `WAL_CORRUPT` (`'salvage'`) while a salvage of the per-core log has not ended;
   * `TypeError`, `RangeError` for wrong arguments
   */
  static async open(
    coreId: number,
    directory: string | URL,
    options: PerCoreWalReaderOptions = {},
  ): Promise<PerCoreWalReader> {
    const { io, owned, path, make } = prepared(coreId, directory, options, 'async');
    try {
      await runAsync(io, checkCore(io, coreId, path));
      return new PerCoreWalReader(io, owned, ...make);
    } catch (error) {
      if (owned) await io.dispose();
      throw error;
    }
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(coreId: number, directory: string | URL, options: PerCoreWalReaderOptions = {}): PerCoreWalReader {
    const { io, owned, path, make } = prepared(coreId, directory, options, 'wait');
    try {
      runSync(io, checkCore(io, coreId, path));
      return new PerCoreWalReader(io, owned, ...make);
    } catch (error) {
      if (owned) void io.dispose();
      throw error;
    }
  }

  /** Why the last call found no further entries; `undefined` while there are some. */
  get stopReason(): ReaderStop | undefined {
    return this.#stopReason;
  }

  /** The LSN of the next entry; `undefined` before the first read. */
  get nextLsn(): number | undefined {
    return this.#tail.nextLsn;
  }

  /**
   * Where another reader resumes (`from`) after the entries that this one has returned. Opening there fails if any of these
   * was cut off since. `undefined` before the first read.
   */
  get resumePoint(): ResumePoint | undefined {
    return this.#tail.resumePoint;
  }

  /**
   * The next of the entries that {@link advance} has found; `undefined` when it must be called again.
   *
   * @throws `WAL_CORRUPT`, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_TOO_LARGE` when it cannot be decoded: it remains the
   * next entry
   */
  next(): CoreEntry | undefined {
    if (this.#decoder.isPastLastEpoch) return undefined;
    try {
      const record = this.#tail.next();
      return record === undefined ? undefined : this.#decode(record);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Looks for further entries.
   *
   * @returns `false` when there are none now, with the reason in {@link stopReason}; `true` when `next()` may have some
   * @throws `WAL_CORRUPT` when an acknowledged entry cannot be read, and while a salvage of the per-core log has not ended
   * (`'salvage'`); `WAL_TRUNCATED` when the next entry was removed; `WAL_CLOSED`; `WAL_STATE` during another call of it,
   * which is not affected; `WAL_ABORTED`
   */
  async advance(): Promise<boolean> {
    this.#throwIfAdvancing();
    if (this.#isPastLastEpoch()) return false;
    this.#isAdvancing = true;
    try {
      if (await this.#tail.advance()) return this.#clearStopReason();
      this.#stopReason = await runAsync(this.#io, this.#findStopReason());
      return false;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isAdvancing = false;
    }
  }

  /** Like {@link advance}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  advanceSync(): boolean {
    this.#throwIfAdvancing();
    if (this.#isPastLastEpoch()) return false;
    this.#isAdvancing = true;
    try {
      if (this.#tail.advanceSync()) return this.#clearStopReason();
      this.#stopReason = runSync(this.#io, this.#findStopReason());
      return false;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#isAdvancing = false;
    }
  }

  /** The entries from the current place of the reader to the end of the log. */
  *[Symbol.iterator](): Generator<CoreEntry, void, undefined> {
    while (this.advanceSync()) for (let entry = this.next(); entry !== undefined; entry = this.next()) yield entry;
  }

  /** The same entries, on any backend; the event loop gets its turn at least every 10 ms. */
  async *[Symbol.asyncIterator](): AsyncGenerator<CoreEntry, void, undefined> {
    const pace = new Pace(WAITING_STRIDE_MAX);
    while (await this.advance()) {
      for (let entry = this.next(); entry !== undefined; entry = this.next()) {
        yield entry;
        throwIfAborted(this.#signal);
        if (pace.isDue()) await nextTurn();
      }
    }
  }

  /** Closes the reader. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the reader; a backend that it opened itself is disposed asynchronously. */
  [Symbol.dispose](): void {
    void this.close();
  }

  /** Closes the reader: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#tail.close();
    await releaseBackend({ io: this.#io, owned: this.#ownsIo });
  }

  #decode(record: WalRecord): CoreEntry | undefined {
    let entry: CoreEntry | undefined;
    try {
      entry = this.#decoder.decode(record);
      return entry;
    } finally {
      if (entry === undefined) this.#tail.putBack();
    }
  }

  #findStopReason(): IoRoutine<EndOfLog> {
    const watch = CallWatch.for(this.#signal, READING_ABORTED, () => NO_PROGRESS);
    return watch === undefined ? this.#stopReasonNow() : watched(this.#stopReasonNow(), watch);
  }

  *#stopReasonNow(): IoRoutine<EndOfLog> {
    yield* throwIfHalfSalvaged(this.#io, this.#perCoreDirectory);
    return yield* endOfLog(this.#io, this.directory);
  }

  #throwIfAdvancing(): void {
    if (!this.#isAdvancing) return;
    throw new WalError(
      'WAL_STATE',
      `the reader of ${this.directory} is already looking for further entries: await that call first`,
      { path: this.directory, state: 'advancing' },
    );
  }

  #clearStopReason(): true {
    this.#stopReason = undefined;
    return true;
  }

  #isPastLastEpoch(): boolean {
    if (!this.#decoder.isPastLastEpoch) return false;
    this.#stopReason = 'epoch';
    return true;
  }

  #failed(error: unknown): unknown {
    this.#stopReason = WalError.is(error, 'WAL_CORRUPT') ? 'corrupt' : 'failed';
    return error;
  }
}

function prepared(coreId: number, directory: string | URL, options: PerCoreWalReaderOptions, needs: 'async' | 'wait') {
  checkCoreId('coreId', coreId);
  const path = checkPath('directory', directory);
  const { io: given, toEpoch, ...tail } = checkOptions('options', options, OPTIONS);
  const last = toEpoch === undefined ? Number.POSITIVE_INFINITY : checkInteger('toEpoch', toEpoch, 0);
  const { io, owned } = backendOf(given, needs);
  return { io, owned, path, make: [coreId, path, tail, last] as const };
}

/** @throws `WAL_CORRUPT` during an unfinished salvage, which may be about to discard entries of the log */
function* throwIfHalfSalvaged(io: StorageIo, directory: string): IoRoutine<void> {
  if ((yield* readSalvageNote(io, directory)) !== undefined) throw unfinishedSalvage(directory);
}

/** The header of a segment. A segment gets its name only after its header is durable: no crash leaves one that cannot be read. */
function* headerOf(io: StorageIo, path: string): IoRoutine<SegmentHeader> {
  try {
    return yield* readHeader(io, path);
  } catch (error) {
    if (!WalError.is(error, 'WAL_BAD_HEADER')) throw error;
    const facts = { path, offset: 0, reason: 'header' };
    throw new WalError('WAL_CORRUPT', `${error.message}; nothing was changed`, facts, { cause: error });
  }
}

/** @throws `WAL_NOT_FOUND`, `WAL_BAD_HEADER`, `WAL_CORRUPT` */
function* checkCore(io: StorageIo, coreId: number, perCoreDirectory: string): IoRoutine<void> {
  const directory = coreDirectory(perCoreDirectory, coreId);
  const newest = sortFiles(io.list(directory)).segments.at(-1);
  if (newest === undefined) {
    throw new WalError('WAL_NOT_FOUND', `no log of core ${coreId} at ${directory}`, { path: directory });
  }
  const path = join(directory, newest.name);
  const header = yield* headerOf(io, path);
  if (header.coreId === coreId) return yield* throwIfHalfSalvaged(io, perCoreDirectory);
  const owner = header.coreId === undefined ? 'no core' : `core ${header.coreId}`;
  throw new WalError('WAL_BAD_HEADER', `${path} belongs to ${owner}, not to core ${coreId}`, {
    path,
    reason: 'other-core',
  });
}

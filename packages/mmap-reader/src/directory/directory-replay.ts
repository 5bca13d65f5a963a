import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  invalidType,
  type Lsn,
  optionNames,
  type PayloadDecoder,
  WalError,
} from '@walstack/codec';
import { createSyncFsStorageIo, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { checkDecoding, type DecodingSettings } from '../frames/decoding.js';
import type { Frames } from '../frames/frames.js';
import { type CursorSource, RecordCursor, type StopReason } from '../frames/record-cursor.js';
import type { WalRecord } from '../frames/wal-record.js';
import { MOST_WORKERS, ScanAhead } from '../parallel-scan/scan-ahead.js';
import { type DirectoryPlan, DirectoryReader, type ReplayProgress } from './directory-reader.js';

/** How a directory is replayed. */
export interface ReplayDirectoryOptions extends DecodingSettings {
  /** The first LSN wanted; `'first'`, the default, is the first one kept. */
  readonly from?: Lsn | 'first';
  /** The last LSN wanted. Default: the last one that can be read when the replay comes to it. */
  readonly to?: Lsn;
  /** Only records of these types, the application's own numbers. Default all. */
  readonly types?: Iterable<number>;
  /**
   * Threads that verify checksums ahead, a sealed segment each, 0 to 32; what is given out keeps its order. For promises
   * only. Default 0: everything in the calling thread.
   */
  readonly workers?: number;
  /** Ends the replay, with its reason, between one piece of a file and the next, and while it waits for a key service. */
  readonly signal?: AbortSignal;
  /** Told after each piece of a file, of some hundred KiB, and after each file. */
  readonly onProgress?: (progress: ReplayProgress) => void;
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views and good only until the next record is asked for. Default `true`.
   */
  readonly copy?: boolean;
  /** The backend that the log is on. Default: files, by blocking calls. */
  readonly io?: StorageIo;
}

const OPTIONS = optionNames<ReplayDirectoryOptions>({
  from: true,
  to: true,
  types: true,
  workers: true,
  signal: true,
  onProgress: true,
  copy: true,
  io: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

/**
 * The records of a log's directory, in order, without a lock and without changing anything: sealed segments mapped where
 * they can be, the newest one by plain reads. It may be a log that is being written; then it goes as far as there was
 * something to read when it came to the segment that was the newest when it began.
 *
 * Nothing is read before it is iterated over, and each iteration begins anew. An incomplete batch or a torn tail at the
 * end is left out; something acknowledged that cannot be read is an error:
 *
 * `WAL_CORRUPT` naming file, offset and LSN; `WAL_TRUNCATED` with `firstLsn` when a record was removed from the log, before
 * or meanwhile; `WAL_NOT_FOUND` where there is no log; `WAL_UNSUPPORTED_VERSION`; `WAL_IO_FAILED`; `WAL_BAD_KEY`,
 * `WAL_TOO_LARGE` for records that cannot be decoded.
 *
 * @throws `TypeError`, `RangeError` for wrong arguments
 */
export function replayDirectory(directory: string, options: ReplayDirectoryOptions = {}): DirectoryReplay {
  const {
    from = 'first',
    to = Number.MAX_SAFE_INTEGER,
    types,
    workers = 0,
    signal,
    onProgress,
    copy = true,
    io,
    ...decoding
  } = checkOptions('options', options, OPTIONS);
  checkInteger('workers', workers, 0, MOST_WORKERS);
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('onProgress', 'a function', onProgress);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidType('signal', 'an AbortSignal', signal);
  if (io !== undefined && typeof io?.submitRead !== 'function') throw invalidType('io', 'a StorageIo', io);
  const plan = {
    directory: checkPath('directory', directory),
    from: from === 'first' ? from : checkLsn('from', from),
    to: checkLsn('to', to),
    types: checkTypes(types),
    copy: checkBoolean('copy', copy),
    decoding: checkDecoding(decoding),
    signal,
    onProgress,
    ahead: undefined,
    blocking: false,
  };
  return new DirectoryReplay(plan, workers, io);
}

/**
 * A replay made by {@link replayDirectory}: iterable with `for … of`, and with `for await … of`, which lets other things
 * happen between one piece of a file and the next.
 */
export class DirectoryReplay implements Iterable<WalRecord>, AsyncIterable<WalRecord> {
  readonly #plan: DirectoryPlan;
  readonly #workers: number;
  readonly #io: StorageIo | undefined;

  /** For {@link replayDirectory}. */
  constructor(plan: DirectoryPlan, workers: number, io: StorageIo | undefined) {
    this.#plan = plan;
    this.#workers = workers;
    this.#io = io;
  }

  /**
   * Hands every record to `f`, which is awaited when it returns a promise. What it throws ends the replay and is thrown
   * again.
   *
   * @returns how many records there were
   */
  async forEach(f: (record: WalRecord) => unknown): Promise<number> {
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    const { io, reader, end } = this.#beginAsync();
    let count = 0;
    try {
      while (await runAsync(io, reader.advancing())) {
        for (let record = reader.next(); record !== undefined; record = reader.next()) {
          const result = f(record);
          if (isThenable(result)) await result;
          count++;
        }
      }
      return count;
    } finally {
      end();
    }
  }

  /**
   * Hands a cursor to `f` for every record, always the same one, and makes nothing for a record. What it shows is good until
   * `f` returns.
   *
   * @returns how many records there were
   */
  async scan(f: (cursor: RecordCursor) => void): Promise<number> {
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    const { io, reader, end } = this.#beginAsync();
    const source = new PieceSource(reader);
    const cursor = new RecordCursor(source, this.#plan.types);
    let count = 0;
    try {
      while (await runAsync(io, reader.advancing())) {
        source.isFresh = true;
        for (; cursor.next(); count++) f(cursor);
      }
      return count;
    } finally {
      end();
    }
  }

  /**
   * A cursor before the first record, which blocks the thread and makes nothing for a record. To be closed when it is left
   * before its end. Its `stopReason` is `'end'` then, as all else is thrown.
   *
   * @throws `WAL_UNSUPPORTED` with `workers`, and on a backend that cannot wait; what {@link replayDirectory} says
   */
  cursor(): RecordCursor {
    const source = new DirectorySource(this.#beginSync());
    return new RecordCursor(source, this.#plan.types);
  }

  /** Blocks the thread. @throws like {@link cursor} */
  *[Symbol.iterator](): Generator<WalRecord, void, undefined> {
    const { io, reader, end } = this.#beginSync();
    try {
      while (runSync(io, reader.advancing())) {
        for (let record = reader.next(); record !== undefined; record = reader.next()) yield record;
      }
    } finally {
      end();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WalRecord, void, undefined> {
    const { io, reader, end } = this.#beginAsync();
    try {
      while (await runAsync(io, reader.advancing())) {
        for (let record = reader.next(); record !== undefined; record = reader.next()) yield record;
      }
    } finally {
      end();
    }
  }

  #beginSync(): Begun {
    if (this.#workers > 0) throw unsupported('workers answer on the event loop: use for await … of, forEach or scan');
    return this.#begin({ ...this.#plan, blocking: true });
  }

  #beginAsync(): Begun {
    const workers = this.#workers;
    if (workers === 0) return this.#begin(this.#plan);
    if (this.#io?.capabilities.realFiles === false) {
      throw unsupported(`workers read files, and the ${this.#io.name} backend has none: leave them out`);
    }
    return this.#begin({ ...this.#plan, ahead: (links) => new ScanAhead(links, workers) });
  }

  #begin(plan: DirectoryPlan): Begun {
    const io = this.#io ?? createSyncFsStorageIo();
    const reader = new DirectoryReader(io, plan);
    const end = (): void => {
      reader.close();
      // Nothing is in flight on a backend that completes before the thread goes on.
      if (io !== this.#io) void io.dispose();
    };
    return { io, reader, end };
  }
}

/** An iteration that has begun. */
interface Begun {
  readonly io: StorageIo;
  readonly reader: DirectoryReader;
  readonly end: () => void;
}

/** All frames of a directory, one piece after the other. */
class DirectorySource implements CursorSource {
  readonly #begun: Begun;
  #isOver = false;
  /** Why it ended too early: whoever goes on asking must not take that for the end. */
  #failure: { readonly error: unknown } | undefined;

  constructor(begun: Begun) {
    this.#begun = begun;
  }

  get until(): Lsn {
    return this.#begun.reader.until;
  }

  advance(): Frames | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isOver) return undefined;
    const { io, reader } = this.#begun;
    try {
      if (runSync(io, reader.advancing())) return reader.frames;
    } catch (error) {
      throw this.#failed(error);
    }
    this.close();
    return undefined;
  }

  get decoder(): PayloadDecoder {
    return this.#begun.reader.decoder;
  }

  restore(): boolean {
    return this.#begun.reader.restore();
  }

  stopReason(error: WalError | undefined): StopReason {
    if (error === undefined) return 'end';
    throw this.#failed(error);
  }

  close(): void {
    this.#isOver = true;
    this.#begun.end();
  }

  #failed(error: unknown): unknown {
    this.#failure = { error };
    this.close();
    return error;
  }
}

/** The frames of the piece that the reader has come to. */
class PieceSource implements CursorSource {
  readonly #reader: DirectoryReader;
  isFresh = false;

  constructor(reader: DirectoryReader) {
    this.#reader = reader;
  }

  get until(): Lsn {
    return this.#reader.until;
  }

  advance(): Frames | undefined {
    if (!this.isFresh) return undefined;
    this.isFresh = false;
    return this.#reader.frames;
  }

  get decoder(): PayloadDecoder {
    return this.#reader.decoder;
  }

  restore(): boolean {
    return this.#reader.restore();
  }

  stopReason(error: WalError | undefined): StopReason | undefined {
    if (error !== undefined) throw error;
    return undefined;
  }

  /** It is the replay that ends. */
  close(): void {}
}

function checkTypes(types: Iterable<number> | undefined): ReadonlySet<number> | undefined {
  if (types === undefined) return undefined;
  if (typeof types !== 'object' || types === null || !(Symbol.iterator in types)) {
    throw invalidType('types', 'an array or a set of numbers', types);
  }
  return new Set(Array.from(types, (type) => checkInteger('types', type, 0, 0xffff_ffff)));
}

function unsupported(why: string): WalError {
  return new WalError('WAL_UNSUPPORTED', why, { operation: 'replay' });
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

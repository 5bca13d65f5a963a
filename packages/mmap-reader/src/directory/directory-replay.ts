import { type Lsn, WalError } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  invalidType,
  optionNames,
} from '@walstack/codec/internal';
import { createSyncFsStorageIo, runAsync, type StorageIo } from '@walstack/storage-io';
import { nextTurn, Pace } from '@walstack/storage-io/internal';
import { checkFrom, type ReadFrom } from '../chain/behind-checkpoint.js';
import { checkOnHole, type OnHole } from '../frames/holes.js';
import { ScanAhead, WORKERS_MAX } from '../parallel-scan/scan-ahead.js';
import { checkDecoding, type DecodingSettings } from '../records/decoding.js';
import { makeCursor, type RecordCursor } from '../records/record-cursor.js';
import type { WalRecord } from '../records/wal-record.js';
import { checkLongCall, type LongCallOptions } from '../walk/call-watch.js';
import { forEachItem, items, itemsSync } from '../walk/piece-reader.js';
import { DirectorySource, PieceSource } from './cursor-sources.js';
import { type DirectoryPlan, DirectoryReader } from './directory-reader.js';
import type { ReplayProgress } from './replay-progress.js';

/** How a directory is replayed. */
export interface ReplayDirectoryOptions extends DecodingSettings, LongCallOptions<ReplayProgress> {
  /**
   * The first LSN to return; `'first'`, the default, is the first one in the log, and `'checkpoint'` the first one behind the
   * checkpoint, see {@link ReadFrom}.
   */
  readonly from?: ReadFrom;
  /** The last LSN to return. Default: the last one that is readable when the replay reaches the end. */
  readonly to?: Lsn;
  /** Return only records of these types, which are numbers of the application. Default: all. */
  readonly types?: Iterable<number>;
  /**
   * Threads that verify checksums ahead, one sealed segment each, 0 to 32; records keep their order. Only for
   * asynchronous reading. Default 0: everything in the calling thread.
   */
  readonly workers?: number;
  /**
   * Return copies of meta and payload; copies of up to 2 KiB may share a buffer of 8 KiB, as small buffers of Node.js
   * do. With `false` they are views, valid only until the next record is read. Default `true`.
   */
  readonly copy?: boolean;
  /**
   * What to do where records are lost, in a log that was salvaged around them: `'throw'`, the default, ends the replay with
   * `WAL_HOLE`, whose `firstLsn` and `lastLsn` say which ones, `'skip'` goes on behind them.
   */
  readonly onHole?: OnHole;
  /** The backend with the log. Default: files, by blocking calls. */
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
  onHole: true,
  io: true,
  keyRing: true,
  allowPlaintext: true,
  maxPayloadBytes: true,
});

/**
 * The records of a log's directory, in order, without a lock and without changing anything: sealed segments are mapped
 * where possible, the newest one is read by plain reads. The log may be in use by a writer; then the replay ends with
 * the last record that is readable when it reaches the segment that was the newest at its beginning.
 *
 * Nothing is read before the iteration, and each iteration begins anew. An incomplete batch or a torn tail at the end
 * is left out; something acknowledged that cannot be read is an error:
 *
 * `WAL_CORRUPT` naming file, offset and LSN; `WAL_TRUNCATED` with `firstLsn` when a record was removed from the log, before or
 * during the replay; `WAL_HOLE` with `firstLsn` and `lastLsn` where the log was salvaged around lost records; `WAL_NOT_FOUND`
 * where there is no log; `WAL_UNSUPPORTED_VERSION`; `WAL_IO_FAILED`; `WAL_BAD_KEY`, `WAL_TOO_LARGE` for records that cannot be
 * decoded; `WAL_ABORTED`.
 *
 * @throws `TypeError`, `RangeError` for wrong arguments
 */
export function replayDirectory(directory: string | URL, options: ReplayDirectoryOptions = {}): DirectoryReplay {
  const { plan, workers, io } = checkReplay(directory, options);
  return DirectoryReplay['make'](plan, workers, io);
}

/** The reader of a replay, with the frames that it reads; on a backend that the caller has. @throws like {@link replayDirectory} */
export function readerOfDirectory(
  directory: string | URL,
  options: ReplayDirectoryOptions & { readonly io: StorageIo },
): DirectoryReader {
  const { plan, io } = checkReplay(directory, options);
  return new DirectoryReader(io as StorageIo, plan, () => {});
}

/** A replay that was checked. */
interface CheckedReplay {
  readonly plan: DirectoryPlan;
  readonly workers: number;
  readonly io: StorageIo | undefined;
}

function checkReplay(directory: string | URL, options: ReplayDirectoryOptions): CheckedReplay {
  const {
    from = 'first',
    to = Number.MAX_SAFE_INTEGER,
    types,
    workers = 0,
    signal,
    onProgress,
    copy = true,
    onHole = 'throw',
    io,
    ...decoding
  } = checkOptions('options', options, OPTIONS);
  checkInteger('workers', workers, 0, WORKERS_MAX);
  if (io !== undefined && typeof io?.submitRead !== 'function') throw invalidType('io', 'a StorageIo', io);
  const plan = {
    directory: checkPath('directory', directory),
    from: checkFrom('from', from),
    to: checkLsn('to', to),
    types: checkTypes(types),
    copy: checkBoolean('copy', copy),
    onHole: checkOnHole('onHole', onHole),
    decoding: checkDecoding(decoding),
    call: checkLongCall(signal, onProgress),
    ahead: undefined,
    blocking: false,
  };
  return { plan, workers, io };
}

/**
 * A replay made by {@link replayDirectory}: iterable with `for … of`, which blocks the thread, and with `for await … of`. The
 * asynchronous forms give the event loop its turn at least every 10 ms, the time of callbacks not counted.
 */
export class DirectoryReplay implements Iterable<WalRecord>, AsyncIterable<WalRecord> {
  readonly #plan: DirectoryPlan;
  readonly #workers: number;
  readonly #io: StorageIo | undefined;

  private constructor(plan: DirectoryPlan, workers: number, io: StorageIo | undefined) {
    this.#plan = plan;
    this.#workers = workers;
    this.#io = io;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `replayDirectory` uses it.
  private static make(plan: DirectoryPlan, workers: number, io: StorageIo | undefined): DirectoryReplay {
    return new DirectoryReplay(plan, workers, io);
  }

  /**
   * Calls `f` with every record, and awaits a promise that it returns. What `f` throws ends the replay and is rethrown.
   *
   * @returns how many records there were
   */
  async forEach(f: (record: WalRecord) => unknown): Promise<number> {
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    return forEachItem(() => this.#begin(), f);
  }

  /**
   * Calls `f` with a cursor at every record, always the same one, and allocates nothing for a record. What the cursor
   * returns is valid until `f` returns.
   *
   * @returns how many records there were
   */
  async scan(f: (cursor: RecordCursor) => void): Promise<number> {
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    const reader = this.#begin();
    const source = new PieceSource(reader);
    const cursor = makeCursor(source, this.#plan.types);
    const { watch } = reader;
    const pace = new Pace();
    let count = 0;
    let left = 1;
    try {
      while (await runAsync(reader.io, reader.advance())) {
        source.isFresh = true;
        for (;;) {
          const passed = callAtRecords(cursor, f, left, source, watch);
          count += passed;
          left -= passed;
          if (!source.isTurnDue) {
            if (left > 0) break;
            left = pace.look();
            if (left > 0) continue;
          }
          await nextTurn();
          source.isTurnDue = false;
          left = 1;
        }
      }
      watch?.finish();
      return count;
    } finally {
      reader.close();
    }
  }

  /**
   * A cursor before the first record, which blocks the thread and allocates nothing for a record. Close it when it is
   * not read to its end. At its end `stopReason` is always `'end'`, since every other reason is thrown.
   *
   * @throws `WAL_UNSUPPORTED` with `workers`, and on a backend that cannot wait; the errors of {@link replayDirectory}
   */
  cursor(): RecordCursor {
    return makeCursor(new DirectorySource(this.#beginSync()), this.#plan.types);
  }

  /** Blocks the thread. @throws like {@link cursor} */
  [Symbol.iterator](): Generator<WalRecord, void, undefined> {
    return itemsSync(() => this.#beginSync());
  }

  [Symbol.asyncIterator](): AsyncGenerator<WalRecord, void, undefined> {
    return items(() => this.#begin());
  }

  #beginSync(): DirectoryReader {
    if (this.#workers > 0) throw unsupported('workers need the event loop: use for await … of, forEach or scan');
    return this.#open({ ...this.#plan, blocking: true });
  }

  #begin(): DirectoryReader {
    const workers = this.#workers;
    if (workers === 0) return this.#open(this.#plan);
    if (this.#io?.capabilities.realFiles === false) {
      throw unsupported(`workers read files, and the ${this.#io.name} backend has none: leave out workers`);
    }
    return this.#open({ ...this.#plan, ahead: (links) => new ScanAhead(links, workers) });
  }

  #open(plan: DirectoryPlan): DirectoryReader {
    const io = this.#io ?? createSyncFsStorageIo();
    return new DirectoryReader(io, plan, () => {
      // Nothing is in flight on a backend with blocking calls.
      if (io !== this.#io) void io.dispose();
    });
  }
}

/**
 * Calls `f` with the cursor at up to `most` records. A function of its own, since the loop of a function that awaits is compiled
 * less well.
 *
 * @returns at how many; fewer where no further ones are in memory, or a turn of the event loop is due
 */
function callAtRecords(
  cursor: RecordCursor,
  f: (cursor: RecordCursor) => void,
  most: number,
  source: PieceSource,
  watch: DirectoryReader['watch'],
): number {
  let count = 0;
  while (count < most && !source.isTurnDue && cursor.next()) {
    if (watch !== undefined) watch.beforeItem();
    f(cursor);
    count++;
  }
  return count;
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

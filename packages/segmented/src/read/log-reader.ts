import { type Lsn, WalError } from '@walstack/codec';
import { checkBoolean, checkOptions } from '@walstack/codec/internal';
import type { LongCallOptions, WalProgress, WalRecord } from '@walstack/mmap-reader';
import {
  CallWatch,
  checkLongCall,
  checkOnHole,
  type Frames,
  LONG_CALL_OPTIONS,
  type OnHole,
  type PieceReader,
  READING_ABORTED,
  SegmentWalk,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { watched } from '@walstack/storage-io/internal';
import { EarlyEnd } from './early-end.js';
import { PlannedSegments, type SegmentsPlan } from './planned-segments.js';
import { type CheckedFilter, checkFilter, FILTER_OPTIONS, type RecordFilter } from './record-filter.js';

/** Options of a reading of a log: which records, and how they are returned. */
export interface ReadOptions extends RecordFilter, LongCallOptions {
  /**
   * Return copies of meta and payload, which stay valid; copies of up to 2 KiB may share a buffer of 8 KiB, like Node's own
   * small buffers. With `false` they are views of a buffer and valid only until the next record is read. Default `true`.
   */
  readonly copy?: boolean;
  /**
   * What to do where records are lost, in a log that was salvaged around them (`recoveryMode: 'skip-corrupt'`): `'throw'`, the
   * default, ends the reading with `WAL_HOLE`, whose `firstLsn` and `lastLsn` say which ones: read on from `lastLsn` + 1. `'skip'`
   * goes on behind them.
   */
  readonly onHole?: OnHole;
}

/** Reading options that were checked. */
export interface CheckedReadOptions extends CheckedFilter {
  readonly copy: boolean;
  readonly onHole: OnHole;
  readonly call: LongCallOptions;
}

/** The names of the options of a reading. */
export const READ_OPTIONS: readonly (keyof ReadOptions)[] = Object.freeze([
  'copy',
  'onHole',
  ...FILTER_OPTIONS,
  ...LONG_CALL_OPTIONS,
] as const);

/** Checks reading options. @throws `TypeError`, `RangeError` with Node's codes */
export function checkReadOptions(options: ReadOptions): CheckedReadOptions {
  const {
    copy = true,
    onHole = 'throw',
    signal,
    onProgress,
    ...filter
  } = checkOptions('options', options, READ_OPTIONS);
  return {
    copy: checkBoolean('copy', copy),
    onHole: checkOnHole('onHole', onHole),
    ...checkFilter(filter),
    call: checkLongCall(signal, onProgress),
  };
}

/** What a reader reads, and how it returns it. */
export interface ReadPlan extends SegmentsPlan {
  readonly copy: boolean;
  /** Whether the current record matches the filter; `undefined` without a filter. */
  readonly matches: ((frames: Frames) => boolean) | undefined;
  readonly onHole: OnHole;
  readonly call: LongCallOptions;
  /** Called when the reader is closed. */
  readonly onClose: (reader: LogReader) => void;
}

/**
 * Reads records in the order of their LSNs, from mapped files where possible, else through a buffer of bounded size.
 * `next()` returns records from memory, `advance()` reads further ones:
 *
 * ```ts
 * while (yield* reader.advance()) for (let r = reader.next(); r; r = reader.next()) use(r);
 * ```
 */
export class LogReader implements PieceReader<WalRecord> {
  /** The backend that `advance()` needs. */
  readonly io: StorageIo;
  /** Ends the reading with its signal, and reports its progress. */
  readonly watch: CallWatch | undefined;
  readonly #onClose: (reader: LogReader) => void;
  readonly #walk: SegmentWalk;
  readonly #segments: PlannedSegments;
  readonly #end: EarlyEnd;
  /** Whether `advance()` is running, which needs the file. */
  #isReading = false;

  private constructor(io: StorageIo, plan: ReadPlan) {
    this.io = io;
    this.#onClose = plan.onClose;
    this.#walk = new SegmentWalk(plan.from, plan.copy, plan.matches, plan.onHole);
    this.watch = CallWatch.for(plan.call, READING_ABORTED, () => this.progress);
    this.#end = new EarlyEnd(plan.to, plan.firstLsn, this.watch);
    this.#segments = new PlannedSegments(io, plan, this.#walk, this.#end);
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeLogReader` uses it.
  private static make(io: StorageIo, plan: ReadPlan): LogReader {
    return new LogReader(io, plan);
  }

  /** How far it is. */
  get progress(): WalProgress {
    return this.#segments.progress;
  }

  /**
   * The next record in memory; `undefined` when `advance()` has to read further.
   *
   * @throws what decoding throws, `WAL_HOLE` where records are lost; from then on every call of this and of `advance()` throws
   * it, until the reader is closed
   */
  next(): WalRecord | undefined {
    return this.#walk.next();
  }

  /**
   * Reads further, from segment to segment.
   *
   * @returns whether there may be further records in memory; `false` at the end
   * @throws `WAL_CORRUPT` when a record cannot be read, `WAL_TRUNCATED` when it was removed meanwhile, `WAL_CLOSED`,
   * `WAL_ABORTED`; `WAL_STATE` during another call of it, which is not affected
   */
  *advance(): IoRoutine<boolean> {
    if (this.#isReading) throw readingAlready();
    this.#isReading = true;
    try {
      return yield* watched(this.#walk.advance(this.#segments), this.#end.watch);
    } finally {
      this.#isReading = false;
      // It was closed meanwhile, and the step needed the file.
      if (this.#end.isClosed) this.#walk.leave();
    }
  }

  /**
   * Ends the reading, as the log is closed: `advance()` throws `WAL_CLOSED` after its current step, and stops waiting for a
   * key service. The file is closed behind that step, or here when none is running, as `advance()` may never be called again.
   */
  end(): void {
    this.#close('log');
  }

  /**
   * Called when every record behind `lastLsn` was dropped: a reading that extends further ends with `WAL_TRUNCATED`.
   */
  cutAfter(lastLsn: Lsn): void {
    this.#end.cutAfter(lastLsn);
  }

  /**
   * Ends the reading and closes its file, once an `advance()` in progress no longer needs it: `next()` returns nothing any more,
   * and `advance()` throws `WAL_CLOSED`. Idempotent.
   */
  close(): void {
    this.#close('reader');
    this.#onClose(this);
  }

  #close(what: 'log' | 'reader'): void {
    this.#end.close(what);
    if (!this.#isReading) this.#walk.leave();
  }
}

function readingAlready(): WalError {
  const what = 'the reader is looking for further records already: wait for that call before the next one';
  return new WalError('WAL_STATE', what, { state: 'advancing' });
}

/** Makes a reader, which only the log does. */
export const makeLogReader: (io: StorageIo, plan: ReadPlan) => LogReader = LogReader['make'];

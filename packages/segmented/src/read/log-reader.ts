import { checkBoolean, checkOptions, type Lsn, PayloadDecoder, WalError } from '@walstack/codec';
import {
  type Demands,
  decodeRecord,
  type FrameScanner,
  type Frames,
  loadKeys,
  lostRecord,
  openSealed,
  openStreamed,
  predatesEncryption,
  type Segment,
  truncated,
  type WalRecord,
} from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { arrayFrom, type Segments } from '../segments/segment-list.js';
import { type CheckedFilter, checkFilter, FILTER_OPTIONS, type RecordFilter } from './record-filter.js';

/** How a log is read, and which of its records. */
export interface ReadOptions extends RecordFilter {
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views of a buffer and good only until the next record is asked for.
   * Default `true`.
   */
  readonly copy?: boolean;
}

/** Reading options that were checked. */
export interface CheckedReadOptions extends CheckedFilter {
  readonly copy: boolean;
}

/** Checks how a log is to be read. @throws `TypeError`, `RangeError` with Node's codes */
export function checkReadOptions(options: ReadOptions): CheckedReadOptions {
  const { copy = true, ...filter } = checkOptions('options', options, ['copy', ...FILTER_OPTIONS]);
  return { copy: checkBoolean('copy', copy), ...checkFilter(filter) };
}

/** What is read: a stretch of a log as it was at one moment. */
export interface ReadPlan {
  /** From the oldest to the newest; the first holds `from`. */
  readonly segments: Segments;
  /** How many of them are not written to any more. */
  readonly sealed: number;
  readonly from: Lsn;
  /** The last record to be read. */
  readonly to: Lsn;
  readonly copy: boolean;
  /** Whether the record that was stepped to is wanted; `undefined` when all are. */
  readonly matches: ((frames: Frames) => boolean) | undefined;
  /** How records are decrypted and decompressed. */
  readonly decoding: Demands;
  /** There is no waiting for a key service. */
  readonly blocking: boolean;
  /** The log's first LSN now: it moves when the log is truncated. */
  readonly firstLsn: () => Lsn;
  /** Whether another process may be writing the log: it removes segments without telling. */
  readonly isBesideWriter: boolean;
  /** Told when the reading is over. */
  readonly onClose: (reader: LogReader) => void;
}

/**
 * Reads records in the order of their LSNs, mapped where that can be, else through a buffer of bounded size. `next()`
 * takes from memory, `advance()` reads on:
 *
 * ```ts
 * while (yield* reader.advance()) for (let r = reader.next(); r; r = reader.next()) use(r);
 * ```
 */
export class LogReader {
  readonly #io: StorageIo;
  readonly #plan: ReadPlan;
  #index = 0;
  #scanner: FrameScanner | undefined;
  #decoder: PayloadDecoder | undefined;
  /** The last LSN that is read from the present segment. */
  #until: Lsn = 0;
  #ended = false;
  /** Ends the waiting for a key service; `undefined` while there is none. */
  #ending: AbortController | undefined;
  /** Whether a step of the reading is under way, which needs its file. */
  #isReading = false;
  /** The last LSN that a cut behind it has left. */
  #cutLsn: Lsn | undefined;

  constructor(io: StorageIo, plan: ReadPlan) {
    this.#io = io;
    this.#plan = plan;
  }

  /** The next record in memory; `undefined` when `advance()` has to read on. */
  next(): WalRecord | undefined {
    const frames = this.#scanner?.frames;
    const decoder = this.#decoder;
    if (frames === undefined || decoder === undefined) return undefined;
    const { from, copy, matches } = this.#plan;
    while (frames.nextLsn <= this.#until && frames.next()) {
      if (frames.lsn < from || frames.isMark || matches?.(frames) === false) continue;
      return decodeRecord(frames, decoder, copy);
    }
    frames.checkRead();
    return undefined;
  }

  /**
   * Reads on, from segment to segment.
   *
   * @returns whether there may be further records in memory
   * @throws `WAL_CORRUPT` where a record should be and is not, `WAL_TRUNCATED` when it was removed meanwhile
   */
  *advance(): IoRoutine<boolean> {
    this.#isReading = true;
    try {
      return yield* this.#advancing();
    } finally {
      this.#isReading = false;
    }
  }

  *#advancing(): IoRoutine<boolean> {
    for (;;) {
      const reason = this.#endedBecause();
      if (reason !== undefined) throw reason;
      if (this.#scanner === undefined && !(yield* this.#unlessEnded(this.#openNext()))) return false;
      const scanner = this.#scanner as FrameScanner | undefined;
      if (scanner === undefined) continue;
      const { frames } = scanner;
      if (frames.nextLsn <= this.#until) {
        if (yield* this.#unlessEnded(scanner.fill())) return true;
        throw this.#unreadable(frames.end, frames.nextLsn);
      }
      this.#closeScanner();
    }
  }

  /**
   * Ends the reading, as the log is closed: `advance()` throws `WAL_CLOSED` once its step under way is done, which does not wait
   * for a key service any more. The file is closed, too: it may never be asked for another record.
   */
  end(): void {
    this.#ended = true;
    this.#ending?.abort(closedWhileReading());
    if (!this.#isReading) this.#closeScanner();
  }

  /** Every record behind `lastLsn` is gone: what was to read further gets `WAL_TRUNCATED`. */
  cutAfter(lastLsn: Lsn): void {
    if (this.#plan.to <= lastLsn) return;
    this.#cutLsn = Math.min(lastLsn, this.#cutLsn ?? lastLsn);
    this.#ending?.abort(cutWhileReading(this.#cutLsn, this.#plan.firstLsn()));
  }

  /** Ends the reading and closes its file. */
  close(): void {
    this.#closeScanner();
    this.#plan.onClose(this);
  }

  /** Why nothing more is to be read; `undefined` while it is. */
  #endedBecause(): WalError | undefined {
    if (this.#ended) return closedWhileReading();
    return this.#cutLsn === undefined ? undefined : cutWhileReading(this.#cutLsn, this.#plan.firstLsn());
  }

  #closeScanner(): void {
    this.#scanner?.close();
    this.#scanner = undefined;
  }

  *#unlessEnded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    for (let step = routine.next(0); ; ) {
      if (step.done === true) return step.value;
      const result = yield step.value;
      const reason = this.#endedBecause();
      // Thrown where it waits, so that it closes what it has opened.
      step = reason === undefined ? routine.next(result) : routine.throw(reason);
    }
  }

  /** Goes on to the next segment. @returns whether there is one */
  *#openNext(): IoRoutine<boolean> {
    const { segments, sealed, from, to, firstLsn, isBesideWriter } = this.#plan;
    const segment = segments.at(this.#index);
    if (segment === undefined || segment.header.firstLsn > to) return false;
    const isSealed = this.#index < sealed;
    this.#index++;
    this.#until = Math.min(segment.nextLsn - 1, to);
    try {
      yield* this.#prepareDecoder(segment);
      const open = isSealed ? openSealed : openStreamed;
      this.#scanner = yield* open(this.#io, segment, { ...segment.places?.before(from), limit: segment.end });
    } catch (error) {
      const first = firstLsn();
      if (!WalError.is(error)) throw error;
      if (first > segment.header.firstLsn) throw truncated(segment.header.firstLsn, first);
      if (isBesideWriter && error.code === 'WAL_NOT_FOUND') throw cutWhileReading(segment.header.firstLsn - 1, first);
      throw error;
    }
    return true;
  }

  /** What decodes the records of a segment, its key at hand. */
  *#prepareDecoder(segment: Segment): IoRoutine<void> {
    const { path, header, nextLsn } = segment;
    const { decoding, blocking, segments } = this.#plan;
    const { keyRing, allowPlaintext, maxPayloadBytes } = decoding;
    // Little is read of many logs that have no keys: it is made where there is something to wait for.
    if (keyRing !== undefined && !blocking) this.#ending ??= new AbortController();
    const signal = this.#ending?.signal;
    if (header.encrypted) yield* loadKeys(keyRing, [header.keyId], blocking, signal);
    // Where it is not known from where on the log is encrypted, its end has to prove it.
    const links = decoding.encryptedFrom?.() === undefined ? arrayFrom(segments, this.#index - 1) : [segment];
    const predates = yield* predatesEncryption(this.#io, links, nextLsn, decoding, blocking, signal);
    const options = { keyRing, allowPlaintext, maxPayloadBytes, predatesEncryption: predates };
    this.#decoder = new PayloadDecoder(header, path, options);
  }

  /** Why a record cannot be read. */
  #unreadable(offset: number, lsn: Lsn): WalError {
    const firstLsn = this.#plan.firstLsn();
    // The file was freed meanwhile, and is overwritten by its next life.
    if (lsn < firstLsn) return truncated(lsn, firstLsn);
    const segment = this.#plan.segments.at(this.#index - 1) as Segment;
    return lostRecord(segment.path, offset, lsn, 'hole', `the log has records up to ${this.#until} there`);
  }
}

function cutWhileReading(lastLsn: Lsn, firstLsn: Lsn): WalError {
  const what = `the records behind LSN ${lastLsn} were removed from the log while it was read: read it again`;
  return new WalError('WAL_TRUNCATED', what, { lsn: lastLsn + 1, firstLsn });
}

function closedWhileReading(): WalError {
  return new WalError('WAL_CLOSED', 'the log was closed while it was read: open it again', { state: 'closed' });
}

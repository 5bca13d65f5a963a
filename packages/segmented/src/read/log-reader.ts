import { type Lsn, PayloadDecoder, WalError } from '@walstack/codec';
import { checkBoolean, checkOptions } from '@walstack/codec/internal';
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

/** Options of a reading of a log: which records, and how they are returned. */
export interface ReadOptions extends RecordFilter {
  /**
   * Return copies of meta and payload, which stay valid; copies of up to 2 KiB may share a buffer of 8 KiB, like Node's own
   * small buffers. With `false` they are views of a buffer and valid only until the next record is read. Default `true`.
   */
  readonly copy?: boolean;
}

/** Reading options that were checked. */
export interface CheckedReadOptions extends CheckedFilter {
  readonly copy: boolean;
}

/** Checks reading options. @throws `TypeError`, `RangeError` with Node's codes */
export function checkReadOptions(options: ReadOptions): CheckedReadOptions {
  const { copy = true, ...filter } = checkOptions('options', options, ['copy', ...FILTER_OPTIONS]);
  return { copy: checkBoolean('copy', copy), ...checkFilter(filter) };
}

/** What a reader reads: a range of a log as it was at one moment. */
export interface ReadPlan {
  /** From the oldest to the newest; the first holds `from`. */
  readonly segments: Segments;
  /** How many of them are not written to any more. */
  readonly sealed: number;
  readonly from: Lsn;
  /** The last record to be read. */
  readonly to: Lsn;
  readonly copy: boolean;
  /** Whether the current record matches the filter; `undefined` without a filter. */
  readonly matches: ((frames: Frames) => boolean) | undefined;
  /** How records are decrypted and decompressed. */
  readonly decoding: Demands;
  /** Whether the call blocks, so that it cannot await a key service. */
  readonly blocking: boolean;
  /** The log's first LSN now: it moves when the log is truncated. */
  readonly firstLsn: () => Lsn;
  /** Whether another process may be writing the log: segments may be removed at any time. */
  readonly isBesideWriter: boolean;
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
export class LogReader {
  readonly #io: StorageIo;
  readonly #plan: ReadPlan;
  #index = 0;
  #scanner: FrameScanner | undefined;
  #decoder: PayloadDecoder | undefined;
  /** The last LSN that is read from the current segment. */
  #until: Lsn = 0;
  #ended = false;
  /** Aborts waiting for a key service; `undefined` while nothing waits. */
  #ending: AbortController | undefined;
  /** Whether `advance()` is running, which needs the file. */
  #isReading = false;
  /** The last LSN left by a cut that removed records of this reading. */
  #cutLsn: Lsn | undefined;

  constructor(io: StorageIo, plan: ReadPlan) {
    this.#io = io;
    this.#plan = plan;
  }

  /** The next record in memory; `undefined` when `advance()` has to read further. */
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
   * Reads further, from segment to segment.
   *
   * @returns whether there may be further records in memory; `false` at the end
   * @throws `WAL_CORRUPT` when a record cannot be read, `WAL_TRUNCATED` when it was removed meanwhile
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
   * Ends the reading, as the log is closed: `advance()` throws `WAL_CLOSED` after its current step, and stops waiting for a
   * key service. If no step is running the file is closed here, as `advance()` may never be called again.
   */
  end(): void {
    this.#ended = true;
    this.#ending?.abort(closedWhileReading());
    if (!this.#isReading) this.#closeScanner();
  }

  /**
   * Called when every record behind `lastLsn` was dropped: a reading that extends further ends with `WAL_TRUNCATED`.
   */
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

  /** The error that ends the reading; `undefined` while it may continue. */
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
      // Thrown into the routine where it waits, so that it closes the files it has opened.
      step = reason === undefined ? routine.next(result) : routine.throw(reason);
    }
  }

  /** Opens the next segment. @returns whether there is one */
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
      this.#scanner = yield* open(this.#io, segment, { ...segment.sparseIndex?.before(from), limit: segment.end });
    } catch (error) {
      const first = firstLsn();
      if (!WalError.is(error)) throw error;
      if (first > segment.header.firstLsn) throw truncated(segment.header.firstLsn, first);
      if (isBesideWriter && error.code === 'WAL_NOT_FOUND') throw cutWhileReading(segment.header.firstLsn - 1, first);
      throw error;
    }
    return true;
  }

  /** Prepares the decoder for the records of a segment, and loads its key. */
  *#prepareDecoder(segment: Segment): IoRoutine<void> {
    const { path, header, nextLsn } = segment;
    const { decoding, blocking, segments } = this.#plan;
    const { keyRing, allowPlaintext, maxPayloadBytes } = decoding;
    // Created only when there may be a key service to wait for: most readings are short and of logs without keys.
    if (keyRing !== undefined && !blocking) this.#ending ??= new AbortController();
    const signal = this.#ending?.signal;
    if (header.encrypted) yield* loadKeys(keyRing, [header.keyId], blocking, signal);
    // If it is not known from which LSN on the log is encrypted, the segments up to its end have to prove it.
    const links = decoding.encryptedFrom?.() === undefined ? arrayFrom(segments, this.#index - 1) : [segment];
    const predates = yield* predatesEncryption(this.#io, links, nextLsn, decoding, blocking, signal);
    const options = { keyRing, allowPlaintext, maxPayloadBytes, predatesEncryption: predates };
    this.#decoder = new PayloadDecoder(header, path, options);
  }

  /** The error for a record that cannot be read. */
  #unreadable(offset: number, lsn: Lsn): WalError {
    const firstLsn = this.#plan.firstLsn();
    // The file was freed meanwhile, and is overwritten as another segment.
    if (lsn < firstLsn) return truncated(lsn, firstLsn);
    const segment = this.#plan.segments.at(this.#index - 1) as Segment;
    return lostRecord(segment.path, offset, lsn, 'hole', `the log has records up to ${this.#until} there`);
  }
}

function cutWhileReading(lastLsn: Lsn, firstLsn: Lsn): WalError {
  const what = `the records behind LSN ${lastLsn} were removed from the log while it was being read: read it again`;
  return new WalError('WAL_TRUNCATED', what, { lsn: lastLsn + 1, firstLsn });
}

function closedWhileReading(): WalError {
  return new WalError('WAL_CLOSED', 'the log was closed while it was being read: open it again', { state: 'closed' });
}

import { isMark, type Lsn, RecordFlag, WalError } from '@walstack/codec';
import { lostRecord, type Segment, SegmentScanner, truncated, type WalRecord } from '@walstack/mmap-reader/segments';
import type { IoFile, IoRoutine, StorageIo } from '@walstack/storage-io';

/** How a log is read. */
export interface ReadOptions {
  /**
   * Give out copies of meta and payload, which stay as they are. With `false` they are views of a buffer and good only
   * until the next record is asked for. Default `true`.
   */
  readonly copy?: boolean;
}

/** What is read: a stretch of a log as it was at one moment. */
export interface ReadPlan {
  /** From the oldest to the newest; the first holds `from`. */
  readonly segments: readonly Segment[];
  readonly from: Lsn;
  /** The last record to be read. */
  readonly to: Lsn;
  readonly copy: boolean;
  /** The log's first LSN now: it moves when the log is truncated. */
  readonly firstLsn: () => Lsn;
  /** Told when the reading is over. */
  readonly onClose: (reader: LogReader) => void;
}

/**
 * Reads records in the order of their LSNs through a buffer of bounded size. `next()` takes from the buffer,
 * `advance()` reads on:
 *
 * ```ts
 * while (yield* reader.advance()) for (let r = reader.next(); r; r = reader.next()) use(r);
 * ```
 */
export class LogReader {
  readonly #io: StorageIo;
  readonly #plan: ReadPlan;
  #index = 0;
  #file: IoFile | undefined;
  #scanner: SegmentScanner | undefined;
  /** The last LSN that is read from the present segment. */
  #until: Lsn = 0;
  #ended = false;
  /** The last LSN that a cut behind it has left. */
  #cutLsn: Lsn | undefined;

  constructor(io: StorageIo, plan: ReadPlan) {
    this.#io = io;
    this.#plan = plan;
  }

  /** The next record in the buffer; `undefined` when `advance()` has to read on. */
  next(): WalRecord | undefined {
    const scanner = this.#scanner;
    if (scanner === undefined) return undefined;
    while (scanner.nextLsn <= this.#until && scanner.next()) {
      if (scanner.record.lsn >= this.#plan.from && !isMark(scanner.record)) return this.#materialize(scanner);
    }
    return undefined;
  }

  /**
   * Reads on, from segment to segment.
   *
   * @returns whether there may be further records in the buffer
   * @throws `WAL_CORRUPT` where a record should be and is not, `WAL_TRUNCATED` when it was removed meanwhile
   */
  *advance(): IoRoutine<boolean> {
    for (;;) {
      if (this.#ended) throw closedWhileReading();
      if (this.#cutLsn !== undefined) throw cutWhileReading(this.#cutLsn, this.#plan.firstLsn());
      const scanner = this.#scanner ?? this.#openNext();
      if (scanner === undefined) return false;
      if (scanner.nextLsn <= this.#until) {
        if (yield* this.#unlessEnded(scanner.fill())) return true;
        const firstLsn = this.#plan.firstLsn();
        // The file was freed meanwhile, and is overwritten by its next life.
        if (scanner.nextLsn < firstLsn) throw truncated(scanner.nextLsn, firstLsn);
        const segment = this.#plan.segments[this.#index - 1] as Segment;
        const proof = `the log has records up to ${this.#until} there`;
        throw lostRecord(segment.path, scanner.end, scanner.nextLsn, 'hole', proof);
      }
      this.#closeFile();
    }
  }

  /** Ends the reading, as the log is closed: `advance()` throws `WAL_CLOSED` once its step under way is done. */
  end(): void {
    this.#ended = true;
  }

  /** Every record behind `lastLsn` is gone: who was to read further gets `WAL_TRUNCATED`. */
  cutAfter(lastLsn: Lsn): void {
    if (this.#plan.to > lastLsn) this.#cutLsn = Math.min(lastLsn, this.#cutLsn ?? lastLsn);
  }

  /** Ends the reading and closes its file. */
  close(): void {
    this.#closeFile();
    this.#plan.onClose(this);
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#scanner = undefined;
    if (file === undefined) return;
    try {
      this.#io.close(file);
    } catch (error) {
      // A backend that went with its log has closed the file.
      if (!WalError.is(error, 'WAL_CLOSED')) throw error;
    }
  }

  *#unlessEnded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    for (let step = routine.next(0); ; ) {
      if (step.done === true) return step.value;
      const result = yield step.value;
      if (this.#ended) throw closedWhileReading();
      if (this.#cutLsn !== undefined) throw cutWhileReading(this.#cutLsn, this.#plan.firstLsn());
      step = routine.next(result);
    }
  }

  #openNext(): SegmentScanner | undefined {
    const segment = this.#plan.segments[this.#index];
    if (segment === undefined || segment.header.firstLsn > this.#plan.to) return undefined;
    this.#index++;
    const { header } = segment;
    this.#until = Math.min(segment.nextLsn - 1, this.#plan.to);
    this.#file = this.#open(segment);
    this.#scanner = new SegmentScanner(
      this.#io,
      this.#file,
      header,
      header.blockBytes,
      header.firstLsn,
      Math.min(segment.end, this.#io.size(this.#file)),
    );
    return this.#scanner;
  }

  #open(segment: Segment): IoFile {
    try {
      return this.#io.open(segment.path);
    } catch (error) {
      const firstLsn = this.#plan.firstLsn();
      if (!WalError.is(error, 'WAL_NOT_FOUND') || firstLsn <= segment.header.firstLsn) throw error;
      throw truncated(segment.header.firstLsn, firstLsn);
    }
  }

  #materialize(scanner: SegmentScanner): WalRecord {
    const { record } = scanner;
    if ((record.flags & (RecordFlag.compressed | RecordFlag.encrypted)) !== 0) {
      throw new WalError(
        'WAL_UNSUPPORTED',
        `the record with LSN ${record.lsn} is compressed or encrypted, which this version does not read: use a later one`,
        { lsn: record.lsn, reason: 'transformed-payload' },
      );
    }
    const { header } = this.#plan.segments[this.#index - 1] as Segment;
    const meta = scanner.meta();
    const payload = scanner.payload();
    return {
      lsn: record.lsn,
      type: record.type,
      meta: this.#plan.copy ? meta.slice() : meta,
      payload: this.#plan.copy ? payload.slice() : payload,
      scope: scanner.scope(),
      timestampMs: header.createdAtMs + record.elapsedMs,
    };
  }
}

function cutWhileReading(lastLsn: Lsn, firstLsn: Lsn): WalError {
  const what = `the records behind LSN ${lastLsn} were removed from the log while it was read: read it again`;
  return new WalError('WAL_TRUNCATED', what, { lsn: lastLsn + 1, firstLsn });
}

function closedWhileReading(): WalError {
  return new WalError('WAL_CLOSED', 'the log was closed while it was read: open it again', { state: 'closed' });
}

import type { Checkpoint, KeyRing, Lsn, WalError } from '@walstack/codec';
import { checkInteger, checkLsn } from '@walstack/codec/internal';
import type { LogTailOptions, LongCallOptions, ReadFrom, ResumePoint } from '@walstack/mmap-reader';
import {
  checkFrom,
  firstBehindCheckpoint,
  lastReadBefore,
  lastReadIn,
  READING_ABORTED,
  resumePointOf,
  type Segment,
  throwIfAborted,
  truncated,
  type WalRecord,
} from '@walstack/mmap-reader/internal';
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { aborted, unlessAborted, withCallers } from '@walstack/storage-io/internal';
import type { CallQueues } from '../call-queues.js';
import { behindNextLsn } from '../log-errors.js';
import type { Settings } from '../options.js';
import { firstListedLsn } from '../recovery/readonly-log.js';
import { countWhile, type Segments } from '../segments/segment-list.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import {
  type CheckedReadOptions,
  checkReadOptions,
  type LogReader,
  makeLogReader,
  type ReadOptions,
} from './log-reader.js';
import { lsnBefore } from './position.js';
import { makeReplay, type Replay, type ReplayPage, readOne, readPage } from './replay.js';

/** Reading options: all records, as copies. */
const ALL: CheckedReadOptions = {
  copy: true,
  onHole: 'throw',
  to: Number.MAX_SAFE_INTEGER,
  matches: undefined,
  call: {},
};

/** The calls that read a log. Each opens a reader of what was appended when it was called, flushed first. */
export class ReadCalls {
  readonly #io: StorageIo;
  readonly #settings: Settings;
  readonly #calls: CallQueues;
  readonly #writer: SegmentWriter;
  readonly #checkpoint: () => Checkpoint;
  readonly #readers = new Set<LogReader>();

  /** @param checkpoint - returns the present checkpoint of the log */
  constructor(
    io: StorageIo,
    settings: Settings,
    calls: CallQueues,
    writer: SegmentWriter,
    checkpoint: () => Checkpoint,
  ) {
    this.#checkpoint = checkpoint;
    this.#io = io;
    this.#settings = settings;
    this.#calls = calls;
    this.#writer = writer;
  }

  async read(lsn: Lsn): Promise<WalRecord | undefined> {
    if (!this.#isThere(lsn)) return undefined;
    const reader = await this.#calls.inTurn(() => this.#beginReading(lsn, lsn, ALL, false, true));
    return runAsync(this.#io, readOne(reader));
  }

  readSync(lsn: Lsn): WalRecord | undefined {
    if (!this.#isThere(lsn)) return undefined;
    const reader = this.#calls.inTurnSync(() => this.#beginReading(lsn, lsn, ALL, true, true));
    return runSync(this.#io, readOne(reader));
  }

  replay(options: ReadOptions): Replay {
    this.#calls.throwUnlessOpen();
    return this.#replay('first', options);
  }

  replayFrom(from: Lsn | 'checkpoint', options: ReadOptions): Replay {
    this.#calls.throwUnlessOpen();
    if (from !== 'checkpoint') this.#checkThere(from);
    return this.#replay(from, options);
  }

  async page(from: Lsn | 'checkpoint', limit: number): Promise<ReplayPage> {
    this.#checkPage(from, limit);
    const to = this.#lastLsn;
    const reader = await this.#calls.inTurn(() => this.#beginReading(from, to, ALL, false));
    return runAsync(this.#io, readPage(reader, limit));
  }

  pageSync(from: Lsn | 'checkpoint', limit: number): ReplayPage {
    this.#checkPage(from, limit);
    const to = this.#lastLsn;
    const reader = this.#calls.inTurnSync(() => this.#beginReading(from, to, ALL, true));
    return runSync(this.#io, readPage(reader, limit));
  }

  async openReader(from: ReadFrom, options: ReadOptions): Promise<LogReader> {
    return this.#begun(this.#readingFrom(from, options, false), options);
  }

  openReaderSync(from: ReadFrom, options: ReadOptions): LogReader {
    return this.#calls.inTurnSync(this.#readingFrom(from, options, true));
  }

  async lsnBefore(position: number): Promise<Lsn> {
    checkInteger('position', position);
    return this.#calls.inTurn(() => this.#lsnBefore(position));
  }

  lsnBeforeSync(position: number): Lsn {
    checkInteger('position', position);
    return this.#calls.inTurnSync(() => this.#lsnBefore(position));
  }

  resumePointAt(lsn: Lsn): ResumePoint | undefined {
    const last = checkLsn('lsn', lsn) - 1;
    const { sealed, active, planned } = this.#writer;
    const first = sealed.first ?? active;
    if (first?.header.firstLsn === lsn) return resumePointOf(lastReadBefore(first));
    const isIn = ({ header, nextLsn }: Segment): boolean => header.firstLsn <= last && last < nextLsn;
    const begun = countWhile(sealed, ({ header }) => header.firstLsn <= last);
    const own = [planned, active, sealed.at(begun - 1)].find((segment) => segment !== undefined && isIn(segment));
    return own === undefined ? undefined : resumePointOf(lastReadIn(own, last, own.sessions?.of(last)));
  }

  /** The options that another reader of the log, such as a `LogTail`, needs to decode its records. */
  get decoding(): Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'> {
    const { allowPlaintext, maxPayloadBytes } = this.#settings;
    const encryptedFrom = (): Lsn | undefined => this.#writer.encryptedFrom;
    // A function, called for each segment: the ring of the log may be set after a tail has started.
    const keyRing = (): KeyRing | undefined => this.#writer.keyRing;
    return { keyRing, allowPlaintext, maxPayloadBytes, encryptedFrom };
  }

  /** Called when the records behind an LSN were dropped. */
  onCut(lastLsn: Lsn): void {
    for (const reader of this.#readers) reader.cutAfter(lastLsn);
  }

  /** Ends the readings in progress, as the log is closed. */
  end(): void {
    for (const reader of this.#readers) reader.end();
  }

  get #lastLsn(): Lsn {
    return this.#writer.nextLsn - 1;
  }

  #replay(from: ReadFrom, options: ReadOptions): Replay {
    const checked = checkReadOptions(options);
    // The last record is determined when an iteration begins, not when its routine starts to run.
    const begin = (to: Lsn, blocking: boolean) => {
      throwIfAborted(checked.call);
      return () => this.#beginReading(from, to, checked, blocking);
    };
    return makeReplay(
      async () => withCallers(this.#begun(begin(this.#lastLsn, false), checked.call)),
      () => this.#calls.inTurnSync(begin(this.#lastLsn, true)),
    );
  }

  /** Begins a reading in its turn, unless its signal is aborted before: what comes first may wait for a disk that does not answer. */
  #begun(begin: () => IoRoutine<LogReader>, call: LongCallOptions): Promise<LogReader> {
    const begun = this.#calls.inTurn(() => {
      throwIfAborted(call);
      return begin();
    });
    const error = (signal: AbortSignal): WalError => aborted(signal, READING_ABORTED);
    return unlessAborted(begun, call.signal, error, (reader) => reader.close());
  }

  #readingFrom(from: ReadFrom, options: ReadOptions, blocking: boolean): () => IoRoutine<LogReader> {
    const checked = checkReadOptions(options);
    throwIfAborted(checked.call);
    if (typeof checkFrom('from', from) === 'number') this.#checkReachable(from as Lsn);
    const last = this.#lastLsn;
    return () => this.#beginReading(from, last, checked, blocking);
  }

  *#beginReading(
    from: ReadFrom,
    last: Lsn,
    { to, ...options }: CheckedReadOptions,
    blocking: boolean,
    /** Whether so little is read that a mapping would cost more than a read. */
    isBrief = false,
  ): IoRoutine<LogReader> {
    const { isReadonly } = this.#calls;
    const failed = this.#writer.failure !== undefined;
    const isWritten = Math.min(last, to) <= this.#writer.writtenLsn;
    if (!isWritten && !failed && !isReadonly) yield* this.#flushed();
    const { chain, sealed, active, durableLsn, writtenLsn, firstLsn, keyRing } = this.#writer;
    const lsn = this.#firstWanted(from);
    // A truncation may have run meanwhile.
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
    const first = Math.max(0, countWhile(chain, (segment) => segment.header.firstLsn <= lsn) - 1);
    const reader = makeLogReader(this.#io, {
      segments: sealed.viewFrom(first, active),
      sealed: isBrief ? 0 : Math.max(0, this.#unwritten(sealed) - first),
      from: lsn,
      to: Math.min(last, to, failed ? durableLsn : writtenLsn),
      ...options,
      decoding: { ...this.decoding, keyRing },
      blocking,
      firstLsn: () => (isReadonly ? firstListedLsn(this.#io, this.#settings.directory) : this.#writer.firstLsn),
      isBesideWriter: isReadonly,
      onClose: (closed) => this.#readers.delete(closed),
    });
    this.#readers.add(reader);
    if (this.#calls.state !== 'open') reader.end();
    return reader;
  }

  /**
   * Flushes what is in memory. What finds no room there is not read.
   *
   * @returns why it found none; `undefined` when everything is written
   */
  *#flushed(): IoRoutine<WalError | undefined> {
    try {
      yield* this.#writer.flush();
      return undefined;
    } catch (error) {
      const { noSpace } = this.#writer;
      if (error !== noSpace) throw error;
      return noSpace;
    }
  }

  *#lsnBefore(position: number): IoRoutine<Lsn> {
    // Read before the flush: records appended during it may not be in a file yet.
    const { position: end } = this.#writer;
    const noSpace = yield* this.#flushed();
    // What was appended before a position that is not durable may be in no file.
    if (noSpace !== undefined && position > this.#writer.durablePosition && position <= end) throw noSpace;
    return yield* lsnBefore(this.#io, this.#writer.chain, position, end);
  }

  /**
   * The number of segments that are not written any more. In a read-only log another process may write the newest one.
   */
  #unwritten(sealed: Segments): number {
    return this.#calls.isReadonly ? sealed.length - 1 : sealed.length;
  }

  /** Whether an LSN was assigned to a record. @throws when that was removed, or the argument is not an LSN */
  #isThere(lsn: Lsn): boolean {
    this.#calls.throwUnlessOpen();
    if (checkLsn('lsn', lsn) > this.#lastLsn) return false;
    this.#checkNotTruncated(lsn);
    return true;
  }

  #checkReachable(from: Lsn): void {
    const { nextLsn } = this.#writer;
    if (checkLsn('from', from) > nextLsn) throw behindNextLsn('from', from, nextLsn);
  }

  #checkNotTruncated(lsn: Lsn): void {
    const { firstLsn } = this.#writer;
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
  }

  /** @throws `RangeError` beyond the next LSN, `WAL_TRUNCATED` when it was removed */
  #checkThere(lsn: Lsn): void {
    this.#checkReachable(lsn);
    this.#checkNotTruncated(lsn);
  }

  #checkPage(from: Lsn | 'checkpoint', limit: number): void {
    this.#calls.throwUnlessOpen();
    if (from !== 'checkpoint') this.#checkReachable(from);
    checkInteger('limit', limit, 1);
    if (from !== 'checkpoint') this.#checkNotTruncated(from);
  }

  /** The first LSN to read. @throws `WAL_TRUNCATED` when records behind the checkpoint are missing */
  #firstWanted(from: ReadFrom): Lsn {
    const { firstLsn, sealed, active } = this.#writer;
    if (from === 'first') return firstLsn;
    const firstNumber = (sealed.first ?? active)?.header.number ?? 0;
    return from === 'checkpoint' ? firstBehindCheckpoint(this.#checkpoint(), firstNumber, firstLsn) : from;
  }
}

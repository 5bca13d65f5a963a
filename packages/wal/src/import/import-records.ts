import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type Lsn, RecordFlag, WalError } from '@walstack/codec';
import { checkPath } from '@walstack/codec/internal';
import type { WalRecord } from '@walstack/mmap-reader';
import { type DirectoryReader, listenTo, readerOfDirectory } from '@walstack/mmap-reader/internal';
import { type AppendOptions, Batch, type SegmentedWal } from '@walstack/segmented';
import { type LogEnd, type QuarantineReader, readerOfQuarantine } from '@walstack/segmented/internal';
import { runAsync, type StorageIo } from '@walstack/storage-io';
import { aborted, Interruption, nextTurn, Pace, type Watch, watched } from '@walstack/storage-io/internal';
import { type CheckedImport, checkImport, type ImportOptions, type ImportReport } from './import-options.js';

/** The log that records are imported into. */
interface ImportTarget {
  readonly log: SegmentedWal;
  /** Appends bytes as they are, once there is room. */
  readonly append: (payload: Uint8Array, options: AppendOptions) => Lsn | Promise<Lsn>;
  readonly appendBatch: (batch: Batch) => Lsn | Promise<Lsn>;
  /** Waits until everything that was appended up to an LSN is durable. @throws `WAL_NO_SPACE` when the disk is full */
  readonly durable: (lsn: Lsn) => Promise<unknown>;
  /** The present end of the log. */
  readonly appended: () => LogEnd;
  /** Whether everything up to an end is durable, or was before it was cut off. In any state of the log. */
  readonly isDurable: (end: LogEnd) => boolean;
  /** The closing of the log; `undefined` as long as that has not begun. */
  readonly closing: () => Promise<void> | undefined;
  /** Aborted when that has begun. */
  readonly ended: AbortSignal;
}

/** What the report is once the log is durable up to an end. */
interface AppendedPart {
  readonly end: LogEnd;
  report: ImportReport;
}

/** Imports the records of another log, a backup, or a quarantine; durable when it resolves. */
export async function importRecords(
  target: ImportTarget,
  source: string | URL,
  options: ImportOptions,
): Promise<ImportReport> {
  const directory = checkPath('source', source);
  const checked = checkImport(options, directory);
  const { log } = target;
  refuseOwn(directory, log, checked.io ?? log.io);
  const reader = readerOf(directory, checked, log);
  try {
    return await new Import(target, reader, directory, checked).run();
  } finally {
    reader.close();
  }
}

function readerOf(directory: string, asked: CheckedImport, log: SegmentedWal): DirectoryReader | QuarantineReader {
  const { from, to, quarantine, after, onHole, io = log.io } = asked;
  const { keyRing, allowPlaintext, maxPayloadBytes } = { ...log.decoding, ...asked.decoding };
  const ring = typeof keyRing === 'function' ? keyRing() : keyRing;
  const decoding = {
    ...(ring === undefined ? {} : { keyRing: ring }),
    ...(allowPlaintext === undefined ? {} : { allowPlaintext }),
    ...(maxPayloadBytes === undefined ? {} : { maxPayloadBytes }),
  };
  // What is appended is copied at once, or when it has to wait.
  const common = { to, io, copy: false, ...decoding };
  if (!quarantine) return readerOfDirectory(directory, { from, onHole, ...common });
  return readerOfQuarantine(directory, {
    ...(typeof from === 'number' ? { from } : {}),
    ...(after === undefined ? {} : { after }),
    ...common,
  });
}

/** @throws `WAL_UNSUPPORTED` for the directory of the log itself */
function refuseOwn(source: string, log: SegmentedWal, io: StorageIo): void {
  if (!isSame(source, log.directory, io, log.io)) return;
  const what = `${source} is the directory of this log, which does not import its own records`;
  throw new WalError('WAL_UNSUPPORTED', `${what}: give that of another log, a backup or a quarantine`, {
    path: source,
  });
}

function isSame(source: string, own: string, io: StorageIo, ownIo: StorageIo): boolean {
  if (!io.capabilities.realFiles || !ownIo.capabilities.realFiles) {
    return io === ownIo && resolve('/', source) === resolve('/', own);
  }
  const [one, other] = [source, own].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** One import: what was read, appended and made durable. */
class Import {
  readonly #target: ImportTarget;
  readonly #reader: DirectoryReader | QuarantineReader;
  readonly #source: string;
  readonly #asked: CheckedImport;
  /** The batch of the source that is being read, and what the report is once that is appended. */
  #batch: Batch | undefined;
  #batchRead: ImportReport | undefined;
  #groupBytes = 0;
  /** The records and batches that were appended and not reported, in order. */
  #appended: AppendedPart[] = [];
  /** What `onProgress` or `matches` has thrown: the import rejects with it as it is, whatever code it has. */
  #thrown: unknown;
  /** Whether closing the log has failed: then it may have more than what is known to be durable. */
  #closingFailed = false;
  /** The file of a quarantine that is being read. */
  #file: Pick<ImportReport, 'sourceFile'> = {};
  /** Everything that was appended or left out. */
  #read: ImportReport;
  /** What of that is durable. */
  #durable: ImportReport;
  /** Thrown where it waits for the source, as the signal or the closing of the log ends it: a key service may never answer. */
  readonly #ended = new Interruption('the import ends');
  readonly #watch: Watch;

  constructor(target: ImportTarget, reader: DirectoryReader | QuarantineReader, source: string, asked: CheckedImport) {
    this.#target = target;
    this.#reader = reader;
    this.#source = source;
    this.#asked = asked;
    const { from, after } = asked;
    this.#read = this.#durable =
      after === undefined
        ? nothingBefore(typeof from === 'number' ? from : 1)
        : Object.freeze({ ...nothingBefore(after.lsn + 1), sourceFile: after.file });
    const endings = [target.ended, ...(asked.signal === undefined ? [] : [asked.signal])];
    const isEnded = (): boolean => this.#isPlaced && endings.some((each) => each.aborted);
    const ended = this.#ended;
    this.#watch = {
      get reason() {
        return isEnded() ? ended : undefined;
      },
      listen: (wake) => {
        const stops = endings.map((each) => listenTo(each, wake));
        return () => {
          for (const stop of stops) stop();
        };
      },
    };
  }

  async run(): Promise<ImportReport> {
    try {
      if (typeof this.#asked.from === 'number') this.#throwIfAborted();
      await this.#readAll();
      await this.#endBatch();
      await this.#endGroup();
    } catch (error) {
      const full = await this.#settle();
      if (error === this.#ended) {
        // What is appended and waits for room is no part of what an aborted import has come to.
        if (full !== undefined && this.#isUnsettled) throw this.#withoutRoom(full);
        this.#throwIfAborted();
        throw this.#closed();
      }
      if (this.#isClosed(error)) throw this.#closed(error);
      throw this.#isFull(error) ? this.#withoutRoom(error) : error;
    }
    return this.#durable;
  }

  /**
   * Reports what of the appended records is durable, when it ends with an error. That stays in doubt on a full disk only.
   *
   * @returns the error of a full disk
   */
  async #settle(): Promise<WalError | undefined> {
    const { log, closing } = this.#target;
    let full: WalError | undefined;
    try {
      if (log.failure === undefined) await this.#endGroup();
    } catch (error) {
      if (this.#isFull(error)) full = error;
      // Closing a log drops what is pending, or makes it durable: what it has is known when it is closed.
      await closing()?.catch(() => {
        this.#closingFailed = true;
      });
    }
    try {
      this.#reportDurable();
    } catch {
      // The application's own error: the import rejects with the one that has ended it.
    }
    return full;
  }

  async #readAll(): Promise<void> {
    const reader = this.#reader;
    const { from, quarantine } = this.#asked;
    const pace = new Pace();
    let path: string | undefined;
    for (let isFirst = true; ; isFirst = false) {
      let hasMore: boolean;
      try {
        hasMore = await runAsync(reader.io, watched(reader.advance(), this.#watch));
      } finally {
        // Only now it is known what the first LSN is.
        if (isFirst && typeof from === 'string' && !quarantine) {
          this.#read = this.#durable = nothingBefore(reader.walk.nextLsn);
        }
      }
      if (isFirst && typeof from === 'string') this.#throwIfAborted();
      if (!hasMore) return;
      const segment = reader.walk.frames?.path;
      // A successor ends a batch, whatever the flags before it: the log was cut inside the batch.
      if (segment !== path) await this.#endBatch();
      if (quarantine && segment !== path && segment !== undefined) this.#file = { sourceFile: basename(segment) };
      path = segment;
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        // In a quarantine a part of the source may be left out, which was cut off inside a batch.
        if (this.#batchRead !== undefined && record.lsn !== this.#batchRead.sourceLsn + 1) await this.#endBatch();
        const isContinued = ((reader.walk.frames?.flags ?? 0) & RecordFlag.batchContinues) !== 0;
        const waiting = this.#take(record, isContinued);
        if (waiting !== undefined) await waiting;
        if (!pace.isDue()) continue;
        await nextTurn();
        if (this.#asked.signal?.aborted === true && this.#batch === undefined) await this.#stop();
      }
    }
  }

  /** Whether it is known where it begins, so that its error says where to go on. */
  get #isPlaced(): boolean {
    const reader = this.#reader;
    return typeof this.#asked.from === 'number' || !('isPlaced' in reader) || reader.isPlaced;
  }

  /** @returns a promise where something has to be waited for */
  #take(record: WalRecord, isContinued: boolean): Promise<void> | undefined {
    const { lsn, type, meta, payload, scope } = record;
    const before = this.#batchRead ?? this.#read;
    if (!this.#isWanted(record)) {
      const read = { ...before, ...this.#file, leftOut: before.leftOut + 1, sourceLsn: lsn };
      if (this.#batch === undefined) this.#leaveOut(read);
      else this.#batchRead = read;
      return isContinued || this.#batch === undefined ? undefined : this.#endBatch();
    }
    const read = {
      ...before,
      ...this.#file,
      records: before.records + 1,
      payloadBytes: before.payloadBytes + payload.length,
      sourceLsn: lsn,
    };
    const options: AppendOptions = { type, meta, ...scope };
    this.#groupBytes += payload.length + RECORD_BYTES;
    if (isContinued || this.#batch !== undefined) {
      this.#batch ??= new Batch();
      this.#batch.add(payload, options);
      this.#batchRead = read;
      return isContinued ? undefined : this.#endBatch();
    }
    return this.#after(this.#target.append(payload, options), read);
  }

  #leaveOut(read: ImportReport): void {
    this.#read = read;
    const last = this.#appended.at(-1);
    if (last !== undefined) last.report = read;
  }

  #isWanted(record: WalRecord): boolean {
    const { filter, matches } = this.#asked;
    return (
      (filter === undefined || filter(record)) && (matches === undefined || this.#called(matches, record) === true)
    );
  }

  /** Calls a function of the application. */
  #called<T>(call: (value: T) => unknown, value: T): unknown {
    try {
      return call(value);
    } catch (error) {
      this.#thrown = error;
      throw error;
    }
  }

  /** Appends what was read of a batch, as a batch. */
  async #endBatch(): Promise<void> {
    const [batch, read] = [this.#batch, this.#batchRead];
    this.#batch = undefined;
    this.#batchRead = undefined;
    if (batch === undefined || read === undefined) return;
    await this.#after(this.#target.appendBatch(batch), read, batch.length);
  }

  #after(appended: Lsn | Promise<Lsn>, read: ImportReport, count = 1): Promise<void> | undefined {
    if (typeof appended !== 'number') return appended.then((lsn) => this.#after(lsn, read, count));
    this.#read = { ...read, firstLsn: read.firstLsn === 0 ? appended - count + 1 : read.firstLsn, lastLsn: appended };
    const { generation } = this.#target.appended();
    this.#appended.push({ end: { lastLsn: appended, generation }, report: this.#read });
    const isFull = this.#groupBytes >= this.#asked.groupBytes || this.#appended.length >= GROUP_RECORDS;
    return isFull ? this.#stop() : undefined;
  }

  /** Waits until everything that was appended is durable. @throws `WAL_ABORTED` then, if that is asked for */
  async #stop(): Promise<void> {
    await this.#endGroup();
    this.#throwIfAborted();
  }

  /** Waits until everything that was appended is durable, and reports it. @throws `WAL_CLOSED` when closing the log has dropped some */
  async #endGroup(): Promise<void> {
    if (this.#read === this.#durable) return;
    this.#groupBytes = 0;
    const { log, durable, isDurable } = this.#target;
    const last = this.#appended.at(-1);
    // What a cut of the log has dropped was durable before.
    if (last !== undefined && !isDurable(last.end)) await durable(Math.min(last.end.lastLsn, log.lastLsn));
    this.#reportDurable();
    if (this.#read !== this.#durable) throw this.#closed();
  }

  /** Reports what is durable of what was appended, and was not reported. */
  #reportDurable(): void {
    const { isDurable } = this.#target;
    const count = this.#appended.findLastIndex(({ end }) => isDurable(end)) + 1;
    const reached = this.#appended.length === 0 ? this.#read : this.#appended[count - 1]?.report;
    this.#appended.splice(0, count);
    if (reached === undefined || reached === this.#durable) return;
    this.#durable = Object.freeze(reached);
    if (this.#asked.onProgress !== undefined) this.#called(this.#asked.onProgress, this.#durable);
  }

  /** @throws `WAL_ABORTED`, whose `lsn` is the last one of the source that is imported, and `path` the file in a quarantine that has it */
  #throwIfAborted(): void {
    const { signal } = this.#asked;
    if (signal?.aborted !== true) return;
    const what = `importing ${this.#source} was aborted: go on with ${placeBehind(this.#durable)}`;
    throw aborted(signal, what, this.#reached);
  }

  /** Whether an error says that the log was closed. */
  #isClosed(error: unknown): error is WalError {
    return WalError.is(error, 'WAL_CLOSED') && error !== this.#thrown && this.#target.closing() !== undefined;
  }

  /** Whether more was appended than is durable, and not dropped by closing the log. */
  get #isUnsettled(): boolean {
    return this.#read !== this.#durable && (this.#target.closing() === undefined || this.#closingFailed);
  }

  /** The error in a log that was closed: opened again, it has what was reported, and the import goes on behind that. */
  #closed(cause?: WalError): WalError {
    const what = `importing ${this.#source} ended, as the log was closed: open it again and go on with`;
    const isUnknown = this.#closingFailed && this.#read !== this.#durable;
    const facts = { ...this.#reached, state: 'closed', ...(isUnknown ? { reason: 'outcome-unknown' } : {}) };
    return new WalError('WAL_CLOSED', `${what} ${placeBehind(this.#durable)}`, facts, { cause });
  }

  /** Whether an error says that the log has no room on its disk. */
  #isFull(error: unknown): error is WalError {
    return WalError.is(error, 'WAL_NO_SPACE') && error !== this.#thrown;
  }

  /**
   * The error where what was appended is not durable, or no more can be: when there is room, it goes on behind that. The LSN of what it
   * was caused by is one of this log: going on behind that would leave out records of the source.
   */
  #withoutRoom(error: WalError): WalError {
    // Not what the call for one record would have to do.
    const cause = WalError.is(error.cause) ? error.cause : error;
    const what = `importing ${this.#source} ended, as there is no room on the disk (${cause.message})`;
    const { systemCode } = cause;
    const [read, durable] = [this.#read, this.#durable];
    const isUnknown = read !== durable;
    const isFailed = this.#target.log.failure !== undefined;
    const next = isFailed
      ? `when there is room, open the log again and go on with ${placeBehind(durable)}`
      : isUnknown
        ? `when there is room, await sync(), which makes durable what was appended, and go on with ${placeBehind(read)}; ` +
          `in a log that was closed before go on with ${placeBehind(durable)}`
        : `when there is room, await sync() and go on with ${placeBehind(durable)}`;
    const facts = {
      ...this.#reached,
      lastLsn: read.sourceLsn,
      ...(systemCode === undefined ? {} : { systemCode }),
      ...(isUnknown ? { reason: 'outcome-unknown' } : {}),
    };
    return new WalError('WAL_NO_SPACE', `${what}: ${next}`, facts, { cause });
  }

  /** The last record of the source that is imported and durable. */
  get #reached(): { readonly path: string; readonly lsn: Lsn } {
    const { sourceLsn, sourceFile } = this.#durable;
    return { path: sourceFile === undefined ? this.#source : join(this.#source, sourceFile), lsn: sourceLsn };
  }
}

/** The option with which an import goes on behind what a report counts. */
function placeBehind({ sourceLsn, sourceFile }: ImportReport): string {
  return sourceFile === undefined ? `from: ${sourceLsn + 1}` : `after: { file: '${sourceFile}', lsn: ${sourceLsn} }`;
}

/** The report of an import that has not begun. */
const nothingBefore = (from: Lsn): ImportReport =>
  Object.freeze({ records: 0, leftOut: 0, payloadBytes: 0, sourceLsn: from - 1, firstLsn: 0, lastLsn: 0 });

/** What a record has beside its payload, about. */
const RECORD_BYTES = 64;

/** The records of a group, at most: each has its own report until it is durable. */
const GROUP_RECORDS = 65_536;

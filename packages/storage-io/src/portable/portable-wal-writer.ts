import { resolve } from 'node:path';
import { WalError } from '@walstack/codec';
import { notConstructible } from '@walstack/codec/internal';
import { type Backend, backendOf, releaseBackend } from '../backends/backend-option.js';
import { type IoRoutine, requireWait, runAsync, runSync } from '../routines/routine.js';
import { RoutineQueue } from '../routines/routine-queue.js';
import type { IoFile, StorageIo } from '../storage-io.js';
import type { AppendBuffer } from './append-buffer.js';
import { bytesOf, checkAppend } from './append-checks.js';
import type { AppendWriter } from './append-writer.js';
import { CountedIo, type IoCounts } from './counted-io.js';
import { type OpenedWriter, openWriter } from './open-writer.js';
import type { FrameRecovery } from './recover-frames.js';
import { SharedRoutine } from './shared-routine.js';
import { checkWriterOptions, type PortableWalWriterOptions, type WriterSettings } from './writer-options.js';

/**
 * Counts of the operations of a writer since it was opened, reading and truncating on opening included. A frozen
 * snapshot.
 */
export interface PortableWalWriterStats extends IoCounts {
  /** Appends that were accepted, but not written because of an earlier failure. */
  readonly dropped: number;
  /** Operations submitted and not yet completed. */
  readonly inFlight: number;
  /** The share of submitted operations that have completed, from 0 to 1; 1 when none was submitted. */
  readonly completionRate: number;
}

/**
 * Appends to one file, through any backend: bytes as they are, or frames with a checksum, by which a torn write is
 * recognized; at once or in batches.
 *
 * Appends are in the file in the order of the calls, whether they are awaited or not. What is appended while a write is
 * in flight goes into the next one. An append that is not batched also writes the pending batch before it.
 *
 * Every call that waits for the disk has two forms: one returns a promise; the other, whose name ends in `Sync`, blocks
 * the thread and needs a backend that can wait, otherwise it throws `WAL_UNSUPPORTED`. Data is copied before a call
 * returns; a string is encoded as UTF-8.
 *
 * The first write or sync that fails is final: calls that wait for it are rejected with its error, and their data may
 * be in the file or not; all later calls are refused with its code. To continue, open the file again.
 *
 * **One writer at a time.** Where the backend has locks on files (`capabilities.fileLocks`) the writer takes an
 * exclusive one, and a second writer gets `WAL_LOCKED`. Elsewhere nothing excludes a second writer: the caller has to,
 * for instance with `io.lock` of another path.
 */
export class PortableWalWriter {
  readonly #backend: Backend;
  readonly #settings: WriterSettings;
  readonly #steps: CountedIo;
  readonly #file: IoFile;
  readonly #buffer: AppendBuffer;
  readonly #writer: AppendWriter;
  readonly #recovery: FrameRecovery | undefined;
  readonly #queue: RoutineQueue;
  readonly #write: SharedRoutine;
  readonly #sync: SharedRoutine;
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** The end of the last append to a batch, as a position in the file. */
  #batchEnd = 0;
  #closing: Promise<void> | undefined;
  /** Whether a call had reported a failure when the file was closed: no failure is of the background here. */
  #failureWasReported = false;

  private constructor(backend: Backend, settings: WriterSettings, steps: CountedIo, opened: OpenedWriter) {
    if (opened === undefined) throw notConstructible('PortableWalWriter', 'use await PortableWalWriter.open(path)');
    this.#backend = backend;
    this.#settings = settings;
    this.#steps = steps;
    this.#file = opened.file;
    this.#buffer = opened.buffer;
    this.#writer = opened.writer;
    this.#recovery = opened.recovery;
    this.#queue = new RoutineQueue(backend.io);
    this.#write = new SharedRoutine(this.#queue, () => this.#writer.write());
    this.#sync = new SharedRoutine(this.#queue, () => this.#writer.sync());
  }

  /**
   * Opens a file for appending, or creates it; its name is durable on return. With `framed`, its frames are durable on
   * return too, and a torn tail after them is cut off.
   *
   * @throws `WAL_NOT_FOUND`, `WAL_LOCKED`, `WAL_ALIGNMENT` where direct I/O cannot continue at the end of the file,
   * `WAL_CORRUPT` when a file of frames is damaged (nothing is changed), `WAL_NO_SPACE`, `WAL_IO_FAILED`; `TypeError`
   * and `RangeError` for wrong arguments
   */
  static async open(path: string | URL, options: PortableWalWriterOptions = {}): Promise<PortableWalWriter> {
    const checked = checkWriterOptions(path, options);
    const backend = backendOf(options.io, 'async');
    try {
      const settings = withAbsolutePath(checked, backend.io);
      const steps = new CountedIo(backend.io);
      return new PortableWalWriter(backend, settings, steps, await runAsync(backend.io, openWriter(steps, settings)));
    } catch (error) {
      await releaseBackend(backend);
      throw error;
    }
  }

  /** Like {@link open}, blocking the thread. */
  static openSync(path: string | URL, options: PortableWalWriterOptions = {}): PortableWalWriter {
    const checked = checkWriterOptions(path, options);
    const backend = backendOf(options.io, 'wait');
    try {
      const settings = withAbsolutePath(checked, backend.io);
      const steps = new CountedIo(backend.io);
      return new PortableWalWriter(backend, settings, steps, runSync(backend.io, openWriter(steps, settings)));
    } catch (error) {
      void releaseBackend(backend);
      throw error;
    }
  }

  /** The path of the file. */
  get path(): string {
    return this.#file.path;
  }

  /** Whether the file has direct I/O. */
  get direct(): boolean {
    return this.#file.direct;
  }

  /** The size of the file in bytes, as far as it is written. */
  get size(): number {
    return this.#writer.written;
  }

  /** The size of the appends in the batch in bytes, frame headers included. */
  get pendingBatchBytes(): number {
    return this.#buffer.batchBytes;
  }

  /** How many appends are in the batch. */
  get pendingBatchOps(): number {
    return this.#buffer.batchOps;
  }

  /** Whether there is anything in the batch. */
  get hasPendingBatch(): boolean {
    return this.#buffer.batchOps > 0;
  }

  /** The batch is flushed when it reaches this many bytes. */
  get maxBatchBytes(): number {
    return this.#settings.maxBatchBytes;
  }

  /** The first failure, after which all calls are refused; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#writer.failure;
  }

  /** What opening a file of frames found and did; `undefined` when it is not `framed`. */
  get recovery(): FrameRecovery | undefined {
    return this.#recovery;
  }

  /**
   * Appends bytes as they are, at once. When it resolves they are handed to the operating system, but not durable: see
   * {@link sync}.
   *
   * @param data - at most 1 GiB; with direct I/O a multiple of its alignment
   * @returns where in the file it starts
   * @throws `WAL_STATE` in a file of frames, `WAL_ALIGNMENT`, `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_CLOSED`, the code
   * of an earlier failure, or `TypeError`, each with nothing appended; `WAL_NO_SPACE`, `WAL_IO_FAILED`
   */
  async append(data: Uint8Array | string): Promise<number> {
    const position = this.#add(data, false, false);
    await this.#write.run();
    return position;
  }

  /** Like {@link append}, blocking the thread. */
  appendSync(data: Uint8Array | string): number {
    requireWait(this.#backend.io);
    const position = this.#add(data, false, false);
    this.#write.runSync();
    return position;
  }

  /**
   * Appends bytes as they are to the batch, which is only in memory before it is flushed. When the batch reaches
   * `maxBatchBytes` it is flushed as by {@link flushBatch}, and this waits for that.
   *
   * @returns the bytes that are pending in the batch
   * @throws like {@link append}
   */
  async appendBatched(data: Uint8Array | string): Promise<number> {
    this.#add(data, false, true);
    return this.#pendingOrFlushed();
  }

  /** Like {@link appendBatched}, blocking the thread when the batch is to be flushed. */
  appendBatchedSync(data: Uint8Array | string): number {
    requireWait(this.#backend.io);
    this.#add(data, false, true);
    return this.#pendingOrFlushedSync();
  }

  /**
   * Appends a frame, `[length u32][crc32c u32][data]`, at once. When it resolves the frame is handed to the operating
   * system, but not durable: see {@link sync}. No frame starts in the last 7 bytes of a block: up to 7 zeros are put
   * before one that would.
   *
   * @param data - at least 1 byte; in a file of frames, with its header of 8 bytes at most `maxUnsyncedBytes` less one
   * block
   * @returns where in the file the frame starts
   * @throws like {@link append}, and `RangeError` for empty data
   */
  async appendWithChecksum(data: Uint8Array | string): Promise<number> {
    const position = this.#add(data, true, false);
    await this.#write.run();
    return position;
  }

  /** Like {@link appendWithChecksum}, blocking the thread. */
  appendWithChecksumSync(data: Uint8Array | string): number {
    requireWait(this.#backend.io);
    const position = this.#add(data, true, false);
    this.#write.runSync();
    return position;
  }

  /**
   * Appends a frame, as {@link appendWithChecksum}, to the batch, as {@link appendBatched}.
   *
   * @returns the bytes that are pending in the batch
   */
  async appendWithChecksumBatched(data: Uint8Array | string): Promise<number> {
    this.#add(data, true, true);
    return this.#pendingOrFlushed();
  }

  /** Like {@link appendWithChecksumBatched}, blocking the thread when the batch is to be flushed. */
  appendWithChecksumBatchedSync(data: Uint8Array | string): number {
    requireWait(this.#backend.io);
    this.#add(data, true, true);
    return this.#pendingOrFlushedSync();
  }

  /**
   * Makes durable what was appended to the batch so far, and everything before it, by one write and one sync, or by one
   * durable write with direct I/O on a backend that has such writes; in a file of frames by several when it is longer
   * than `maxUnsyncedBytes`. Does nothing when all of it is durable already.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: the failure is final, and the batch may be in the file or not;
   * `WAL_CLOSED`
   */
  async flushBatch(): Promise<void> {
    this.#throwUnlessUsable();
    if (this.#batchEnd > this.#writer.durable) await this.#sync.run();
  }

  /** Like {@link flushBatch}, blocking the thread. */
  flushBatchSync(): void {
    requireWait(this.#backend.io);
    this.#throwUnlessUsable();
    if (this.#batchEnd > this.#writer.durable) this.#sync.runSync();
  }

  /**
   * Makes everything durable that was appended so far, the batch included. In a file that is neither `framed` nor
   * opened with `maxUnsyncedBytes`, the first call also syncs what was found in the file; where a sync of an earlier
   * writer had failed, that proves nothing about those bytes.
   *
   * @throws like {@link flushBatch}
   */
  async sync(): Promise<void> {
    this.#throwUnlessUsable();
    if (this.#buffer.position > this.#writer.durable) await this.#sync.run();
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    requireWait(this.#backend.io);
    this.#throwUnlessUsable();
    if (this.#buffer.position > this.#writer.durable) this.#sync.runSync();
  }

  stats(): PortableWalWriterStats {
    const { counts } = this.#steps;
    const { submitted, completed } = counts;
    return Object.freeze({
      ...counts,
      dropped: this.#writer.dropped,
      inFlight: submitted - completed,
      completionRate: submitted === 0 ? 1 : completed / submitted,
    });
  }

  /**
   * Makes everything durable, the batch included, and closes the file. Idempotent. After an earlier failure it only
   * closes.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`, also where a call before this one fails while this one waits for it; the file is
   * closed all the same
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  /** Like {@link close}, blocking the thread; when the writer is closing already, until it is closed. */
  closeSync(): void {
    if (this.#state === 'closed') return;
    requireWait(this.#backend.io);
    if (this.#state === 'closing') {
      this.#queue.runSync(onlyTakeTurn);
      return;
    }
    this.#beginClosing();
    try {
      this.#queue.runSync(() => this.#closeFile());
    } finally {
      this.#closing = releaseBackend(this.#backend);
      // A later `close()` rejects with this failure.
      this.#closing.catch(() => {});
    }
  }

  /** Closes the file: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the file: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#beginClosing();
    try {
      await this.#queue.run(() => this.#closeFile());
    } finally {
      await releaseBackend(this.#backend);
    }
  }

  #beginClosing(): void {
    this.#state = 'closing';
    this.#failureWasReported = this.#writer.failure !== undefined;
  }

  *#closeFile(): IoRoutine<void> {
    try {
      const { failure } = this.#writer;
      if (failure === undefined) yield* this.#writer.sync();
      // The call that rejected with it need not be one that waited for all of it to be durable.
      else if (!this.#failureWasReported) throw failure;
    } finally {
      this.#state = 'closed';
      this.#backend.io.close(this.#file);
    }
  }

  /** Copies an append into the buffer, and returns where in the file it starts. */
  #add(data: Uint8Array | string, framed: boolean, batched: boolean): number {
    this.#throwUnlessUsable();
    const bytes = bytesOf(data);
    checkAppend(this.#settings, this.#file, this.#buffer, bytes.length, framed);
    const position = this.#buffer.append(bytes, framed, batched);
    if (batched) this.#batchEnd = this.#buffer.position;
    return position;
  }

  async #pendingOrFlushed(): Promise<number> {
    if (this.#buffer.batchBytes >= this.#settings.maxBatchBytes) await this.#sync.run();
    return this.#buffer.batchBytes;
  }

  #pendingOrFlushedSync(): number {
    if (this.#buffer.batchBytes >= this.#settings.maxBatchBytes) this.#sync.runSync();
    return this.#buffer.batchBytes;
  }

  #throwUnlessUsable(): void {
    if (this.#state !== 'open') {
      throw new WalError('WAL_CLOSED', `the writer of ${this.path} is ${this.#state}: open the file again`, {
        path: this.path,
        state: this.#state,
      });
    }
    this.#writer.throwIfFailed();
  }
}

/** With an absolute path for real files: the process may change its working directory. */
function withAbsolutePath(settings: WriterSettings, io: StorageIo): WriterSettings {
  return io.capabilities.realFiles ? { ...settings, path: resolve(settings.path) } : settings;
}

/** A routine that does nothing when its turn comes. */
function* onlyTakeTurn(): IoRoutine<void> {}

import { type Lsn, WalError, type WalErrorCode } from '@walstack/codec';
import { checkInteger, checkOptions, checkPath, invalidType, notConstructible } from '@walstack/codec/internal';
import { openStorageIo } from '@walstack/storage-io';
import { aborted, callListener, checkSignal } from '@walstack/storage-io/internal';
import { checkStream, type LogStreamOptions, STREAM_OPTIONS, type StreamSettings } from '../options.js';
import { type LogMessage, logMessages } from '../restore/stream-log.js';
import { ReplicatedWaiters } from '../ship/replicated-waiters.js';
import { Retries } from '../ship/retries.js';
import { LogStream } from '../stream/log-stream.js';
import { ReplicaFiles } from './replica-files.js';
import { hashOf } from './replica-place.js';

/** How a stream is materialised. */
export interface ReplicaOptions extends LogStreamOptions {
  /** The longest time between two attempts to reach the server, in milliseconds. The first one comes after 100. Default 5000. */
  readonly retryMs?: number;
  /** Make the files durable, and store how far they are, so often with anything new, in milliseconds. Default 1000. */
  readonly storeMs?: number;
  /** Called when the state changes. Default: not called. */
  readonly onState?: (state: ReplicaState, error: Error | undefined) => void;
}

/**
 * What a replica does.
 *
 * - `'connecting'`: it connects, and compares its place with the stream.
 * - `'reading'`: it writes what the stream has, and then what comes.
 * - `'waiting'`: the server cannot be reached; it tries again.
 * - `'failed'`: trying again would not help.
 * - `'closed'`
 */
export type ReplicaState = 'connecting' | 'reading' | 'waiting' | 'failed' | 'closed';

/** The names in {@link ReplicaOptions} beside those of the stream. */
export const REPLICA_OPTIONS = ['retryMs', 'storeMs', 'onState'] as const;

/** What has been written is handed to the operating system within so many milliseconds. */
const FLUSH_MS = 10;

/**
 * A log in a directory that is made from a stream of NATS JetStream, continuously: with the LSNs, times and bytes of the original. It
 * is for reading: `Wal.follow(directory, …)`, `replayDirectory` and every other reader of a directory read it, meanwhile and later.
 *
 * ```ts
 * const replica = LogReplica.start('data/orders-here', { connection: { servers: 'nats://localhost' }, log: 'orders' });
 * for await (const { lsn, payload } of Wal.follow('data/orders-here', 'first', { durableOnly: false })) use(lsn, payload);
 * ```
 */
export class LogReplica {
  readonly #directory: string;
  readonly #stream: StreamSettings;
  readonly #storeMs: number;
  readonly #onState: ReplicaOptions['onState'];
  readonly #closing = new AbortController();
  readonly #retries: Retries;
  readonly #running: Promise<void>;
  readonly #waiters = new ReplicatedWaiters(() => undefined);
  #connected: LogStream | undefined;
  #state: ReplicaState = 'connecting';
  #failure: Error | undefined;
  #lastError: Error | undefined;
  #lastLsn: Lsn = 0;
  #storedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;
  /** Why the files cannot be written. */
  #error: { readonly reason: unknown } | undefined;

  private constructor(
    directory: string,
    stream: StreamSettings,
    options: Required<Pick<ReplicaOptions, 'retryMs' | 'storeMs'>>,
    onState: ReplicaOptions['onState'],
  ) {
    if (stream === undefined) throw notConstructible('LogReplica', 'use LogReplica.start(directory, options)');
    this.#directory = directory;
    this.#stream = stream;
    this.#storeMs = options.storeMs;
    this.#onState = onState;
    this.#retries = new Retries(options.retryMs, this.#closing.signal);
    this.#running = this.#run();
  }

  /**
   * Begins, in a directory that is missing or empty, or goes on in the one of an earlier replica.
   *
   * @throws `TypeError`, `RangeError` for wrong options
   */
  static start(directory: string | URL, options: ReplicaOptions): LogReplica {
    const path = checkPath('directory', directory);
    const {
      retryMs = 5000,
      storeMs = 1000,
      onState,
    } = checkOptions('options', options, [...STREAM_OPTIONS, ...REPLICA_OPTIONS]);
    if (onState !== undefined && typeof onState !== 'function') throw invalidType('onState', 'a function', onState);
    checkInteger('retryMs', retryMs, 1, 0x7fff_ffff);
    checkInteger('storeMs', storeMs, 1, 0x7fff_ffff);
    return new LogReplica(path, checkStream(options), { retryMs, storeMs }, onState);
  }

  /** What it does. */
  get state(): ReplicaState {
    return this.#state;
  }

  /** Why nothing more is read; `undefined` while something may be. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Why the last attempt has ended; `undefined` while there was no error since the last record. */
  get lastError(): Error | undefined {
    return this.#failure ?? this.#lastError;
  }

  /** The last LSN that readers of the directory find; 0 when there is none. */
  get lastLsn(): Lsn {
    return this.#lastLsn;
  }

  /**
   * Waits until readers of the directory find a record.
   *
   * @param options - `signal`: ends the waiting and nothing else
   * @throws `WAL_CLOSED`, `WAL_ABORTED`, why it has failed
   */
  async reached(lsn: Lsn, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = checkOptions('options', options, ['signal']);
    checkSignal(signal);
    if (checkInteger('lsn', lsn) <= this.#lastLsn) return;
    if (signal?.aborted === true) throw aborted(signal, 'waiting for the replica was aborted');
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing.signal.aborted) throw this.#closed();
    await this.#waiters.wait(lsn, signal);
  }

  /** Waits until it is closed. @throws why it has failed */
  async ended(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends it, with everything durable that was written: the next one goes on there. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#connected?.close();
    await this.#running;
  }

  /** Ends it: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      const files = await this.#open();
      try {
        this.#lastLsn = (files.position?.nextLsn ?? 1) - 1;
        this.#waiters.reached(this.#lastLsn, 0);
        while (!this.#closing.signal.aborted) await this.#attempt(files);
      } finally {
        await files.store().finally(() => files.close());
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#waiters.fail(this.#failure ?? this.#closed());
    this.#enter(this.#failure === undefined ? 'closed' : 'failed', this.#failure);
  }

  async #open(): Promise<ReplicaFiles> {
    const io = openStorageIo('auto', { needs: 'async' });
    try {
      return await ReplicaFiles.open(this.#directory, this.#stream.stream, io);
    } catch (error) {
      await io.dispose();
      throw error;
    }
  }

  async #attempt(files: ReplicaFiles): Promise<void> {
    this.#enter('connecting', undefined);
    const before = this.#lastLsn;
    try {
      this.#connected = await LogStream.open(this.#stream);
      if (this.#closing.signal.aborted) return;
      await this.#read(files, this.#connected);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      if (this.#error !== undefined || !isTransient(error)) throw error;
      this.#lastError = error as Error;
      if (this.#lastLsn > before) this.#retries.reset();
      this.#enter('waiting', this.#lastError);
      await this.#retries.wait();
    } finally {
      await this.#connected?.close();
      this.#connected = undefined;
    }
  }

  /** Writes the messages as they come, until the connection is lost. */
  async #read(files: ReplicaFiles, stream: LogStream): Promise<void> {
    const from = await this.#from(files, stream);
    this.#enter('reading', undefined);
    try {
      for await (const message of logMessages(stream.messages(from, Number.POSITIVE_INFINITY), files.position)) {
        if (this.#error !== undefined) break;
        await this.#add(files, message);
        this.#lastError = undefined;
        this.#timer ??= setTimeout(() => this.#tick(files), FLUSH_MS);
      }
    } finally {
      // It may set the timer again.
      await this.#ticking;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (this.#error !== undefined) throw this.#error.reason;
  }

  /** Trying again does not help where the files cannot be written: what was to be written is not known any more. */
  async #add(files: ReplicaFiles, message: LogMessage): Promise<void> {
    try {
      await files.add(message);
    } catch (reason) {
      this.#error = { reason };
      throw reason;
    }
  }

  /**
   * Where reading goes on.
   *
   * @throws `WAL_TRUNCATED` when the stream has dropped what comes next, `WAL_FENCED` when it is not the one that was read before
   */
  async #from({ message, position }: ReplicaFiles, stream: LogStream): Promise<number> {
    const { state } = await stream.info();
    if (message === undefined) return Math.max(1, state.first_seq);
    const { sequence } = message;
    const facts = { path: this.#directory, lsn: position?.nextLsn ?? 1 };
    const what = `the replica in ${this.#directory} has the messages up to ${sequence} of a stream`;
    if (state.first_seq > sequence + 1) {
      const next = `${what}, and ${stream.name} begins with message ${state.first_seq}: begin with an empty directory`;
      throw new WalError('WAL_TRUNCATED', next, facts);
    }
    const bytes = await stream.bytesAt(sequence);
    if (state.last_seq < sequence || (bytes !== undefined && hashOf(bytes) !== message.hash())) {
      const next = `${what}, and ${stream.name} has other messages: begin with an empty directory`;
      throw new WalError('WAL_FENCED', next, { ...facts, reason: 'other-log' });
    }
    return sequence + 1;
  }

  /** Hands what was written to readers, and makes it durable when it is time. */
  #tick(files: ReplicaFiles): void {
    this.#timer = undefined;
    this.#ticking = this.#flush(files).catch(async (reason: unknown) => {
      this.#error = { reason };
      await this.#connected?.close();
    });
  }

  async #flush(files: ReplicaFiles): Promise<void> {
    this.#lastLsn = await files.flush();
    this.#waiters.reached(this.#lastLsn, 0);
    const dueMs = this.#storedAt + this.#storeMs - performance.now();
    if (dueMs > 0) this.#timer ??= setTimeout(() => this.#tick(files), dueMs);
    else {
      await files.store();
      this.#storedAt = performance.now();
    }
  }

  #enter(state: ReplicaState, error: Error | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    const onState = this.#onState;
    if (onState !== undefined) callListener(() => onState(state, error), undefined);
  }

  #closed(): WalError {
    const what = `the replica in ${this.#directory} was closed`;
    return new WalError('WAL_CLOSED', what, { path: this.#directory, state: 'closed' });
  }
}

/** With these errors it is tried again. */
const TRANSIENT: ReadonlySet<WalErrorCode> = new Set<WalErrorCode>([
  'WAL_IO_FAILED',
  'WAL_TIMEOUT',
  'WAL_NOT_FOUND',
  'WAL_UNSUPPORTED',
]);

const isTransient = (error: unknown): boolean => WalError.is(error) && TRANSIENT.has(error.code);

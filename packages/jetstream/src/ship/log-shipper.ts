import { setTimeout as delay } from 'node:timers/promises';
import { type Lsn, WalError, type WalErrorCode } from '@walstack/codec';
import { checkInteger, checkOptions, notConstructible } from '@walstack/codec/internal';
import type { StoredRecord } from '@walstack/mmap-reader/internal';
import { callListener, checkSignal } from '@walstack/storage-io/internal';
import { PublishedRecords } from './published-records.js';
import { ReplicatedWaiters } from './replicated-waiters.js';
import { Retries } from './retries.js';
import { checkShip, type ShipOptions, type ShipSettings, type ShipState } from './ship-options.js';
import { ShipSession, SourceError } from './ship-session.js';
import { type OpenLog, type Source, sourceOf } from './source.js';

/** Counters and positions of a shipper. A frozen snapshot. */
export interface ShipStats {
  readonly state: ShipState;
  readonly stream: string;
  readonly subject: string;
  /** The last LSN that the stream is known to have; 0 before it was compared with the log. */
  readonly replicatedLsn: Lsn;
  /** The last durable LSN of the log; `undefined` for a log that is given as a directory. */
  readonly durableLsn: Lsn | undefined;
  /** Durable records that are not replicated; `undefined` where the durable LSN is. */
  readonly lagRecords: number | undefined;
  /** Bytes of the log behind what is replicated, marks and padding included; `undefined` where the durable LSN is. */
  readonly lagBytes: number | undefined;
  /** Messages on their way. */
  readonly inFlight: number;
  /** Records that this shipper has published and the stream has stored, and the bytes of their frames. */
  readonly records: number;
  readonly bytes: number;
  /** Connections that were opened, or tried. */
  readonly attempts: number;
  /** Why the last attempt has ended; `undefined` while there was no error since the last record. */
  readonly lastError: Error | undefined;
}

/** With these errors of the stream trying again would not help. */
const FINAL: ReadonlySet<WalErrorCode> = new Set<WalErrorCode>(['WAL_FENCED', 'WAL_CORRUPT', 'WAL_TRUNCATED']);

/** How often it looks whether the log keeps what is not replicated, in milliseconds. */
const HOLD_LOOK_MS = 5;

/**
 * Publishes the records of a log to a stream of NATS JetStream, in order and each once, as they become durable, and the log keeps
 * what the stream does not have yet. After a lost connection, a full stream or a restart it goes on by itself.
 *
 * ```ts
 * const shipper = LogShipper.start(wal, { connection: { servers: 'nats://localhost' }, log: 'orders', create: { num_replicas: 3 } });
 * const lsn = await wal.commit('order 17 paid'); // durable here
 * await shipper.replicated(lsn);                 // and on a quorum of the cluster
 * ```
 */
export class LogShipper {
  readonly #source: Source;
  readonly #settings: ShipSettings;
  readonly #waiters: ReplicatedWaiters;
  readonly #closing = new AbortController();
  readonly #retries: Retries;
  readonly #running: Promise<void>;
  #session: ShipSession | undefined;
  #state: ShipState = 'connecting';
  #failure: Error | undefined;
  #lastError: Error | undefined;
  #replicatedLsn: Lsn = 0;
  #attempts = 0;
  #records = 0;
  #bytes = 0;
  /** The position in the log behind what is replicated. */
  #storedEnd: { readonly position: number; readonly blockBytes: number } | undefined;
  readonly #published = new PublishedRecords();
  /** The segment of the last record that is replicated. */
  #replicatedSegment = 0;

  private constructor(source: Source, settings: ShipSettings) {
    if (settings === undefined) throw notConstructible('LogShipper', 'use LogShipper.start(log, options)');
    this.#source = source;
    this.#settings = settings;
    this.#waiters = new ReplicatedWaiters(source.segmentOf);
    this.#retries = new Retries(settings.retryMs, this.#closing.signal);
    this.#running = this.#run();
  }

  /**
   * Begins to ship a log.
   *
   * @param log - an open `Wal` of this process, or the directory of a log that any process writes. Only the first one knows at
   * once what is durable
   * @throws `TypeError`, `RangeError` for wrong options
   */
  static start(log: OpenLog | string | URL, options: ShipOptions): LogShipper {
    const settings = checkShip(options);
    return new LogShipper(sourceOf(log, options.io), settings);
  }

  /** What it does. */
  get state(): ShipState {
    return this.#state;
  }

  /** Why nothing more is published; `undefined` while something may be. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The last LSN that the stream is known to have; 0 before it was compared with the log. */
  get replicatedLsn(): Lsn {
    return this.#replicatedLsn;
  }

  /**
   * Waits until a record and all before it are stored by a quorum of the servers of the stream. In a log of this process the record
   * is made durable first. It waits for as long as the servers cannot be reached.
   *
   * ```ts
   * const lsn = await shipper.replicated(wal.commit('order 17 paid')); // durable here, and on a quorum of the cluster
   * ```
   *
   * @param record - its LSN, or the result of `commit` or `commitBatch` that will be
   * @returns the LSN
   * @param options - `signal`: ends the waiting and nothing else
   * @throws what `record` rejects with, `WAL_RANGE` for a record that an open log does not have, `WAL_TRUNCATED` when it is cut off meanwhile, `WAL_FENCED`,
   * `WAL_CLOSED`, `WAL_ABORTED`, why the log cannot be read
   */
  async replicated(record: Lsn | PromiseLike<Lsn>, options: { readonly signal?: AbortSignal } = {}): Promise<Lsn> {
    const { signal } = checkOptions('options', options, ['signal']);
    checkSignal(signal);
    const lsn = typeof record === 'number' ? record : await record;
    await this.#replicated(lsn, signal);
    return lsn;
  }

  async #replicated(lsn: Lsn, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isReplicated(checkInteger('lsn', lsn))) return;
    await this.#source.durable(lsn, signal);
    if (this.#isReplicated(lsn)) return;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing.signal.aborted) throw this.#closed();
    await this.#waiters.wait(lsn, signal);
  }

  /** Also where the log was cut since: then another record has the LSN. */
  #isReplicated(lsn: Lsn): boolean {
    return lsn <= this.#replicatedLsn && (this.#source.segmentOf(lsn) ?? 0) <= this.#replicatedSegment;
  }

  /** Counters and positions. */
  stats(): ShipStats {
    const durableLsn = this.#source.durableLsn();
    const { stream, subject } = this.#settings.stream;
    return Object.freeze({
      state: this.#state,
      stream,
      subject,
      replicatedLsn: this.#replicatedLsn,
      durableLsn,
      lagRecords: durableLsn === undefined ? undefined : Math.max(0, durableLsn - this.#replicatedLsn),
      lagBytes: this.#lagBytes(durableLsn),
      inFlight: this.#session?.inFlight ?? 0,
      records: this.#records,
      bytes: this.#bytes,
      attempts: this.#attempts,
      lastError: this.#failure ?? this.#lastError,
    });
  }

  #lagBytes(durableLsn: Lsn | undefined): number | undefined {
    const ends = this.#source.positions();
    if (durableLsn === undefined || ends === undefined) return undefined;
    if (durableLsn <= this.#replicatedLsn) return 0;
    const { position = ends.first, blockBytes = 0 } = this.#storedEnd ?? {};
    return Math.max(0, ends.end - blockBytes - position);
  }

  /** Waits until it is closed. @throws why it has failed */
  async ended(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the shipping, with what is on its way: the next one goes on there. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      await this.#session?.stop();
    }
    await this.#running;
  }

  /** Ends the shipping: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      await this.#hold();
      while (!this.#closing.signal.aborted) await this.#attempt();
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#waiters.fail(this.#failure ?? this.#closed());
    this.#enter(this.#failure === undefined ? 'closed' : 'failed', this.#failure);
  }

  /** From now on the log keeps what is not replicated, also as long as no server can be reached. */
  async #hold(): Promise<void> {
    const { name } = this.#settings;
    const follower = this.#source.follow('stored', { name, batch: 1, onHole: 'skip', signal: this.#closing.signal });
    let outcome: { readonly error?: unknown } | undefined;
    const first = follower.next().then(
      () => {
        outcome = {};
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    while (outcome === undefined && follower.position === undefined) {
      await Promise.race([first, delay(HOLD_LOOK_MS)]);
    }
    await follower.return().catch(() => {});
    await first;
    const { error } = outcome ?? {};
    // What was cut off or truncated is found out by comparing with the stream.
    if (error === undefined || WalError.is(error, 'WAL_TRUNCATED') || WalError.is(error, 'WAL_ABORTED')) return;
    if (WalError.is(error, 'WAL_CLOSED')) return this.#closing.abort();
    throw error;
  }

  /** One connection. @throws what ends the shipping for good */
  async #attempt(): Promise<void> {
    this.#attempts++;
    this.#enter('connecting', undefined);
    const recordsBefore = this.#records;
    this.#session = new ShipSession(this.#source, this.#settings, {
      began: () => this.#enter('shipping', undefined),
      begunEmpty: (nextLsn) => this.#reached(nextLsn - 1, this.#source.segmentOf(nextLsn - 1) ?? 0),
      stored: (record, isPublished) => this.#stored(record, isPublished),
    });
    // It may have been closed meanwhile.
    if (this.#closing.signal.aborted) return;
    try {
      await this.#session.run(this.#published);
    } catch (error) {
      await this.#recover(error, this.#records > recordsBefore);
    }
  }

  async #recover(error: unknown, hasProgress: boolean): Promise<void> {
    if (error instanceof SourceError) {
      const { reason } = error;
      // The log was closed in order.
      if (WalError.is(reason, 'WAL_CLOSED')) return this.#closing.abort();
      // The next attempt finds where the log was cut.
      if (WalError.is(reason, 'WAL_TRUNCATED') && reason.reason === 'cut-back') return;
      throw reason;
    }
    if (WalError.is(error) && FINAL.has(error.code)) throw error;
    this.#lastError = error as Error;
    if (hasProgress) this.#retries.reset();
    this.#enter('waiting', this.#lastError);
    await this.#retries.wait();
  }

  #stored(record: StoredRecord, isPublished: boolean): void {
    const { lsn } = record;
    this.#published.stored(record);
    this.#lastError = undefined;
    this.#storedEnd = { position: endOf(record), blockBytes: record.segment.blockBytes };
    if (isPublished) {
      this.#records++;
      this.#bytes += record.bytes.length;
    }
    this.#reached(lsn, record.segment.number);
  }

  #reached(lsn: Lsn, segment: number): void {
    this.#replicatedLsn = lsn;
    this.#replicatedSegment = segment;
    this.#waiters.reached(lsn, segment);
  }

  #enter(state: ShipState, error: Error | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    const { onState } = this.#settings;
    if (onState !== undefined) callListener(() => onState(state, error), undefined);
  }

  #closed(): WalError {
    const { stream } = this.#settings.stream;
    return new WalError('WAL_CLOSED', `shipping to the stream ${stream} was closed`, { path: stream, state: 'closed' });
  }
}

/** The position in the log behind a record. */
const endOf = ({ segment, position, bytes }: StoredRecord): number =>
  segment.firstPosition + position + bytes.length - segment.blockBytes;

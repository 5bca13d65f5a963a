// Long for the documentation of its calls: the work is done in commit/, follow/, reading.ts and shutdown.ts.

import { type InspectOptions, inspect } from 'node:util';
import type { KeyRing, Lsn, WalError } from '@walstack/codec';
import {
  checkInteger,
  checkOptions,
  checkPath,
  inspected,
  invalidType,
  notConstructible,
} from '@walstack/codec/internal';
import type { ReadFrom, ResumePoint } from '@walstack/mmap-reader';
import {
  type AppendOptions,
  type BackupOptions,
  type BackupReport,
  type Batch,
  type FollowerStats,
  type RecoveryReport,
  SegmentedWal,
  type SegmentMeta,
  systemEnvironment,
  type TruncateResult,
} from '@walstack/segmented';
import { checkClose } from '@walstack/segmented/internal';
import { withCallers } from '@walstack/storage-io/internal';
import { makeBuilder } from './builder.js';
import { type Abortable, signalIn } from './commit/aborting.js';
import { type CommitOptions, Committer } from './commit/committer.js';
import { EventBatch } from './commit/event-batch.js';
import type {
  AnyEncoding,
  Encoding,
  InputOf,
  PayloadCodec,
  PayloadInput,
  PayloadOf,
  WalEvent,
  WalIterator,
} from './encoding.js';
import type {
  EventMapEncoding,
  FollowTypes,
  IsEventMap,
  MappedEvent,
  MappedIterator,
  OfType,
  ReadTypes,
} from './event-map.js';
import type { Batched, Followable, WalFollower } from './follow/follow.js';
import { type FollowDirectoryOptions, type FollowEncoded, followDirectory } from './follow/follow-directory.js';
import type { FollowFrom, FollowOptions } from './follow/follow-options.js';
import { LogActivity, notifyingOnFailure } from './follow/log-activity.js';
import { LogFollowers } from './follow/log-followers.js';
import { setStoredFollowers } from './follow/stored.js';
import type { ImportOptions, ImportReport } from './import/import-options.js';
import { importRecords } from './import/import-records.js';
import { Lifecycle, type WalState } from './lifecycle.js';
import type { LogContext } from './log-context.js';
import {
  type EncodedOptions,
  type FlushSettings,
  type Schemed,
  type SchemedByType,
  splitOptions,
  type WalOptions,
} from './options.js';
import { readEvents, type WalReadOptions } from './reading.js';
import type { EventSchemas, SchemaInputs, SchemaOutputs, StandardSchema } from './schema.js';
import { Shutdown } from './shutdown.js';
import type { WalStats } from './stats.js';

// Long, as it documents every public call. What a call does is in the file that it passes it to.

/**
 * A write-ahead log: append events, commit them in groups, read them back in order after any crash.
 *
 * One thread owns a `Wal`. It goes through the states init → running → draining → closed, and never back; after a failure it
 * is failed until it is closed.
 *
 * `T` is what the payload of an event is when it is read, `I` what may be given when it is appended: the `encoding` that the
 * log is opened with decides both.
 */
export class Wal<T = Uint8Array, I = PayloadInput<T>> {
  readonly #path: string;
  readonly #log: SegmentedWal;
  readonly #payloads: PayloadCodec<T, I>;
  readonly #lifecycle: Lifecycle;
  readonly #committer: Committer<I>;
  readonly #followers: LogFollowers<T>;
  readonly #shutdown: Shutdown;

  private constructor(context: LogContext, payloads: PayloadCodec<T, I>, flush: FlushSettings) {
    if (flush === undefined) throw notConstructible('Wal', 'use await Wal.open(path)');
    this.#path = context.path;
    this.#log = context.log;
    this.#payloads = payloads;
    this.#lifecycle = context.lifecycle;
    this.#committer = new Committer(context, payloads, flush);
    this.#followers = new LogFollowers(context, payloads);
    setStoredFollowers(this, this.#followers);
    this.#shutdown = new Shutdown(context, this.#committer, this.#followers);
    this.#lifecycle.advance('running');
  }

  /**
   * Opens and recovers the log in a directory, or creates one. The events that it finds are durable on return.
   *
   * ```ts
   * const wal = await Wal.open<Order>('data/orders', { encoding: 'json' });
   * ```
   *
   * With the payload for each `type` of event, `Wal.open<{ 1: Placed; 2: Paid }>(path, { encoding: 'json' })`, events are a
   * discriminated union: {@link EventMapWal}.
   *
   * Reading gives the event loop its turn at least every 10 ms; `signal` ends it, and `onProgress` receives its progress.
   *
   * @param path - the directory, for this log only: a path or a `file:` URL
   * @throws `WAL_LOCKED`, `WAL_CORRUPT` (with nothing changed), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`,
   * `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`, `WAL_ABORTED`; `TypeError` and `RangeError` for wrong options
   */
  static open<M = never>(
    path: string | URL,
    options: IsEventMap<M> extends true ? EncodedOptions<EventMapEncoding<M>> : never,
  ): Promise<EventMapWal<M>>;
  static open<Input, Output>(
    path: string | URL,
    options: WalOptions<AnyEncoding> & Schemed<Input, Output>,
  ): Promise<Wal<Output, Input>>;
  static open<S extends EventSchemas>(
    path: string | URL,
    options: WalOptions<AnyEncoding> & SchemedByType<S>,
  ): Promise<EventMapWal<SchemaOutputs<S>, SchemaInputs<S>>>;
  static open(path: string | URL, options?: WalOptions): Promise<Wal>;
  static open(path: string | URL, options: EncodedOptions<'buffer'>): Promise<Wal<Buffer>>;
  static open(path: string | URL, options: EncodedOptions<'utf8'>): Promise<Wal<string>>;
  static open<T = unknown>(path: string | URL, options: EncodedOptions<'json'>): Promise<Wal<T>>;
  static open<T, I = PayloadInput<T>>(path: string | URL, options: EncodedOptions<Encoding<T, I>>): Promise<Wal<T, I>>;
  static open<E extends AnyEncoding>(
    path: string | URL,
    options: EncodedOptions<E>,
  ): Promise<Wal<PayloadOf<E>, InputOf<E>>>;
  static open<E extends AnyEncoding>(
    path: string | URL,
    options: WalOptions<E>,
  ): Promise<Wal<PayloadOf<E | 'view'>, InputOf<E | 'view'>>>;
  static async open(given: string | URL, options: WalOptions<AnyEncoding> = {}): Promise<unknown> {
    const path = checkPath('path', given);
    const { flush, payloads, config } = splitOptions(path, options);
    const activity = new LogActivity();
    const log = await SegmentedWal.open(notifyingOnFailure(config, activity));
    const { setTimer = systemEnvironment.setTimer, now = systemEnvironment.now, recoveryMode } = options;
    const isReadonly = recoveryMode === 'readonly';
    const context = { path, log, lifecycle: new Lifecycle(path), activity, setTimer, now, isReadonly };
    return new Wal(context, payloads, flush);
  }

  /**
   * Opens an existing log, closes it again, and reports what recovery found and did: {@link SegmentedWal.recover}.
   * `recoveryMode` `'readonly'` only checks the log, `'salvage'` repairs a damaged one.
   *
   * @returns the report; everything that was kept is durable
   * @throws what {@link open} throws; `WAL_NOT_FOUND` when there is no log, and none is created
   */
  static async recover(path: string | URL, options: WalOptions<AnyEncoding> = {}): Promise<RecoveryReport> {
    return await SegmentedWal.recover(splitOptions(checkPath('path', path), options).config);
  }

  /**
   * Opens a log with options that are set one by one:
   *
   * ```ts
   * const wal = await Wal.builder('data/orders').preset('throughput').segmentBytes(1 << 30).build();
   * ```
   */
  static builder(path: string | URL): WalBuilder {
    // Each overload of `open` is for one encoding; only the type of the builder determines which.
    const open = (options: WalOptions<AnyEncoding>) =>
      Wal.open(path, options as EncodedOptions<Encoding<unknown, never>>);
    // The methods are made from the option names of the type.
    return makeBuilder(open) as WalBuilder;
  }

  /**
   * Follows the log in a directory that another process writes, or none at the moment: like the method of this name, also
   * across reopening, without a lock and without changing anything.
   *
   * It is woken when the operating system reports that a file has changed, and polls as well. By default it returns events
   * that a later record of the log proves to be durable: the last events follow when the log continues, is idle for a moment
   * (`markAfterMs`), or is closed. Without the option `name` truncation may overtake it: `WAL_TRUNCATED` with `firstLsn`. With it,
   * the log keeps what the follower has not acknowledged, also while the follower is not running.
   *
   * @param path - the directory: a path or a `file:` URL
   * @param from - the first LSN wanted, which may not be assigned yet, `'first'`, `'checkpoint'` for the first one behind the
   * checkpoint of the log when the first event is requested, or a resume point
   * @throws `WAL_NOT_FOUND` when there is no log, `WAL_TRUNCATED`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`
   */
  static follow<M = never>(
    path: string | URL,
    from: FollowFrom,
    options: IsEventMap<M> extends true ? FollowEncoded<EventMapEncoding<M>> & { readonly batch: number } : never,
  ): WalFollower<readonly MappedEvent<M>[]>;
  static follow<M = never>(
    path: string | URL,
    from: FollowFrom,
    options: IsEventMap<M> extends true ? FollowEncoded<EventMapEncoding<M>> & { readonly batch?: undefined } : never,
  ): WalFollower<MappedEvent<M>>;
  static follow<Output, B extends number | undefined = undefined>(
    path: string | URL,
    from: FollowFrom,
    options: FollowDirectoryOptions<AnyEncoding> & Schemed<unknown, Output> & Batched<B>,
  ): WalFollower<Followable<Output, B>>;
  static follow<S extends EventSchemas>(
    path: string | URL,
    from: FollowFrom,
    options: FollowDirectoryOptions<AnyEncoding> & SchemedByType<S> & { readonly batch: number },
  ): WalFollower<readonly MappedEvent<SchemaOutputs<S>>[]>;
  static follow<S extends EventSchemas>(
    path: string | URL,
    from: FollowFrom,
    options: FollowDirectoryOptions<AnyEncoding> & SchemedByType<S> & { readonly batch?: undefined },
  ): WalFollower<MappedEvent<SchemaOutputs<S>>>;
  static follow<T>(
    path: string | URL,
    from: FollowFrom,
    options: FollowEncoded<'json' | Encoding<T, never>> & { readonly batch: number },
  ): WalFollower<readonly WalEvent<T>[]>;
  static follow<T>(
    path: string | URL,
    from: FollowFrom,
    options: FollowEncoded<'json' | Encoding<T, never>> & { readonly batch?: undefined },
  ): WalFollower<WalEvent<T>>;
  static follow<E extends AnyEncoding, B extends number | undefined = undefined>(
    path: string | URL,
    from: FollowFrom,
    options: FollowEncoded<E> & Batched<B>,
  ): WalFollower<Followable<PayloadOf<E>, B>>;
  static follow<E extends AnyEncoding = 'view', B extends number | undefined = undefined>(
    path: string | URL,
    from: FollowFrom,
    options?: FollowDirectoryOptions<E> & Batched<B>,
  ): WalFollower<Followable<PayloadOf<E | 'view'>, B>>;
  static follow(
    path: string | URL,
    from: FollowFrom,
    options: FollowDirectoryOptions<AnyEncoding> = {},
  ): WalFollower<unknown> {
    return followDirectory(path, from, options);
  }

  /** The directory, as it was given; of a URL its path. */
  get path(): string {
    return this.#path;
  }

  /** The directory, absolute when the backend has real files, as the diagnostics channels name the log. */
  get directory(): string {
    return this.#log.directory;
  }

  /** The state of the log. */
  get state(): WalState {
    const { state } = this.#lifecycle;
    return state !== 'closed' && this.failure !== undefined ? 'failed' : state;
  }

  /** The first LSN in the log; the next one to be assigned when the log has no event. */
  get firstLsn(): Lsn {
    return this.#log.firstLsn;
  }

  /** The last assigned LSN; `firstLsn − 1` when the log has no event. It may not be durable yet. */
  get lastLsn(): Lsn {
    return this.#log.lastLsn;
  }

  /** Everything up to this LSN survives a crash. */
  get durableLsn(): Lsn {
    return this.#log.durableLsn;
  }

  /** The last LSN that the application no longer needs, from the last {@link checkpoint}; 0 when there is none. */
  get checkpointLsn(): Lsn {
    return this.#log.checkpointLsn;
  }

  /** The first LSN that each hold keeps, by the hold's name. */
  get holds(): Readonly<Record<string, Lsn>> {
    return this.#log.holds;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get encryptionRing(): KeyRing | undefined {
    return this.#log.encryptionRing;
  }

  /** The failure after which the log accepts nothing more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#log.failure;
  }

  /** What opening found and did. */
  get recovery(): RecoveryReport {
    return this.#log.recovery;
  }

  /**
   * Appends an event in memory. It is not durable on return, and is written only some milliseconds later: {@link commit}
   * waits for durability.
   *
   * @param payload - bytes, copied before the call returns, or a string, encoded as UTF-8; may be empty
   * @returns its LSN
   * @throws `WAL_BACKPRESSURE` when more than `maxPendingBytes` would be pending, or a call waits for room already, see
   * {@link ready}; `WAL_TOO_LARGE`, `WAL_NO_SPACE`, `WAL_STATE`, `WAL_CLOSED`, the code of the first failure;
   * `TypeError`, `RangeError`. Then nothing was appended.
   */
  append(payload: I, options?: AppendOptions): Lsn {
    this.#lifecycle.requireRunning('append');
    return this.#committer.append(payload, options);
  }

  /**
   * Appends the events of a batch in memory. Like {@link append}, not durable on return. After any crash the log has all of
   * them or none. They are stored in one segment, which is made as large as they need.
   *
   * @param batch - made by `batch`, or a `Batch` of bytes that are appended as they are. Spent on return, but not when
   * the call throws
   * @returns the LSN of its last event
   * @throws `WAL_EMPTY_BATCH`, `WAL_STATE` for a spent batch, and what {@link append} throws. Then nothing was appended.
   */
  appendBatch(batch: Batch | EventBatch<I>): Lsn {
    this.#lifecycle.requireRunning('appendBatch');
    return this.#committer.appendBatch(batch);
  }

  /** A new batch, whose payloads go through the encoding of the log. */
  batch(): EventBatch<I> {
    const { encode, readsOptions } = this.#payloads;
    return new EventBatch(encode, undefined, readsOptions);
  }

  /**
   * Appends an event and waits until it is durable. All calls that wait at the same time share one write and one sync.
   * When memory is full it first waits for room, in the order of the calls, with a copy of its arguments. Calls that become durable
   * together settle one behind the other in no certain order: what depends on the order goes by the LSNs.
   *
   * @returns its LSN, durable
   * @throws what {@link append} throws except `WAL_BACKPRESSURE`. `WAL_IO_FAILED`, `WAL_NO_SPACE` and `WAL_CLOSED` of a
   * commit that waits for durability mean that its outcome is unknown, with the `reason` `'outcome-unknown'`.
   */
  commit(payload: I, options?: CommitOptions): Promise<Lsn> {
    // Not an async function: that would make a further promise for each commit.
    try {
      this.#lifecycle.requireRunning('commit');
      return this.#committer.commit(payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Appends the events of a batch and waits until they are durable: after a crash, the log has all of them or none. When
   * memory is full it first waits for room.
   *
   * @param batch - spent when the call returns, unless the call was rejected at once. If it is rejected while it waits for
   * room, nothing was appended, and the batch can be committed again
   * @param options - `signal`: see {@link commit}
   * @returns the LSN of its last event, durable
   * @throws what {@link appendBatch} and {@link commit} throw
   */
  commitBatch(batch: Batch | EventBatch<I>, options: Abortable = {}): Promise<Lsn> {
    try {
      this.#lifecycle.requireRunning('commitBatch');
      return this.#committer.commitBatch(batch, signalIn(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Makes everything up to an LSN durable, and waits until it is, on a full disk until there is room. For an LSN that is durable
   * already it resolves in any state of the log.
   *
   * @param lsn - at most `lastLsn`, which is always allowed, also when it is 0 in an empty log
   * @param options - `signal`: ends the waiting and nothing else
   * @throws like {@link commit}, but `WAL_NO_SPACE` only where a sync found no room, which is final, or the log is closed without
   */
  async durable(lsn: Lsn, options: Abortable = {}): Promise<void> {
    const signal = signalIn(options);
    if (checkInteger('lsn', lsn) <= this.durableLsn) return;
    this.#lifecycle.requireOpen('durable');
    await withCallers(this.#committer.durable(lsn, signal));
  }

  /**
   * Waits until there is room for appending again, in turn with all other waiting calls: after `append` has thrown
   * `WAL_BACKPRESSURE`, until something was written. Other calls may append first, so `append` can throw it again.
   *
   * @param options - `signal`: removes the call from the queue
   */
  async ready(options: Abortable = {}): Promise<void> {
    this.#lifecycle.requireRunning('ready');
    await withCallers(this.#committer.ready(signalIn(options)));
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  async flush(): Promise<void> {
    this.#lifecycle.requireOpen('flush');
    await this.#resolving(this.#log.flush());
  }

  /** Makes everything appended so far durable. */
  async sync(): Promise<void> {
    this.#lifecycle.requireOpen('sync');
    await this.#resolving(this.#log.sync());
  }

  /**
   * Calls `f` with every event from an LSN on, in order, up to the last event appended when it began. The event loop gets its
   * turn at least every 10 ms, the time of `f` not counted.
   *
   * @param from - the first LSN wanted, `'first'`, or `'checkpoint'` for the first one behind the checkpoint, see
   * {@link ReadFrom}
   * @param f - awaited when it returns a promise; an error of it ends the replay and is rethrown
   * @param options - `signal` ends it before the next event; `onProgress` is called at most once in each turn, and at the end
   * @returns the number of events
   * @throws `WAL_TRUNCATED` with `firstLsn`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`; `RangeError` for an LSN
   * beyond the next one
   */
  async replay(from: ReadFrom, f: (event: WalEvent<T>) => unknown, options: WalReadOptions = {}): Promise<number> {
    this.#lifecycle.requireOpen('replay');
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    return await readEvents(this.#log, this.#payloads, from, options).forEach(f);
  }

  /**
   * Reads one event: {@link SegmentedWal.read}, decoded.
   *
   * @param lsn - its LSN, at least 1
   * @returns `undefined` when the LSN is not assigned yet
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is no longer in the log; `WAL_BAD_PAYLOAD`, `WAL_CORRUPT`,
   * `WAL_IO_FAILED`, `WAL_BAD_KEY`, `WAL_CLOSED`
   */
  async read(lsn: Lsn): Promise<WalEvent<T> | undefined> {
    this.#lifecycle.requireOpen('read');
    const record = await this.#log.read(lsn);
    return record === undefined ? undefined : this.#payloads.toEvent(record);
  }

  /**
   * The events from an LSN on, in order, pulled one by one: `for await (const event of wal.iterator())`. Each iteration
   * ends with the last event appended when it began, and closes its files when the loop ends. The event loop gets its turn at
   * least every 10 ms; `for … of` blocks the thread.
   *
   * @param from - the first LSN wanted, `'first'`, the default, or `'checkpoint'`, as for {@link replay}
   * @param options - `signal` and `onProgress` as for {@link replay}
   * @throws like {@link replay}
   */
  iterator(from: ReadFrom = 'first', options: WalReadOptions = {}): WalIterator<T> {
    this.#lifecycle.requireOpen('iterator');
    return readEvents(this.#log, this.#payloads, from, options);
  }

  /**
   * The events from an LSN on, in order: first the existing ones, and then, without end, new ones as they are appended, across
   * rolls and truncation. `for await (const event of wal.follow(lsn))`.
   *
   * It is woken when events become durable. While it reads, truncation and retention keep the events that it has not read yet.
   * If {@link truncateAfter} or {@link resetTo} cuts off events that it has returned, it ends with `WAL_TRUNCATED`, whose `lsn`
   * is the first one that is no longer in the log. Closing the log ends it with `WAL_CLOSED`. A log that was opened with
   * `recoveryMode` `'readonly'` is followed as another process writes it: see the static method of this name.
   *
   * @param from - the first LSN wanted, which may not be assigned yet, `'first'`, the default, `'checkpoint'` for the first
   * one behind the checkpoint when the first event is requested, or a resume point
   * @throws `WAL_TRUNCATED`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`, `WAL_CLOSED`, and the first failure of the log
   * after all durable events were returned
   */
  follow(from: FollowFrom, options: FollowOptions & { readonly batch: number }): WalFollower<readonly WalEvent<T>[]>;
  follow(from?: FollowFrom, options?: FollowOptions & { readonly batch?: undefined }): WalFollower<WalEvent<T>>;
  follow(from?: FollowFrom, options?: FollowOptions): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]>;
  follow(
    from: FollowFrom = 'first',
    options: FollowOptions = {},
  ): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]> {
    this.#lifecycle.requireOpen('follow');
    return this.#followers.follow(from, options);
  }

  /**
   * The resume point of a reader that has read everything before an LSN, for example with a replay: {@link follow} continues
   * there, and ends with `WAL_TRUNCATED` if any of these events was cut off since. It is a plain value, for JSON.
   *
   * @param lsn - the first LSN that the reader does not have
   * @returns `undefined` when the event before `lsn` is no longer in the log, or not yet
   */
  resumePointAt(lsn: Lsn): ResumePoint | undefined {
    this.#lifecycle.requireOpen('resumePointAt');
    return this.#log.resumePointAt(lsn);
  }

  /**
   * Removes the segments whose events are all below `lsn` and below every {@link hold}: {@link SegmentedWal.truncateBefore}.
   * Durable on return.
   *
   * @param lsn - the first LSN that is still needed, 1 to `lastLsn` + 1, which leaves an empty log whose LSNs continue
   * @throws `WAL_NO_SPACE` with nothing changed
   */
  async truncateBefore(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('truncateBefore');
    return await this.#resolving(this.#log.truncateBefore(lsn));
  }

  /**
   * Drops every event after `lsn`; the next event gets `lsn` + 1: {@link SegmentedWal.truncateAfter}. Durable on return, and
   * atomic. It first makes everything appended before durable, so waiting commits resolve, whether their event stays or not.
   * Until it is done `append` throws `WAL_STATE`, and commits wait. A checkpoint and holds that are ahead move back to `lsn`.
   *
   * @param lsn - the last LSN that is kept: `firstLsn` − 1, which empties the log, to `lastLsn`, which changes nothing
   * @throws `WAL_TRUNCATED` when `lsn` is before the log's beginning; `WAL_NO_SPACE`: then nothing is lost, and the log
   * continues; `RangeError` beyond `lastLsn`
   */
  async truncateAfter(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('truncateAfter');
    return await withCallers(this.#committer.runCut(async () => this.#log.truncateAfter(lsn)));
  }

  /**
   * Drops every event, and continues with `lsn`: {@link SegmentedWal.resetTo}. Durable on return, and atomic. Waiting calls are
   * treated as by {@link truncateAfter}. A checkpoint that is ahead moves back to `lsn` − 1, and every hold moves to `lsn`.
   *
   * @param lsn - the LSN of the next event, any
   * @throws `WAL_NO_SPACE`: then nothing is lost, and the log continues
   */
  async resetTo(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('resetTo');
    return await withCallers(this.#committer.runCut(async () => this.#log.resetTo(lsn)));
  }

  /**
   * Records that the application no longer needs the events up to `lsn`, which retention may then drop (`retainBytes`,
   * `retainAgeMs`): {@link SegmentedWal.checkpoint}. Durable on return, and so is `lsn`.
   *
   * @param lsn - 0 to `lastLsn`; at or before the current checkpoint, nothing changes
   * @throws `WAL_NO_SPACE` with nothing changed
   */
  async checkpoint(lsn: Lsn): Promise<void> {
    this.#lifecycle.requireRunning('checkpoint');
    await this.#resolving(this.#log.checkpoint(lsn));
  }

  /**
   * Keeps every event from `lsn` on from being truncated, in this process and later ones, until the hold moves or is released:
   * {@link SegmentedWal.hold}. Durable on return, together with every event before `lsn`.
   *
   * @param name - 1 to 128 characters; a hold of this name moves
   * @param lsn - `firstLsn` to `lastLsn` + 1
   * @throws `WAL_TRUNCATED` with `firstLsn` when `lsn` was removed already; `WAL_TOO_LARGE` beyond 1024 holds; `WAL_NO_SPACE`
   * with nothing changed
   */
  async hold(name: string, lsn: Lsn): Promise<void> {
    this.#lifecycle.requireRunning('hold');
    await this.#resolving(this.#log.hold(name, lsn));
  }

  /** Releases a hold. Durable on return. @returns whether there was one of this name */
  async releaseHold(name: string): Promise<boolean> {
    this.#lifecycle.requireRunning('releaseHold');
    return await this.#log.releaseHold(name);
  }

  /**
   * Encrypts everything that is appended from now on with the current key of a ring: {@link SegmentedWal.setEncryptionRing}.
   *
   * @throws `WAL_STATE` when something was appended since the log was opened; `WAL_BAD_KEY` when the ring lacks its current
   * key, or the key of the newest records; `WAL_UNSUPPORTED` when its callback is asynchronous: `await ring.load()`
   * first; `WAL_CLOSED`, the code of the first failure; `TypeError`
   */
  setEncryptionRing(ring: KeyRing): void {
    this.#lifecycle.requireRunning('setEncryptionRing');
    this.#log.setEncryptionRing(ring);
  }

  /**
   * Makes everything appended durable, and begins a new segment, which is encrypted with the current key of the ring:
   * {@link SegmentedWal.rotateKey}. Earlier segments need their keys as long as they exist.
   *
   * @param id - the key that becomes the current one of the ring. Default: the current one, as after `ring.use(id)`
   * @throws `WAL_BAD_KEY` when the ring lacks the key, with nothing changed; `WAL_STATE` when the log has no ring;
   * `WAL_NO_SPACE`: then the next segment is encrypted with it, once there is space; `WAL_IO_FAILED`, `WAL_CLOSED`
   */
  async rotateKey(id?: number): Promise<void> {
    this.#lifecycle.requireRunning('rotateKey');
    await this.#resolving(this.#log.rotateKey(id));
  }

  /**
   * Backs the log up into another directory, beside everything else that is done with it: {@link SegmentedWal.backup}. The
   * backup is a log of its own, and contains every event that was appended before the call, durably. An earlier backup in that
   * directory is brought up to date, and stays as it was until the new one is complete.
   *
   * ```ts
   * await wal.backup('/backups/orders');
   * ```
   *
   * @param directory - a path or a `file:` URL: missing, empty, or with an earlier backup of this log
   * @returns what it consists of
   * @throws `WAL_FOREIGN_DIRECTORY` when anything else is in the directory, with nothing changed; `WAL_BAD_HEADER`,
   * `WAL_LOCKED`, `WAL_ABORTED`, `WAL_CORRUPT`, `WAL_NO_SPACE`, `WAL_IO_FAILED`, `WAL_CLOSED`, the first failure of the log
   */
  async backup(directory: string | URL, options: BackupOptions = {}): Promise<BackupReport> {
    this.#lifecycle.requireRunning('backup');
    return await this.#resolving(this.#log.backup(directory, options));
  }

  /**
   * Appends the records of another log, of a backup, or of a quarantine: what a salvage has taken out of a log, or what another
   * log has and this one lacks. They get new LSNs, in the order of the source, and a new time; type, meta, ids and bytes stay as they are,
   * without going through the `encoding`. A batch is imported as a batch, as far as it is chosen. Other calls may append between.
   *
   * ```ts
   * await wal.importFrom(wal.recovery.salvage.quarantine, { quarantine: true });
   * ```
   *
   * Everything is durable when it resolves. It goes on in groups: `onProgress` says after each what is imported and durable,
   * and an import that did not come to its end continues with `from: sourceLsn + 1`, that of a quarantine with
   * `after: { file: sourceFile, lsn: sourceLsn }`. When it rejects and the log has not failed, everything that was appended is
   * durable and was reported, except on a full disk: `WAL_NO_SPACE` ends it, and with the `reason` `'outcome-unknown'` up to one
   * group becomes durable when there is room. A crash may come between a group and its report: then up to one group is imported
   * again.
   *
   * @param source - the directory, which is only read: a path or a `file:` URL. Another process may write that log
   * @returns what was imported
   * @throws `WAL_UNSUPPORTED` for the directory of this log; `WAL_ABORTED`, whose `lsn` is the last one of the source that is
   * imported, or the one before `from`; `WAL_NO_SPACE`, with the same `lsn`, and as `lastLsn` the last one of the source that
   * is appended: the import goes on behind that one in this log, once {@link sync} has found room, and behind `lsn` when the
   * log was closed before, or has failed; `WAL_HOLE`, `WAL_CORRUPT`, `WAL_TRUNCATED`, `WAL_NOT_FOUND`, `WAL_BAD_KEY` for what cannot be read
   * of the source; `WAL_CLOSED`, with the same `lsn`, once the log is closed: opened again it has nothing of the source behind
   * that; with the `reason` `'outcome-unknown'`, when closing has failed, up to one group; `WAL_TOO_LARGE`, `WAL_IO_FAILED`,
   * `WAL_STATE`, the first failure of the log
   */
  async importFrom(source: string | URL, options: ImportOptions = {}): Promise<ImportReport> {
    this.#lifecycle.requireRunning('importFrom');
    const committer = this.#committer;
    return await withCallers(
      importRecords(
        {
          log: this.#log,
          append: (payload, about) => committer.appendStored(payload, about),
          appendBatch: (batch) => committer.appendStoredBatch(batch),
          durable: (lsn) => committer.committed(lsn),
          appended: () => committer.appended,
          isDurable: (end) => committer.isDurable(end),
          closing: () => this.#shutdown.closing,
          ended: this.#shutdown.ended,
        },
        source,
        options,
      ),
    );
  }

  /** The segments of the log, from the oldest to the newest. */
  listSegments(): readonly SegmentMeta[] {
    return this.#log.listSegments();
  }

  /**
   * How far the followers of the log are: those with a name, in any process, by their files as they are now, and those in this
   * process. What cannot be read is `'unreadable'`, and no error.
   *
   * @throws `WAL_CLOSED`
   */
  async followers(): Promise<readonly FollowerStats[]> {
    this.#lifecycle.requireOpen('followers');
    return this.#followers.withReading(await this.#log.followers());
  }

  /**
   * Removes a follower with a name that will not come back, so that the log keeps nothing for it any more:
   * {@link SegmentedWal.removeFollower}. Durable on return.
   *
   * @param name - its name
   * @returns whether there was one with this name
   * @throws `WAL_LOCKED` when a process has it open; `WAL_IO_FAILED` when its file cannot be removed
   */
  async removeFollower(name: string): Promise<boolean> {
    this.#lifecycle.requireRunning('removeFollower');
    return await this.#log.removeFollower(name);
  }

  /** Counters and sizes since the log was opened, as a frozen snapshot. */
  stats(): WalStats {
    const stats = this.#log.stats();
    return Object.freeze({
      ...stats,
      followers: this.#followers.withReading(stats.followers),
      state: this.state,
      firstLsn: this.firstLsn,
      lastLsn: this.lastLsn,
      durableLsn: this.durableLsn,
      sizeBytes: this.#log.totalSizeBytes(),
      commits: this.#committer.served,
      waitingCommits: this.#committer.waiting,
      waitingForRoom: this.#committer.waitingForRoom,
    });
  }

  /**
   * Rejects new events, makes everything appended durable, resolves the waiting calls, and closes the log. Idempotent: a further
   * call has the result of the first one.
   *
   * @param options - `timeoutMs`: how long to wait, in milliseconds, default without limit
   * @throws `WAL_TIMEOUT`: the log is still draining; call again, or `close`. The first failure, when not everything could be
   * made durable; `WAL_CLOSED` when a call of `close` prevented it.
   */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs } = checkOptions('options', options, ['timeoutMs']);
    if (timeoutMs !== undefined) checkInteger('timeoutMs', timeoutMs, 0, 0x7fff_ffff);
    await withCallers(this.#shutdown.drain(timeoutMs));
  }

  /**
   * Drops every event that was appended and not yet written to the operating system, and closes the log at once; use
   * {@link shutdown} to keep them. If it drops any, it warns once with their number: `process.emitWarning` with the code
   * `WAL_CLOSE_PENDING`. Waiting commits are rejected with `WAL_CLOSED`. Idempotent.
   *
   * @param options - `discard`: drop them without the warning, default `false`. The first call decides.
   * @throws the failure of the log when something that was handed to the operating system is not durable, and no call that
   * writes has reported the failure: that of a flush in the background, or of a group whose commits were all aborted
   */
  close(options: { readonly discard?: boolean } = {}): Promise<void> {
    // Not an async function: each call returns the same promise.
    try {
      return this.#shutdown.close(checkClose(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Closes the log after everything is durable: {@link shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** What `console.log` shows: the path, the state and the positions. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { path, state, firstLsn, lastLsn, durableLsn, failure } = this;
    const facts = { path, state, firstLsn, lastLsn, durableLsn, failure: failure?.code };
    return inspected(this.constructor.name, facts, depth, options);
  }

  /** Resolves what a call of the log has made durable, also when that call fails afterwards. */
  async #resolving<Result>(call: Promise<Result>): Promise<Result> {
    try {
      return await call;
    } finally {
      this.#committer.resolveDurable();
    }
  }
}

/**
 * Opens a log with options that are set one by one: a method for each option, and `build()`. Each call returns a new builder
 * and leaves the old one unchanged. `build()` checks the values and opens the log, as `Wal.open` does.
 */
export type WalBuilder<T = Uint8Array, I = PayloadInput<T>> = {
  readonly [Name in Exclude<keyof WalOptions, 'encoding' | 'schema' | 'schemas'>]-?: (
    value: NonNullable<WalOptions[Name]>,
  ) => WalBuilder<T, I>;
} & {
  /** Sets how payloads are encoded. */
  encoding(encoding: 'view'): WalBuilder;
  encoding(encoding: 'buffer'): WalBuilder<Buffer>;
  encoding(encoding: 'utf8'): WalBuilder<string>;
  encoding<T = unknown>(encoding: 'json'): WalBuilder<T>;
  encoding<T, I = PayloadInput<T>>(encoding: Encoding<T, I>): WalBuilder<T, I>;
  /** Sets the schema that checks payloads, after the encoding was set. */
  schema<Input, Output>(schema: StandardSchema<Input, Output>): WalBuilder<Output, Input>;
  /** Sets the schema for each type of event, after the encoding was set. */
  schemas<S extends EventSchemas>(
    schemas: S,
  ): Omit<WalBuilder<T, I>, 'build'> & { build(): Promise<EventMapWal<SchemaOutputs<S>, SchemaInputs<S>>> };
  /** Checks the options, and opens the log. */
  build(): Promise<Wal<T, I>>;
};

/** The calls of {@link EventMapWal} that have other types than those of a {@link Wal}. */
type Mapped = 'append' | 'commit' | 'batch' | 'appendBatch' | 'commitBatch' | 'replay' | 'read' | 'iterator' | 'follow';

/**
 * A {@link Wal} whose events have payloads by their `type`: what `Wal.open<{ 1: Placed; 2: Paid }>(…)` returns, and `Wal.open` with
 * `schemas`. Events that are read are a discriminated union, and an append names its type.
 *
 * `M` is what is read, `I` what is appended: both are the same unless schemas change payloads.
 */
export interface EventMapWal<M, I = M> extends Omit<Wal<M[keyof M]>, Mapped> {
  /** {@link Wal.append} */
  append<K extends keyof I>(payload: I[K], options: AppendOptions & OfType<K>): Lsn;
  /** {@link Wal.commit} */
  commit<K extends keyof I>(payload: I[K], options: CommitOptions & OfType<K>): Promise<Lsn>;
  /** {@link Wal.batch} */
  batch(): EventMapBatch<I>;
  /** {@link Wal.appendBatch} */
  appendBatch(batch: Batch | EventMapBatch<I>): Lsn;
  /** {@link Wal.commitBatch} */
  commitBatch(batch: Batch | EventMapBatch<I>, options?: { readonly signal?: AbortSignal }): Promise<Lsn>;
  /** {@link Wal.replay} */
  replay<K extends keyof M = keyof M>(
    from: ReadFrom,
    f: (event: MappedEvent<M, K>) => unknown,
    options?: ReadTypes<K>,
  ): Promise<number>;
  /** {@link Wal.read} */
  read(lsn: Lsn): Promise<MappedEvent<M> | undefined>;
  /** {@link Wal.iterator} */
  iterator<K extends keyof M = keyof M>(from?: ReadFrom, options?: ReadTypes<K>): MappedIterator<MappedEvent<M, K>>;
  /** {@link Wal.follow} */
  follow<K extends keyof M = keyof M>(
    from: FollowFrom,
    options: FollowTypes<K> & { readonly batch: number },
  ): WalFollower<readonly MappedEvent<M, K>[]>;
  follow<K extends keyof M = keyof M>(
    from?: FollowFrom,
    options?: FollowTypes<K> & { readonly batch?: undefined },
  ): WalFollower<MappedEvent<M, K>>;
}

/** A batch of an {@link EventMapWal}. */
export interface EventMapBatch<M> extends Omit<EventBatch<M[keyof M]>, 'add' | 'clone'> {
  /** {@link EventBatch.add} */
  add<K extends keyof M>(payload: M[K], options: AppendOptions & OfType<K>): this;
  /** {@link EventBatch.clone} */
  clone(): EventMapBatch<M>;
}

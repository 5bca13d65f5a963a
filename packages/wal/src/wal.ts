import {
  checkInteger,
  checkOptions,
  checkPath,
  invalidType,
  type KeyRing,
  type Lsn,
  optionNames,
  outOfRange,
  WalError,
} from '@walstack/codec';
import type { LogTail, ResumePoint } from '@walstack/mmap-reader';
import {
  type AppendOptions,
  Batch,
  type Environment,
  type ReadOptions,
  type RecoveryReport,
  type Replay,
  SegmentedWal,
  type SegmentedWalConfig,
  type SegmentMeta,
  systemEnvironment,
  type TruncateResult,
} from '@walstack/segmented';
import { makeBuilder } from './builder.js';
import { type Abortable, aborted, checkSignal, throwIfAborted, unlessAborted } from './commit/aborting.js';
import { Admission } from './commit/admission.js';
import { BackgroundFlush } from './commit/background-flush.js';
import { EVENT_OPTIONS, keepBytes, keepOptions } from './commit/copy-arguments.js';
import { EventBatch } from './commit/event-batch.js';
import { asWalError, GroupCommit } from './commit/group-commit.js';
import {
  type AnyEncoding,
  type Encoding,
  type EventReading,
  type PayloadCodec,
  type PayloadInput,
  payloadCodecOf,
  type WalEvent,
  type WalIterator,
} from './encoding.js';
import { type Unfinished, unwatchExit, watchExit } from './exit-warning.js';
import { DirectoryWatch } from './follow/directory-watch.js';
import {
  type Batched,
  checkFollow,
  FOLLOW_OPTIONS,
  type Followable,
  type Followed,
  type FollowOptions,
  followEvents,
  followPieces,
  type WalFollower,
} from './follow/follow.js';
import {
  checkDirectory,
  FOLLOW_DIRECTORY_OPTIONS,
  type FollowDirectoryOptions,
  openDirectory,
  POLL_MS,
} from './follow/follow-directory.js';
import { Progress } from './follow/log-activity.js';
import { Lifecycle, type WalState } from './lifecycle.js';
import { type Encoded, type EncodedOptions, type FlushSettings, splitOptions, type WalOptions } from './options.js';
import type { WalStats } from './stats.js';

/** An event's options, and what may give up waiting for it. */
export interface CommitOptions extends AppendOptions, Abortable {}

/** How a log is read. */
export interface WalReadOptions extends ReadOptions, Abortable {}

const COMMIT_OPTIONS = Object.freeze([...EVENT_OPTIONS, 'signal'] as const);
const READ_OPTIONS = optionNames<WalReadOptions>({
  copy: true,
  to: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  toTimeMs: true,
  signal: true,
});

/**
 * A write-ahead log: append events, commit them in groups, read them back in order after any crash.
 *
 * One thread owns a `Wal`. It goes through the states init → running → draining → closed, and never back.
 *
 * `T` is what the payload of an event is when it is read, `I` what may be given when it is appended: the `encoding` that the
 * log is opened with decides both.
 */
export class Wal<T = Uint8Array, I = PayloadInput<T>> {
  readonly #path: string;
  readonly #log: SegmentedWal;
  readonly #payloads: PayloadCodec<T, I>;
  readonly #setTimer: Environment['setTimer'];
  /** Whether another process writes the log, or none. */
  readonly #isReadonly: boolean;
  readonly #lifecycle = new Lifecycle();
  readonly #admission = new Admission();
  /** What ends each following of this log. */
  readonly #followers = new Set<() => void>();
  readonly #progress: Progress;
  readonly #commits: GroupCommit;
  readonly #background: BackgroundFlush;
  readonly #unfinished: Unfinished = { pendingWork: () => this.#pendingWork() };
  /** Resolves when all calls to cut off the end of the log have ended. */
  #cut: Promise<unknown> = Promise.resolve();
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    path: string,
    log: SegmentedWal,
    progress: Progress,
    payloads: PayloadCodec<T, I>,
    flush: FlushSettings,
    { setTimer = systemEnvironment.setTimer, recoveryMode }: WalOptions<AnyEncoding>,
  ) {
    this.#path = path;
    this.#log = log;
    this.#progress = progress;
    this.#payloads = payloads;
    this.#setTimer = setTimer;
    this.#isReadonly = recoveryMode === 'readonly';
    this.#commits = new GroupCommit(log, this.#admission, this.#progress);
    this.#background = new BackgroundFlush(log, flush, setTimer, () => {
      this.#admission.admit();
      this.#progress.made();
    });
    this.#lifecycle.advance('running');
    // What lies in memory alone ends with the process in any case.
    if (log.io.capabilities.realFiles) watchExit(this.#unfinished);
  }

  /**
   * Opens the log in a directory, recovering it, or makes a new one. What is found is durable on return.
   *
   * ```ts
   * const wal = await Wal.open<Order>('data/orders', { encoding: 'json' });
   * ```
   *
   * @param path - the directory, which is the log's alone
   * @throws `WAL_LOCKED`, `WAL_CORRUPT` (nothing is changed then), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`,
   * `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`; `TypeError` and `RangeError` for wrong options
   */
  static open(path: string, options?: WalOptions): Promise<Wal>;
  static open(path: string, options: EncodedOptions<'buffer'>): Promise<Wal<Buffer>>;
  static open(path: string, options: EncodedOptions<'utf8'>): Promise<Wal<string>>;
  static open<T = unknown>(path: string, options: EncodedOptions<'json'>): Promise<Wal<T, T>>;
  static open<T, I = T>(path: string, options: EncodedOptions<Encoding<T, I>>): Promise<Wal<T, I>>;
  static async open(path: string, options: WalOptions<AnyEncoding> = {}): Promise<Wal<unknown, never>> {
    const { flush, encoding, config } = splitOptions(checkPath('path', path), options);
    const payloads = payloadCodecOf(encoding);
    const progress = new Progress();
    const log = await SegmentedWal.open(tellingOfFailure(config, progress));
    return new Wal(path, log, progress, payloads, flush, options);
  }

  /**
   * Opens a log that is there, closes it again, and tells what was found and done: with `recoveryMode` `'readonly'` nothing is
   * done, so that says whether a log is sound, and `'salvage'` repairs one that is not.
   *
   * @returns the report, with everything durable that it says was kept
   * @throws what {@link open} throws; `WAL_NOT_FOUND` where there is no log, which is not made
   */
  static async recover(path: string, options: WalOptions<AnyEncoding> = {}): Promise<RecoveryReport> {
    const { encoding, config } = splitOptions(checkPath('path', path), options);
    payloadCodecOf(encoding);
    return SegmentedWal.recover(config);
  }

  /**
   * Opens a log with its options given one by one:
   *
   * ```ts
   * const wal = await Wal.builder('data/orders').preset('throughput').segmentBytes(1 << 30).build();
   * ```
   */
  static builder(path: string): WalBuilder {
    const open = (options: WalOptions<AnyEncoding>): Promise<unknown> =>
      // The overloads know one encoding each; which one it is, only the type of the builder tells.
      Wal.open(path, options as EncodedOptions<Encoding<unknown, never>>);
    // The methods are made of the same list of options that the type is made of.
    return makeBuilder({}, open) as WalBuilder;
  }

  /**
   * Follows the log in a directory that another process writes, or none at the moment: like the method of this name, across
   * reopening as well, without a lock and without changing anything.
   *
   * It is woken when the operating system says that a file has changed, and looks every so often in any case. By default it
   * gives out what something later in the log proves to be durable: the last events come when the log goes on, is quiet for
   * a moment (`markAfterMs`), or is closed. It has no hold, so truncation may overtake it: `WAL_TRUNCATED` with `firstLsn`.
   *
   * @param path - the directory
   * @param from - the first LSN wanted, which may be one that was not given out yet, or `'first'`
   * @throws `WAL_NOT_FOUND` where there is no log, `WAL_TRUNCATED`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`
   */
  static follow<B extends number | undefined = undefined>(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options?: FollowDirectoryOptions & Batched<B>,
  ): WalFollower<Followable<Uint8Array, B>>;
  static follow<B extends number | undefined = undefined>(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options: FollowDirectoryOptions<'buffer'> & Encoded<'buffer'> & Batched<B>,
  ): WalFollower<Followable<Buffer, B>>;
  static follow<B extends number | undefined = undefined>(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options: FollowDirectoryOptions<'utf8'> & Encoded<'utf8'> & Batched<B>,
  ): WalFollower<Followable<string, B>>;
  static follow<T = unknown, B extends number | undefined = undefined>(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options: FollowDirectoryOptions<'json'> & Encoded<'json'> & Batched<B>,
  ): WalFollower<Followable<T, B>>;
  static follow<T, B extends number | undefined = undefined>(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options: FollowDirectoryOptions<Encoding<T, never>> & Encoded<Encoding<T, never>> & Batched<B>,
  ): WalFollower<Followable<T, B>>;
  static follow(
    path: string,
    from: Lsn | 'first' | ResumePoint,
    options: FollowDirectoryOptions<AnyEncoding> = {},
  ): WalFollower<unknown> {
    const settings = checkFollow(from, options, FOLLOW_DIRECTORY_OPTIONS);
    const directory = checkDirectory(path, options);
    const payloads = payloadCodecOf(options.encoding ?? 'view');
    const open = (): Followed<unknown> => openDirectory(directory, payloads);
    return settings.batch === undefined ? followEvents(open, settings) : followPieces(open, settings);
  }

  /** The directory, as it was given. */
  get path(): string {
    return this.#path;
  }

  /** The directory, absolute where the backend has real files: what the diagnostics channels call the log. */
  get directory(): string {
    return this.#log.directory;
  }

  get state(): WalState {
    return this.#lifecycle.state;
  }

  /** The first LSN in the log; the next one to be given out when the log has no event. */
  get firstLsn(): Lsn {
    return this.#log.firstLsn;
  }

  /** The last LSN given out; `firstLsn − 1` when the log has no event. It may not be durable yet. */
  get lastLsn(): Lsn {
    return this.#log.lastLsn;
  }

  /** Everything up to this LSN survives a crash. */
  get durableLsn(): Lsn {
    return this.#log.durableLsn;
  }

  /** The last LSN that the application no longer needs, as the last {@link checkpoint} has it; 0 when there is none. */
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

  /** The failure after which nothing is accepted any more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#log.failure;
  }

  /** What opening found and did. */
  get recovery(): RecoveryReport {
    return this.#log.recovery;
  }

  /**
   * Appends an event in memory. Not durable on return, and written only some milliseconds later: {@link commit} waits
   * for durability.
   *
   * @param payload - bytes, copied before the call returns, or a string, encoded as UTF-8; may be empty
   * @returns its LSN
   * @throws `WAL_BACKPRESSURE` when more is pending than `maxPendingBytes` or a call waits for room already, see
   * {@link ready}; `WAL_TOO_LARGE`, `WAL_NO_SPACE`, `WAL_STATE`, `WAL_CLOSED`, the code of the first failure;
   * `TypeError`, `RangeError`. Nothing was appended then.
   */
  append(payload: I, options?: AppendOptions): Lsn {
    this.#lifecycle.requireRunning('append');
    if (this.#admission.isClosed) throw this.#refusal();
    const encoded = this.#payloads.encode(payload);
    let lsn: Lsn;
    try {
      lsn = this.#log.append(encoded, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) this.#admission.refused();
      throw error;
    }
    this.#background.appended();
    return lsn;
  }

  /**
   * Appends the events of a batch in memory. Not durable on return, like {@link append}. After any crash the log has all of
   * them or none. They lie in one segment, which is made as large as they need.
   *
   * @param batch - made by {@link batch}, or a `Batch` of bytes that are appended as they are. Spent on return, and only then
   * @returns the LSN of its last event
   * @throws `WAL_EMPTY_BATCH`, `WAL_STATE` for a batch that is spent, and what {@link append} throws. Nothing was appended
   * then.
   */
  appendBatch(batch: Batch | EventBatch<I>): Lsn {
    this.#lifecycle.requireRunning('appendBatch');
    if (this.#admission.isClosed) throw this.#refusal();
    let lsn: Lsn;
    try {
      lsn = this.#log.appendBatch(recordsIn(batch));
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) this.#admission.refused();
      throw error;
    }
    this.#background.appended();
    return lsn;
  }

  /** A new batch, whose payloads go through the encoding of the log. */
  batch(): EventBatch<I> {
    return new EventBatch(this.#payloads.encode);
  }

  /**
   * Appends an event and waits until it is durable. All calls that wait at the same time share one write and one sync.
   * When memory is full it waits for room first, in the order of the calls, with a copy of what it was given.
   *
   * @returns its LSN, durable
   * @throws what {@link append} throws but `WAL_BACKPRESSURE`. `WAL_IO_FAILED`, `WAL_NO_SPACE` and `WAL_CLOSED` of a
   * commit that waits for durability mean that its outcome is unknown, and their `reason` is `'outcome-unknown'`.
   */
  commit(payload: I, options?: CommitOptions): Promise<Lsn> {
    // Not an async function: one promise for a commit, and not three, is felt where there are many.
    try {
      this.#lifecycle.requireRunning('commit');
      if (options !== undefined && hasSignal(options)) return this.#commitUnlessAborted(payload, options);
      const encoded = this.#payloads.encode(payload);
      const lsn = this.#admission.isClosed ? undefined : this.#tryAppend(encoded, options);
      return lsn === undefined ? this.#commitInTurn(encoded, options) : this.#commits.wait(lsn);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Appends the events of a batch and waits until they are durable: all of them, or none after a crash. When memory is full
   * it waits for room first.
   *
   * @param batch - spent when the call returns, unless it was refused; where it is rejected while it waits for room, and so
   * with nothing appended, it is as it was before the call, and can be committed again
   * @param options - `signal`: see {@link commit}
   * @returns the LSN of its last event, durable
   * @throws what {@link appendBatch} and {@link commit} throw
   */
  async commitBatch(batch: Batch | EventBatch<I>, options: Abortable = {}): Promise<Lsn> {
    this.#lifecycle.requireRunning('commitBatch');
    const signal = signalIn(options);
    throwIfAborted(signal, NOTHING_APPENDED);
    const records = recordsIn(batch);
    const lsn = this.#admission.isClosed ? undefined : this.#tryAppendBatch(records);
    return this.#durableUnlessAborted(lsn ?? (await this.#appendBatchInTurn(records, signal)), signal);
  }

  /**
   * Waits until everything up to an LSN survives a crash, and sees to it that it does. What is durable already is so in
   * any state of the log.
   *
   * @param lsn - at most `lastLsn`; that itself, 0 in a log that is empty from the start, is always allowed
   * @param options - `signal`: ends the waiting and nothing else
   * @throws like {@link commit}
   */
  async durable(lsn: Lsn, options: Abortable = {}): Promise<void> {
    const signal = signalIn(options);
    if (checkInteger('lsn', lsn) <= this.durableLsn) return;
    this.#lifecycle.requireOpen('durable');
    if (lsn > this.lastLsn) throw outOfRange('lsn', `at most ${this.lastLsn}, the last LSN`, lsn);
    // It is not this one's to make durable, and the log says so.
    if (this.#isReadonly) this.#log.throwIfFull();
    await this.#durableUnlessAborted(lsn, signal);
  }

  /**
   * Waits until there is room for appending again, in turn with all other calls that wait: after `append` has thrown
   * `WAL_BACKPRESSURE`, until something was written. Others may append first, so `append` can throw it again.
   *
   * @param options - `signal`: leaves the queue
   */
  async ready(options: Abortable = {}): Promise<void> {
    this.#lifecycle.requireRunning('ready');
    const signal = signalIn(options);
    throwIfAborted(signal, 'the waiting for room was given up');
    const entered = this.#admission.enter(() => this.#log.throwIfFull(), signal);
    if (this.#admission.size > 0) this.#commits.start();
    await entered;
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  async flush(): Promise<void> {
    this.#lifecycle.requireOpen('flush');
    await this.#log.flush();
    this.#progress.made();
  }

  /** Makes everything appended so far durable. */
  async sync(): Promise<void> {
    this.#lifecycle.requireOpen('sync');
    await this.#log.sync();
    this.#progress.made();
  }

  /**
   * Hands every event from an LSN on to `f`, in order, up to what had been appended when it began.
   *
   * @param from - the first LSN wanted, or `'first'`
   * @param f - awaited when it returns a promise; what it throws ends the replay and is thrown again
   * @param options - `signal` ends it before the next event
   * @returns how many events there were
   * @throws `WAL_TRUNCATED` with `firstLsn`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`; `RangeError` for an LSN
   * behind the next one
   */
  async replay(from: Lsn | 'first', f: (event: WalEvent<T>) => unknown, options: WalReadOptions = {}): Promise<number> {
    this.#lifecycle.requireOpen('replay');
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    return this.#reading(from, options).forEach(f);
  }

  /**
   * One event.
   *
   * @param lsn - its LSN, at least 1
   * @returns `undefined` when it was not given out yet
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `WAL_CORRUPT`, `WAL_IO_FAILED`,
   * `WAL_BAD_KEY`, `WAL_CLOSED`; what the encoding throws
   */
  async read(lsn: Lsn): Promise<WalEvent<T> | undefined> {
    this.#lifecycle.requireOpen('read');
    const record = await this.#log.read(lsn);
    return record === undefined ? undefined : this.#payloads.toEvent(record);
  }

  /**
   * The events from an LSN on, in order, pulled one by one: `for await (const event of wal.iterator())`. Each iteration
   * goes up to what had been appended when it began, and closes itself when it is left.
   *
   * @param from - the first LSN wanted, or `'first'`, the default
   * @param options - `signal` ends it before the next event
   * @throws like {@link replay}
   */
  iterator(from: Lsn | 'first' = 'first', options: WalReadOptions = {}): WalIterator<T> {
    this.#lifecycle.requireOpen('iterator');
    return this.#reading(from, options);
  }

  /**
   * The events from an LSN on, in order, as they come: what is there, and then, without end, what is appended, across rolls and
   * truncation. `for await (const event of wal.follow(lsn))`.
   *
   * It is woken by what becomes durable. While it reads, truncation and retention keep what it has still to read. An end of
   * the log that was given out and is cut off by {@link truncateAfter} or {@link resetTo} ends it with `WAL_TRUNCATED`, whose
   * `lsn` is the first one that is not in the log any more; so does closing the log, with `WAL_CLOSED`. A log that was opened
   * with `recoveryMode` `'readonly'` is followed as another process writes it: see the static method of this name.
   *
   * @param from - the first LSN wanted, which may be one that was not given out yet, or `'first'`, the default
   * @throws `WAL_TRUNCATED`, `WAL_CORRUPT`, `WAL_BAD_PAYLOAD`, `WAL_ABORTED`, `WAL_CLOSED`, and the first failure of the log
   * when everything durable was given out
   */
  follow(
    from: Lsn | 'first' | ResumePoint,
    options: FollowOptions & { readonly batch: number },
  ): WalFollower<readonly WalEvent<T>[]>;
  follow(from?: Lsn | 'first' | ResumePoint, options?: FollowOptions): WalFollower<WalEvent<T>>;
  follow(
    from: Lsn | 'first' | ResumePoint = 'first',
    options: FollowOptions = {},
  ): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]> {
    this.#lifecycle.requireOpen('follow');
    const given = checkFollow(from, options, FOLLOW_OPTIONS);
    // What is known of the records before an LSN is known now: they may be cut off before the first event is asked for.
    const settings = typeof from === 'number' ? { ...given, from: this.#log.resumePointAt(from) ?? from } : given;
    const open = (): Followed<T> => (this.#isReadonly ? this.#followedElsewhere() : this.#followedHere(settings.from));
    return settings.batch === undefined ? followEvents(open, settings) : followPieces(open, settings);
  }

  /**
   * Where a reader goes on that has everything before an LSN as the log has it now, say one that has replayed it: for
   * {@link follow}, which then says so when any of that was cut off since. It is a plain value, for JSON.
   *
   * @param lsn - the first LSN that the reader has not
   * @returns `undefined` where that cannot be told: the event before `lsn` is not in the log any more, or not yet
   */
  resumePointAt(lsn: Lsn): ResumePoint | undefined {
    this.#lifecycle.requireOpen('resumePointAt');
    return this.#log.resumePointAt(lsn);
  }

  /**
   * Removes the segments that hold nothing but events below `lsn`; that they are gone is durable on return. The segment that
   * is being written goes only with `lsn` = `lastLsn` + 1, which makes everything durable first and leaves an empty log whose
   * LSNs go on.
   *
   * @param lsn - the first LSN that is still needed
   * @throws `WAL_NO_SPACE` when there is no room to note the new beginning, with nothing changed
   */
  async truncateBefore(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('truncateBefore');
    const result = await this.#log.truncateBefore(lsn);
    this.#commits.settle();
    return result;
  }

  /**
   * Drops every event behind `lsn`, as a consensus log does with a conflicting tail: the next event gets `lsn` + 1. Durable on
   * return, and never half done. Everything appended before is made durable first, so commits that wait are served, whether
   * their event stays or not. Until it is done `append` throws `WAL_STATE`, and commits wait. A checkpoint and holds that are
   * ahead of `lsn` go back to it. Readings under way that were to read further end with `WAL_TRUNCATED`.
   *
   * @param lsn - the last LSN that is kept: `firstLsn` − 1, which empties the log, to `lastLsn`, which changes nothing
   * @throws `WAL_TRUNCATED` when `lsn` is before the log's beginning; `WAL_NO_SPACE` when there is no room for the new
   * segment: then nothing is lost, and the log goes on; `RangeError` behind `lastLsn`
   */
  async truncateAfter(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('truncateAfter');
    return this.#cutting(async () => this.#log.truncateAfter(lsn));
  }

  /**
   * Drops every event, and goes on with `lsn`, as a log does when a snapshot was installed. Durable on return, and never half
   * done. Calls that wait are treated as by {@link truncateAfter}. A checkpoint that is ahead goes back to `lsn` − 1, and every hold
   * goes to `lsn`: what it has kept is gone.
   *
   * @param lsn - the LSN of the next event, any
   * @throws `WAL_NO_SPACE` when there is no room for the new segment: then nothing is lost, and the log goes on
   */
  async resetTo(lsn: Lsn): Promise<TruncateResult> {
    this.#lifecycle.requireRunning('resetTo');
    return this.#cutting(async () => this.#log.resetTo(lsn));
  }

  /**
   * Notes that the application needs nothing up to `lsn` any more, say because a snapshot holds it: durable on return. Makes
   * `lsn` durable first. It removes nothing by itself but what retention drops (`retainBytes`, `retainAgeMs`). An LSN that is
   * not behind the present checkpoint changes nothing.
   *
   * @param lsn - 0 to `lastLsn`
   * @throws `WAL_NO_SPACE` when there is no room to note it, with nothing changed
   */
  async checkpoint(lsn: Lsn): Promise<void> {
    this.#lifecycle.requireRunning('checkpoint');
    await this.#log.checkpoint(lsn);
    this.#commits.settle();
  }

  /**
   * Keeps every event from `lsn` on, for a reader that comes back for it: neither {@link truncateBefore} nor retention removes
   * one, in this process or a later one, until the hold of this name moves or is released. Durable on return, and so is every
   * event before `lsn`.
   *
   * @param name - 1 to 128 characters; a hold of this name moves
   * @param lsn - `firstLsn` to `lastLsn` + 1
   * @throws `WAL_TRUNCATED` with `firstLsn` when `lsn` is gone already; `WAL_TOO_LARGE` beyond 1024 holds; `WAL_NO_SPACE`
   * with nothing changed
   */
  async hold(name: string, lsn: Lsn): Promise<void> {
    this.#lifecycle.requireRunning('hold');
    await this.#log.hold(name, lsn);
    this.#commits.settle();
  }

  /** Gives up a hold. Durable on return. @returns whether there was one of this name */
  async releaseHold(name: string): Promise<boolean> {
    this.#lifecycle.requireRunning('releaseHold');
    return this.#log.releaseHold(name);
  }

  /**
   * Encrypts everything that is appended from now on, with the current key of a ring: for a log that was opened without
   * one, or with another. What the log held before stays as it is.
   *
   * @throws `WAL_STATE` when something was appended since the log was opened; `WAL_BAD_KEY` when the ring has not its current
   * key, or not that of the newest records; `WAL_UNSUPPORTED` when its callback would answer later: `await ring.load()`
   * before; `WAL_CLOSED`, the code of the first failure; `TypeError`
   */
  setEncryptionRing(ring: KeyRing): void {
    this.#lifecycle.requireRunning('setEncryptionRing');
    this.#log.setEncryptionRing(ring);
  }

  /**
   * Goes over to another key: makes everything appended durable, and a new segment behind it, which is encrypted with the
   * current key of the ring. What is appended while this call waits may still be encrypted with the key before. Earlier
   * segments stay as they are, and need their keys as long as they are there.
   *
   * @param id - key to become the current one of the ring. Default: the one that is, as after `ring.use(id)`
   * @throws `WAL_BAD_KEY` when the ring has it not, with nothing changed; `WAL_STATE` when the log has no ring;
   * `WAL_NO_SPACE`: then the next segment is encrypted with it, once there is room; `WAL_IO_FAILED`, `WAL_CLOSED`
   */
  async rotateKey(id?: number): Promise<void> {
    this.#lifecycle.requireRunning('rotateKey');
    await this.#log.rotateKey(id);
    this.#commits.settle();
  }

  /** The segments of the log, from the oldest to the newest. */
  listSegments(): readonly SegmentMeta[] {
    return this.#log.listSegments();
  }

  stats(): WalStats {
    return Object.freeze({
      ...this.#log.stats(),
      state: this.state,
      firstLsn: this.firstLsn,
      lastLsn: this.lastLsn,
      durableLsn: this.durableLsn,
      sizeBytes: this.#log.totalSizeBytes(),
      commits: this.#commits.served,
      waitingCommits: this.#commits.waiting,
      waitingForRoom: this.#admission.size,
    });
  }

  /**
   * Refuses new events, makes everything appended durable, serves the calls that wait, and closes the log. Idempotent: a further
   * call gets the answer of the first one.
   *
   * @param options - `timeoutMs`: how long to wait, in milliseconds, default for ever
   * @throws `WAL_TIMEOUT`: the log is still draining; call again, or `close`. The first failure, when not everything
   * could be made durable; `WAL_CLOSED` when it was not because `close` was called meanwhile.
   */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs } = checkOptions('options', options, ['timeoutMs']);
    if (timeoutMs !== undefined) checkInteger('timeoutMs', timeoutMs, 0, 0x7fff_ffff);
    if (this.#draining === undefined && this.#closing !== undefined) return this.#closing;
    this.#lifecycle.advance('draining');
    this.#draining ??= this.#drain();
    await (timeoutMs === undefined ? this.#draining : this.#withTimeout(this.#draining, timeoutMs));
  }

  /**
   * Closes the log at once: what was not handed to the operating system is dropped, and commits that wait are rejected
   * with `WAL_CLOSED`. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  /** Closes the log after everything is durable: {@link shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #reading(from: Lsn | 'first', options: WalReadOptions): EventReading<T> {
    if (!hasSignal(options)) return this.#payloads.eventsOf(this.#replaying(from, options), undefined);
    const { signal, ...rest } = checkOptions('options', options, READ_OPTIONS);
    checkSignal(signal);
    return this.#payloads.eventsOf(this.#replaying(from, rest), signal);
  }

  #replaying(from: Lsn | 'first', options: ReadOptions): Replay {
    return from === 'first' ? this.#log.replay(options) : this.#log.replayFrom(from, options);
  }

  /** What a follower of this log needs. */
  #followed(): Omit<Followed<T>, 'begin'> {
    return {
      io: this.#log.io,
      directory: this.#log.directory,
      decoding: this.#log.decoding,
      progress: this.#progress,
      toEvent: this.#payloads.toEvent,
      closed: () =>
        this.state === 'closed' ? this.#closedError('the log was closed while it was followed') : undefined,
      failure: () => this.#log.failure,
    };
  }

  /** The log is written here, so that it is known what is durable, and there is a hold to be had. */
  #followedHere(from: Lsn | 'first' | ResumePoint): Followed<T> {
    const begin = (tail: LogTail, cut: (lastLsn: Lsn) => void): (() => void) => {
      const first = typeof from === 'object' ? from.lsn : from === 'first' ? this.firstLsn : from;
      const free = this.#log.keepFor(() => tail.nextLsn ?? first, cut);
      return this.#closingWithLog(tail, free);
    };
    const isUnwritten = (): boolean => typeof from === 'object' && this.#isPlanned(from);
    return { ...this.#followed(), begin, durable: () => this.#log.durableLsn, isUnwritten };
  }

  /** Whether what stands before a point is in a segment of this log that has no file yet. */
  #isPlanned({ lsn, segment, id }: ResumePoint): boolean {
    if (lsn - 1 <= this.durableLsn || segment <= (this.listSegments().at(-1)?.number ?? 0)) return false;
    const known = this.#log.resumePointAt(lsn);
    return known?.segment === segment && known.id === id;
  }

  /** The log is written elsewhere, if at all. */
  #followedElsewhere(): Followed<T> {
    const { io, directory } = this.#log;
    const { realFiles } = io.capabilities;
    const watch = new DirectoryWatch(directory, realFiles, POLL_MS, this.#setTimer, this.#progress);
    return { ...this.#followed(), begin: (tail) => this.#closingWithLog(tail, () => watch.close()) };
  }

  /** Has a tail closed with the log: a follower may never be asked for another event. @returns what ends the following */
  #closingWithLog(tail: LogTail, end: () => void): () => void {
    const over = (): void => {
      this.#followers.delete(over);
      tail.close();
      end();
    };
    this.#followers.add(over);
    return over;
  }

  /** Appends unless there is no room in memory. */
  #tryAppend(encoded: Uint8Array | string, options: AppendOptions | undefined): Lsn | undefined {
    try {
      return this.#log.append(encoded, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      throw error;
    }
  }

  #tryAppendBatch(records: Batch): Lsn | undefined {
    try {
      return this.#log.appendBatch(records);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      throw error;
    }
  }

  /** Commits a copy when there is room in memory. */
  async #commitInTurn(encoded: Uint8Array | string, options: AppendOptions | undefined): Promise<Lsn> {
    return this.#commits.wait(await this.#appendInTurn(encoded, options));
  }

  async #commitUnlessAborted(payload: I, given: CommitOptions): Promise<Lsn> {
    const { signal, ...options } = checkOptions('options', given, COMMIT_OPTIONS);
    checkSignal(signal);
    throwIfAborted(signal, NOTHING_APPENDED);
    const encoded = this.#payloads.encode(payload);
    const lsn = this.#admission.isClosed ? undefined : this.#tryAppend(encoded, options);
    return this.#durableUnlessAborted(lsn ?? (await this.#appendInTurn(encoded, options, signal)), signal);
  }

  /** Appends a copy when there is room in memory. */
  #appendInTurn(encoded: Uint8Array | string, options: AppendOptions | undefined, signal?: AbortSignal): Promise<Lsn> {
    const kept = keepBytes('payload', encoded);
    const keptOptions = options === undefined ? undefined : keepOptions(options);
    const entered = this.#admission.enter(() => this.#log.append(kept, keptOptions), signal);
    this.#commits.start();
    return entered;
  }

  /** Appends the records of a batch when there is room in memory. Where they are not, the batch has them back. */
  async #appendBatchInTurn(batch: Batch, signal: AbortSignal | undefined): Promise<Lsn> {
    const records = batch.take();
    try {
      const entered = this.#admission.enter(() => this.#log.appendBatch(records), signal);
      this.#commits.start();
      return await entered;
    } catch (error) {
      batch.giveBack();
      throw error;
    }
  }

  #durableUnlessAborted(lsn: Lsn, signal: AbortSignal | undefined): Promise<Lsn> {
    return unlessAborted(this.#commits.wait(lsn), signal, (by) => notWaitedFor(by, lsn));
  }

  /** Cuts off the end of the log. No call is let in until it is done, so all that wait were there before. */
  #cutting(cut: () => Promise<TruncateResult>): Promise<TruncateResult> {
    const { lastLsn } = this;
    this.#admission.pause();
    const done = cut().finally(() => {
      // It may have failed behind what it was asked for, with files that were to go.
      if (this.lastLsn === lastLsn) this.#commits.settle();
      else this.#commits.cut(lastLsn);
      this.#admission.resume();
      this.#commits.start();
      this.#progress.made();
    });
    // One that is refused at once says nothing of one that is under way.
    this.#cut = Promise.allSettled([this.#cut, done]);
    return done;
  }

  /** Why `append` is refused while others wait. */
  #refusal(): WalError {
    if (this.#admission.size > 0) return overtaking();
    const what = 'a truncateAfter or resetTo is under way: nothing was appended; await it first';
    return new WalError('WAL_STATE', what, { operation: 'append', state: 'truncating' });
  }

  #closeNow(): Promise<void> {
    this.#lifecycle.advance('closed');
    unwatchExit(this.#unfinished);
    this.#background.stop();
    this.#commits.rejectAll(this.#closedError('the log was closed'));
    this.#progress.made();
    for (const over of this.#followers) over();
    return this.#log.close({ discard: true });
  }

  async #drain(): Promise<void> {
    this.#background.stop();
    const { lastLsn } = this;
    const failure = await this.#syncEverything();
    if (this.#closing !== undefined) {
      // `close` came first. Its own failure is its caller's to hear.
      await this.#closing.catch(() => {});
      if (this.durableLsn >= lastLsn) return;
      throw this.#closedError('the log was closed before everything in it was durable');
    }
    this.#lifecycle.advance('closed');
    unwatchExit(this.#unfinished);
    this.#closing = this.#log.close();
    this.#progress.made();
    for (const over of this.#followers) over();
    await this.#closing;
    if (failure !== undefined) throw failure;
  }

  /** Syncs until nothing waits any more. @returns what made that impossible */
  async #syncEverything(): Promise<WalError | undefined> {
    if (this.#isReadonly) return undefined;
    try {
      do {
        await this.#cut;
        await this.#log.sync();
        this.#commits.settle();
      } while (this.durableLsn < this.lastLsn || this.#admission.size > 0);
      return undefined;
    } catch (error) {
      return this.failure ?? asWalError(error);
    }
  }

  #pendingWork(): string | undefined {
    const { pendingBytes } = this.#log;
    const waiting = this.#commits.waiting + this.#admission.size;
    if (pendingBytes === 0 && waiting === 0) return undefined;
    return `${pendingBytes} bytes pending and ${waiting} commits waiting in the log in ${this.#path}`;
  }

  #closedError(message: string): WalError {
    return new WalError('WAL_CLOSED', message, { path: this.#path, state: 'closed' });
  }

  #withTimeout(done: Promise<void>, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#setTimer(() => {
        reject(
          new WalError(
            'WAL_TIMEOUT',
            `the log is still draining after ${timeoutMs} ms: call shutdown again, or close`,
            {
              state: this.state,
              limit: timeoutMs,
            },
          ),
        );
      }, timeoutMs);
      done.then(resolve, reject).finally(cancel);
    });
  }
}

function overtaking(): WalError {
  return new WalError('WAL_BACKPRESSURE', 'others wait for room already: nothing was appended; await ready() first', {
    operation: 'append',
  });
}

const NOTHING_APPENDED = 'the commit was given up before it began: nothing was appended';

/** A commit that is not waited for any more. Its event has its place in the log. */
function notWaitedFor(signal: AbortSignal, lsn: Lsn): WalError {
  return aborted(signal, `LSN ${lsn} is not waited for any more: it is appended, and may be durable or become so`, {
    lsn,
    reason: 'outcome-unknown',
  });
}

/** Whether there is a signal to be looked after; what else is wrong with the options is for the log to say. */
function hasSignal(options: Abortable): boolean {
  return typeof options === 'object' && options !== null && 'signal' in options;
}

function signalIn(options: Abortable): AbortSignal | undefined {
  return checkSignal(checkOptions('options', options, ['signal']).signal);
}

/** Tells the followers of a log of its failure, too. What is wrong with the options is for the log to say. */
function tellingOfFailure(config: SegmentedWalConfig, progress: Progress): SegmentedWalConfig {
  const { onFailure } = config;
  if (onFailure !== undefined && typeof onFailure !== 'function') return config;
  const failed = (failure: WalError): void => {
    progress.made();
    onFailure?.(failure);
  };
  return { ...config, onFailure: failed };
}

/** The records of a batch. @throws `TypeError` for what is no batch */
function recordsIn<I>(batch: Batch | EventBatch<I>): Batch {
  const records = batch instanceof EventBatch ? batch.records : batch;
  if (records instanceof Batch) return records;
  throw invalidType('batch', 'a Batch', batch);
}

/**
 * Opens a log with its options given one by one: a method for each option, and `build()`. Each call gives a new builder and
 * leaves the one it was made on as it is. `build()` checks the values and opens the log, as `Wal.open` does.
 */
export type WalBuilder<T = Uint8Array, I = PayloadInput<T>> = {
  readonly [Name in Exclude<keyof WalOptions, 'encoding'>]-?: (
    value: NonNullable<WalOptions[Name]>,
  ) => WalBuilder<T, I>;
} & {
  /** What payloads are. */
  encoding(encoding: 'view'): WalBuilder;
  encoding(encoding: 'buffer'): WalBuilder<Buffer>;
  encoding(encoding: 'utf8'): WalBuilder<string>;
  encoding<T = unknown>(encoding: 'json'): WalBuilder<T, T>;
  encoding<T, I = T>(encoding: Encoding<T, I>): WalBuilder<T, I>;
  /** Opens the log. */
  build(): Promise<Wal<T, I>>;
};

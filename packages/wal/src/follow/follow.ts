import { type Lsn, WalError } from '@walstack/codec';
import { checkBoolean, checkInteger, checkOptions, optionNames } from '@walstack/codec/internal';
import { LogTail, type LogTailOptions, type ReadFrom, type ResumePoint, type WalProgress } from '@walstack/mmap-reader';
import { checkFrom, checkOnProgress, checkResumePoint } from '@walstack/mmap-reader/internal';
import { checkFilter, type RecordFilter, type WalRecord } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { aborted, checkSignal, isTurnDue, nextTurn, onAbort, Pace } from '@walstack/storage-io/internal';
import type { Abortable } from '../commit/aborting.js';
import type { WalEvent } from '../encoding.js';
import type { LogActivity } from './log-activity.js';

/**
 * Where following begins: an LSN, which may not be assigned yet, `'first'` or `'checkpoint'`, see {@link ReadFrom}, or the
 * {@link ResumePoint} of an earlier reader, which shows whether anything before it was cut off since.
 */
export type FollowFrom = ReadFrom | ResumePoint;

/** How a log is followed. */
export interface FollowOptions extends Abortable, Pick<RecordFilter, 'types' | 'scope' | 'fromTimeMs'> {
  /** Return arrays of at most so many events, instead of single events. At least 1. */
  readonly batch?: number;
  /**
   * Only events that survive a crash. Default `true`. With `false` also those that were handed to the operating system
   * and may be lost in a crash.
   */
  readonly durableOnly?: boolean;
  /**
   * Return copies of meta and payload, which never change; copies of up to 2 KiB may share a buffer of 8 KiB, as Node's own
   * small buffers do. With `false` they are views, valid only until the next event, or array of events, is requested.
   * Default `true`.
   */
  readonly copy?: boolean;
  /**
   * Called while it reads what is in the log already: at most once in each turn of the event loop, and when it has reached the
   * end for the first time; from then on no more. An error that it throws ends the following. Default: not called.
   */
  readonly onProgress?: (progress: WalProgress) => void;
}

/** The events of a log as they come, without end, for `for await … of`, which closes it when the loop ends. */
export interface WalFollower<Item> extends AsyncIterator<Item, void, undefined> {
  [Symbol.asyncIterator](): WalFollower<Item>;
  /**
   * Where to follow the log again, after the last event that was returned: a plain value, for JSON. Unlike an LSN it detects
   * that earlier events were cut off meanwhile. `undefined` before the first event is requested, unless following began at a
   * resume point.
   */
  readonly resumePoint: ResumePoint | undefined;
  /** Ends the following, also while it waits for an event. */
  return(): Promise<IteratorResult<Item, void>>;
  /** Ends the following, and rejects with `error`. */
  throw(error: unknown): Promise<IteratorResult<Item, void>>;
}

/** The option that selects arrays of events. */
export interface Batched<B extends number | undefined> {
  readonly batch?: B;
}

/** What a follower returns: an array of events with `batch`, else a single event. */
export type Followable<T, B extends number | undefined> = B extends number ? readonly WalEvent<T>[] : WalEvent<T>;

/** The options of following. */
export const FOLLOW_OPTIONS = optionNames<FollowOptions>({
  batch: true,
  durableOnly: true,
  copy: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  signal: true,
  onProgress: true,
});

/** Checked options. */
export interface FollowSettings {
  /** `undefined` for events one by one. */
  readonly batch: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly from: FollowFrom;
  readonly tail: Pick<LogTailOptions, 'copy' | 'durableOnly' | 'matches' | 'onProgress'>;
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkFollow<Options extends FollowOptions>(
  from: FollowFrom,
  options: Options,
  known: readonly (keyof Options & string)[],
): FollowSettings {
  if (typeof from === 'object') checkResumePoint('from', from);
  else checkFrom('from', from);
  const { batch, signal, copy = true, durableOnly = true } = checkOptions('options', options, known);
  const { types, scope, fromTimeMs, onProgress } = options;
  checkOnProgress('onProgress', onProgress);
  // Absent filters must stay absent, so that nothing is examined for them.
  const { matches } = checkFilter({
    ...(types === undefined ? {} : { types }),
    ...(scope === undefined ? {} : { scope }),
    ...(fromTimeMs === undefined ? {} : { fromTimeMs }),
  });
  return {
    batch: batch === undefined ? undefined : checkInteger('batch', batch, 1),
    signal: checkSignal(signal),
    from,
    tail: {
      copy: checkBoolean('copy', copy),
      durableOnly: checkBoolean('durableOnly', durableOnly),
      matches,
      ...(onProgress === undefined ? {} : { onProgress }),
    },
  };
}

/** A log that is followed, and how its changes are noticed. */
export interface Followed<T> {
  readonly io: StorageIo;
  readonly directory: string;
  readonly activity: LogActivity;
  /** What decoding the records needs. */
  readonly decoding: Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'>;
  readonly toEvent: (record: WalRecord) => WalEvent<T>;
  /** The durable LSN, when it is known without reading. */
  readonly durable?: () => Lsn;
  /** Whether the events before the first one wanted are in the log, but in no file yet. */
  readonly isUnwritten?: () => boolean;
  /** Why nothing can be read any more; `undefined` while it can. */
  readonly closed: () => WalError | undefined;
  /** Why no further events will come after the existing ones; `undefined` while some may. */
  readonly failure: () => WalError | undefined;
  /**
   * Called when reading begins; the function that it returns is called when reading ends.
   *
   * @param cut - to be called at cuts of the log's end, when they are known without reading
   * @param closed - to be called when the log is closed, as the follower may never be asked for another event. Idempotent
   */
  readonly begin: (tail: LogTail, cut: (lastLsn: Lsn) => void, closed: () => void) => () => unknown;
}

/** Follows a log, which is opened when the first event is requested: event by event, or up to `batch` events at a time. */
export function follow<T>(
  open: () => Followed<T>,
  settings: FollowSettings,
): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]> {
  const { batch } = settings;
  if (batch === undefined) return new Follower(open, settings, (reading) => reading.take());
  return new Follower(open, settings, (reading) => reading.takeMany(batch));
}

/** After so many events of an array it may be time for the turn of the event loop. */
const EVENTS_PER_LOOK = 256;

const DONE = Object.freeze({ done: true, value: undefined });

/**
 * Takes events at the moment of the request, and prepares none ahead, so that it returns no event that was cut off, and none
 * after the end. Calls are answered one after the other.
 */
class Follower<T, Item> implements WalFollower<Item> {
  readonly #open: () => Followed<T>;
  readonly #settings: FollowSettings;
  readonly #take: (reading: Reading<T>) => Item | undefined;
  readonly #stopped = new AbortController();
  #reading: Reading<T> | undefined;
  /** The result of the last call that had to wait. */
  #underWay: Promise<unknown> | undefined;
  #isOver = false;
  readonly #pace = new Pace();

  constructor(open: () => Followed<T>, settings: FollowSettings, take: (reading: Reading<T>) => Item | undefined) {
    this.#open = open;
    this.#settings = settings;
    this.#take = take;
  }

  get resumePoint(): ResumePoint | undefined {
    const { from } = this.#settings;
    return this.#reading === undefined ? (typeof from === 'object' ? from : undefined) : this.#reading.resumePoint;
  }

  next(): Promise<IteratorResult<Item, void>> {
    if (this.#underWay !== undefined) return this.#inTurn(() => this.#next());
    if (this.#isOver) return Promise.resolve(DONE);
    if (this.#pace.isDue()) return this.#inTurn(() => this.#nextInLaterTurn());
    try {
      const value = this.#reading?.isOver === false ? this.#take(this.#reading) : undefined;
      if (value !== undefined) return Promise.resolve({ done: false, value });
    } catch {
      // `#next` meets the error again, ends the following, and throws it.
    }
    return this.#inTurn(() => this.#next());
  }

  return(): Promise<IteratorResult<Item, void>> {
    // At once, and not in turn: a running wait must end.
    this.#stopped.abort();
    return this.#inTurn(async () => {
      await this.#end();
      return DONE;
    });
  }

  throw(error: unknown): Promise<IteratorResult<Item, void>> {
    this.#stopped.abort();
    return this.#inTurn(async () => {
      await this.#end();
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Runs a call after the earlier ones are answered; at once when none is under way. */
  #inTurn<R>(call: () => Promise<R>): Promise<R> {
    const before = this.#underWay;
    const answering = async (): Promise<R> => {
      try {
        if (before !== undefined) await before.catch(() => {});
        return await call();
      } finally {
        if (this.#underWay === answer) this.#underWay = undefined;
      }
    };
    const answer = answering();
    this.#underWay = answer;
    return answer;
  }

  /** The next event, once timers and I/O had their turn: a loop over events that are in memory leaves them none. */
  async #nextInLaterTurn(): Promise<IteratorResult<Item, void>> {
    await nextTurn();
    return this.#next();
  }

  async #next(): Promise<IteratorResult<Item, void>> {
    if (this.#isOver) return DONE;
    try {
      this.#reading ??= new Reading(this.#open(), this.#settings, this.#stopped.signal);
      const reading = this.#reading;
      for (;;) {
        if (this.#stopped.signal.aborted) break;
        reading.throwIfOver();
        const value = this.#take(reading);
        if (value !== undefined) return { done: false, value };
        await reading.readOn();
      }
    } catch (error) {
      await this.#end();
      throw error;
    }
    await this.#end();
    return DONE;
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#reading?.close();
  }
}

/** The state of following after the first request. */
class Reading<T> {
  readonly #followed: Followed<T>;
  readonly #settings: FollowSettings;
  readonly #tail: LogTail;
  /** Aborted when no call waits any more. */
  readonly #ended: AbortSignal;
  readonly #end: () => unknown;
  #stopListening = (): void => {};
  /** The durable LSN at which nothing more was found; `undefined` when the next call must look for records in any case. */
  #exhaustedUpTo: Lsn | undefined;
  /** The next event could not be returned: by the next request it may have been cut off, and another one be in its place. */
  #mustLookAgain = false;
  /** Why the next event cannot be returned, until that error was thrown. */
  #error: { readonly reason: unknown } | undefined;
  #closing: Promise<void> | undefined;

  constructor(followed: Followed<T>, settings: FollowSettings, stopped: AbortSignal) {
    const { from, signal, tail: options } = settings;
    const { io, directory, decoding, durable } = followed;
    // The writing process knows its durable LSN, and needs no proof of durability.
    const known = durable === undefined ? options : { ...options, durableOnly: false, durable };
    const limit = durable === undefined || !options.durableOnly ? {} : { upTo: durable };
    this.#followed = followed;
    this.#settings = settings;
    this.#tail = new LogTail(io, directory, { from, ...decoding, ...known, ...limit });
    const ended = new AbortController();
    const end = (): void => ended.abort();
    stopped.addEventListener('abort', end, { once: true });
    this.#ended = ended.signal;
    const cut = (lastLsn: Lsn): void => {
      this.#tail.cutAfter(lastLsn);
      this.#exhaustedUpTo = undefined;
    };
    this.#end = followed.begin(this.#tail, cut, () => this.#release());
    // Not `AbortSignal.any`: a signal may come from another realm.
    if (signal?.aborted === true) end();
    if (signal === undefined || signal.aborted) return;
    try {
      this.#stopListening = onAbort(signal, end);
    } catch (error) {
      this.close().catch(() => {});
      throw error;
    }
  }

  get resumePoint(): ResumePoint | undefined {
    return this.#tail.resumePoint;
  }

  /** Whether no further event may be returned: {@link throwIfOver} throws the reason. */
  get isOver(): boolean {
    return this.#settings.signal?.aborted === true || this.#followed.closed() !== undefined;
  }

  throwIfOver(): void {
    const { signal } = this.#settings;
    if (signal?.aborted === true) throw aborted(signal, 'following the log was aborted');
    const closed = this.#followed.closed();
    if (closed !== undefined) throw closed;
  }

  /** The next event in memory; `undefined` when {@link readOn} must be called. @throws why it cannot be returned */
  take(): WalEvent<T> | undefined {
    if (this.#error !== undefined) throw this.#error.reason;
    if (this.#mustLookAgain) return undefined;
    try {
      const record = this.#tail.next();
      return record === undefined ? undefined : this.#eventOf(record);
    } catch (reason) {
      this.#error = { reason };
      throw reason;
    }
  }

  /**
   * Up to `most` events, and fewer where decoding them would take long. An error of the next event is thrown only after the events
   * before it were returned.
   */
  takeMany(most: number): readonly WalEvent<T>[] | undefined {
    const events: WalEvent<T>[] = [];
    try {
      for (let event = this.take(); event !== undefined; event = this.take()) {
        if (events.push(event) === most) break;
        if (events.length % EVENTS_PER_LOOK === 0 && isTurnDue()) break;
      }
    } catch (error) {
      if (events.length === 0) throw error;
      this.#error = undefined;
      this.#mustLookAgain = true;
      this.#exhaustedUpTo = undefined;
    }
    return events.length === 0 ? undefined : events;
  }

  /** Looks for further events, or waits until there may be some. */
  async readOn(): Promise<void> {
    const { activity, durable, failure, isUnwritten } = this.#followed;
    const { count } = activity;
    const durableBefore = durable?.();
    const upTo = this.#settings.tail.durableOnly === true ? durableBefore : undefined;
    const isAhead = isUnwritten?.() === true;
    if (!isAhead && (upTo === undefined || upTo !== this.#exhaustedUpTo)) {
      this.#exhaustedUpTo = upTo;
      if (await this.#advance()) {
        this.#exhaustedUpTo = undefined;
        return;
      }
    }
    const failed = failure();
    if (failed !== undefined) {
      // What became durable while it looked comes first.
      if (durable?.() !== durableBefore) return;
      throw failed;
    }
    await activity.waitBeyond(count, this.#ended);
  }

  /** Looks for further records, until the following ends: a key service that it waits for may never answer. */
  async #advance(): Promise<boolean> {
    this.#mustLookAgain = false;
    const stop = (): void => this.#tail.close();
    this.#ended.addEventListener('abort', stop);
    try {
      return await this.#tail.advance();
    } catch (error) {
      if (!WalError.is(error, 'WAL_CLOSED')) throw error;
      this.throwIfOver();
      if (this.#ended.aborted) return false;
      throw error;
    } finally {
      this.#ended.removeEventListener('abort', stop);
    }
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#release();
    await this.#end();
  }

  /** Also ends the listening: a signal may be there longer than the log, and would keep it in memory. */
  #release(): void {
    this.#stopListening();
    this.#tail.close();
  }

  /** The event of a record. If decoding fails, the record remains the next one. */
  #eventOf(record: WalRecord): WalEvent<T> {
    try {
      return this.#followed.toEvent(record);
    } catch (error) {
      this.#tail.putBack();
      throw error;
    }
  }
}

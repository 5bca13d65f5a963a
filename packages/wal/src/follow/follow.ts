import { checkBoolean, checkInteger, checkLsn, checkOptions, type Lsn, optionNames, WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions, type ResumePoint } from '@walstack/mmap-reader';
import { checkResumePoint } from '@walstack/mmap-reader/segments';
import { checkFilter, type RecordFilter, type WalRecord } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { type Abortable, aborted, checkSignal } from '../commit/aborting.js';
import type { WalEvent } from '../encoding.js';
import type { Progress } from './log-activity.js';

/** How a log is followed. */
export interface FollowOptions extends Abortable, Pick<RecordFilter, 'types' | 'scope' | 'fromTimeMs'> {
  /** Give out arrays of so many events at most, instead of events one by one. At least 1. */
  readonly batch?: number;
  /**
   * Only events that survive a crash. Default `true`. With `false` also those that were handed to the operating system
   * and may be gone after a crash.
   */
  readonly durableOnly?: boolean;
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views and good only until the next event, or array of events, is asked
   * for. Default `true`.
   */
  readonly copy?: boolean;
}

/** Events of a log as they come, without end: for `for await … of`, which closes it when it is left. */
export interface WalFollower<Item> extends AsyncIterableIterator<Item, void, undefined> {
  /**
   * Where to follow the log again, behind the last event that was given out: a plain value, for JSON. Unlike an LSN it tells
   * when what stands before was cut off meanwhile. `undefined` before the first event is asked for, as a rule.
   */
  readonly resumePoint: ResumePoint | undefined;
  /** Ends it, also while an event is waited for. */
  return(): Promise<IteratorResult<Item, void>>;
}

/** Whether arrays of events are asked for. */
export interface Batched<B extends number | undefined> {
  readonly batch?: B;
}

/** What a follower gives out: an array of events where that is asked for, else an event. */
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
});

/** Options that were checked. */
export interface FollowSettings {
  /** `undefined` for events one by one. */
  readonly batch: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly from: Lsn | 'first' | ResumePoint;
  readonly tail: Pick<LogTailOptions, 'copy' | 'durableOnly' | 'matches'>;
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkFollow<Options extends FollowOptions>(
  from: Lsn | 'first' | ResumePoint,
  options: Options,
  known: readonly (keyof Options & string)[],
): FollowSettings {
  if (typeof from === 'object') checkResumePoint('from', from);
  else if (from !== 'first') checkLsn('from', from);
  const { batch, signal, copy = true, durableOnly = true } = checkOptions('options', options, known);
  const { types, scope, fromTimeMs } = options;
  // What is not given stays away: nothing is looked at for it.
  const { matches } = checkFilter({
    ...(types === undefined ? {} : { types }),
    ...(scope === undefined ? {} : { scope }),
    ...(fromTimeMs === undefined ? {} : { fromTimeMs }),
  });
  return {
    batch: batch === undefined ? undefined : checkInteger('batch', batch, 1),
    signal: checkSignal(signal),
    from,
    tail: { copy: checkBoolean('copy', copy), durableOnly: checkBoolean('durableOnly', durableOnly), matches },
  };
}

/** What is followed, and how one hears of news. */
export interface Followed<T> {
  readonly io: StorageIo;
  readonly directory: string;
  readonly progress: Progress;
  /** What it takes to understand the records. */
  readonly decoding: Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'>;
  readonly toEvent: (record: WalRecord) => WalEvent<T>;
  /** The last LSN that is durable, where that is known without reading. */
  readonly durable?: () => Lsn;
  /** Whether what stands before the first event wanted is in the log, and in no file of it yet. */
  readonly isUnwritten?: () => boolean;
  /** Why nothing can be read any more; `undefined` while it can. */
  readonly closed: () => WalError | undefined;
  /** Why nothing more will come than what is there; `undefined` while something may. */
  readonly failure: () => WalError | undefined;
  /**
   * Called when reading begins; what it returns is called when it is over.
   *
   * @param cut - to be told of cuts, where they are known without reading
   */
  readonly begin: (tail: LogTail, cut: (lastLsn: Lsn) => void) => () => unknown;
}

/** Follows a log, event by event. It is opened when the first one is asked for. */
export function followEvents<T>(open: () => Followed<T>, settings: FollowSettings): WalFollower<WalEvent<T>> {
  return new Follower(open, settings, (reading) => reading.take());
}

/** The same with as many events at a time as the settings say, or as there are. */
export function followPieces<T>(
  open: () => Followed<T>,
  settings: FollowSettings,
): WalFollower<readonly WalEvent<T>[]> {
  const { batch = 1 } = settings;
  return new Follower(open, settings, (reading) => reading.takeMany(batch));
}

const DONE = Object.freeze({ done: true, value: undefined });

/**
 * Gives out what is read in the moment when it is asked for: nothing is made ahead, so that nothing is given out that was cut
 * off, or after the end. Calls are answered one after the other.
 */
class Follower<T, Item> implements WalFollower<Item> {
  readonly #open: () => Followed<T>;
  readonly #settings: FollowSettings;
  readonly #take: (reading: Reading<T>) => Item | undefined;
  readonly #stopped = new AbortController();
  #reading: Reading<T> | undefined;
  /** The answer to the last call that had to wait for something. */
  #underWay: Promise<unknown> | undefined;
  #isOver = false;

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
    try {
      const value = this.#reading?.isOver === false ? this.#take(this.#reading) : undefined;
      if (value !== undefined) return Promise.resolve({ done: false, value });
    } catch {
      // Thrown again, and once it has ended.
    }
    return this.#inTurn(() => this.#next());
  }

  return(): Promise<IteratorResult<Item, void>> {
    // Before its turn: what is waited for ends.
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

  /** Runs a call when those before it are answered; at once when none is under way. */
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

/** A reading that has begun. */
class Reading<T> {
  readonly #followed: Followed<T>;
  readonly #settings: FollowSettings;
  readonly #tail: LogTail;
  /** Aborted when no call waits any more. */
  readonly #ended: AbortSignal;
  readonly #end: () => unknown;
  /** What was durable when there was nothing more to read; `undefined` when it has to be looked for in any case. */
  #nothingUpTo: Lsn | undefined;
  /** Why the event that comes next cannot be given out, for the moment until that is said. */
  #error: { readonly reason: unknown } | undefined;
  #closing: Promise<void> | undefined;

  constructor(followed: Followed<T>, settings: FollowSettings, stopped: AbortSignal) {
    const { from, signal, tail: options } = settings;
    const { io, directory, decoding, durable } = followed;
    // The writing process knows what is durable, and looks for no proof of it.
    const known = durable === undefined ? options : { ...options, durableOnly: false, durable };
    const limit = durable === undefined || !options.durableOnly ? {} : { upTo: durable };
    this.#followed = followed;
    this.#settings = settings;
    this.#tail = new LogTail(io, directory, { from, ...decoding, ...known, ...limit });
    this.#ended = signal === undefined ? stopped : AbortSignal.any([stopped, signal]);
    this.#end = followed.begin(this.#tail, (lastLsn) => {
      this.#tail.cutAfter(lastLsn);
      this.#nothingUpTo = undefined;
    });
  }

  get resumePoint(): ResumePoint | undefined {
    return this.#tail.resumePoint;
  }

  /** Whether nothing may be given out any more: {@link throwIfOver} says why. */
  get isOver(): boolean {
    return this.#settings.signal?.aborted === true || this.#followed.closed() !== undefined;
  }

  throwIfOver(): void {
    const { signal } = this.#settings;
    if (signal?.aborted === true) throw aborted(signal, 'the log is not followed any more');
    const closed = this.#followed.closed();
    if (closed !== undefined) throw closed;
  }

  /** The next event in memory; `undefined` when {@link readOn} has to be called. @throws why it cannot be given out */
  take(): WalEvent<T> | undefined {
    if (this.#error !== undefined) throw this.#error.reason;
    try {
      const record = this.#tail.next();
      return record === undefined ? undefined : this.#eventOf(record);
    } catch (reason) {
      this.#error = { reason };
      throw reason;
    }
  }

  /** So many events at most. What cannot be given out is thrown when those before it have been. */
  takeMany(most: number): readonly WalEvent<T>[] | undefined {
    const events: WalEvent<T>[] = [];
    try {
      for (let event = this.take(); event !== undefined; event = this.take()) {
        if (events.push(event) === most) break;
      }
    } catch (error) {
      if (events.length === 0) throw error;
      // It is looked at again when it is asked for: by then it may have been cut off.
      this.#error = undefined;
    }
    return events.length === 0 ? undefined : events;
  }

  /** Looks for further events, or waits until there may be some. */
  async readOn(): Promise<void> {
    const { progress, durable, failure, isUnwritten } = this.#followed;
    const { count } = progress;
    const upTo = this.#settings.tail.durableOnly === true ? durable?.() : undefined;
    const isAhead = isUnwritten?.() === true;
    if (!isAhead && (upTo === undefined || upTo !== this.#nothingUpTo)) {
      this.#nothingUpTo = upTo;
      if (await this.#advance()) {
        this.#nothingUpTo = undefined;
        return;
      }
    }
    const failed = failure();
    if (failed !== undefined) throw failed;
    await progress.beyond(count, this.#ended);
  }

  /** Looks for further records, unless it has ended meanwhile: a key service that is waited for may never answer. */
  async #advance(): Promise<boolean> {
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
    this.#tail.close();
    await this.#end();
  }

  /** The event of a record, which remains the next one when it cannot be made. */
  #eventOf(record: WalRecord): WalEvent<T> {
    try {
      return this.#followed.toEvent(record);
    } catch (error) {
      this.#tail.putBack();
      throw error;
    }
  }
}

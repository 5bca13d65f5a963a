import { type Lsn, WalError } from '@walstack/codec';
import { checkInteger, outOfRange } from '@walstack/codec/internal';
import type { ResumePoint, SkippedRecords } from '@walstack/mmap-reader';
import { nextTurn, Pace, WAITING_STRIDE_MAX } from '@walstack/storage-io/internal';
import type { WalEvent } from '../encoding.js';
import type { FollowSettings } from './follow-options.js';
import { type Followed, Reading } from './reading.js';

/** The events of a log as they come, without end, for `for await … of`, which closes it when the loop ends. */
export interface WalFollower<Item> extends AsyncIterator<Item, void, undefined> {
  [Symbol.asyncIterator](): WalFollower<Item>;
  /**
   * Where to follow the log again, after the last event that was returned: a plain value, for JSON. Unlike an LSN it detects
   * that earlier events were cut off meanwhile. `undefined` before the first event is requested, unless following began at a
   * resume point.
   */
  readonly resumePoint: ResumePoint | undefined;
  /**
   * The LSN behind everything that was returned or skipped by a filter: the first one that is still to be read. `undefined` before
   * the log was found. While a follower with a `name` has one, the log keeps what is not acknowledged, also behind `return()`.
   */
  readonly position: Lsn | undefined;
  /** With `onTruncated: 'skip'`: the events that were removed from the log before they were read, in order. A frozen snapshot. */
  readonly skipped: readonly SkippedRecords[];
  /**
   * Everything up to an event is processed: stores that under the `name` of the follower, so that a follower that begins at
   * `'stored'` continues behind it, and the log need not keep it. Durable on return. What a filter skips behind the last event is
   * covered as well.
   *
   * @param lsn - that of an event that was returned; one that is not behind the last call changes nothing. Default: the last event
   * returned
   * @throws `WAL_STATE` without a name, `WAL_CLOSED` after the following has ended, `WAL_NO_SPACE`, `WAL_IO_FAILED` when it is not
   * stored; `RangeError` for an event that was not returned
   */
  acknowledge(lsn?: Lsn): Promise<void>;
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

/** Follows a log, which is opened when the first event is requested: event by event, or up to `batch` events at a time. */
export function follow<T>(
  open: () => Followed<T>,
  settings: FollowSettings,
): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]> {
  const { batch, named } = settings;
  if (batch === undefined) {
    return new Follower(
      open,
      settings,
      named === undefined ? (reading) => reading.take() : (reading) => reading.takeOne(),
    );
  }
  return new Follower(open, settings, (reading) => reading.takeMany(batch));
}

const NONE_SKIPPED: readonly SkippedRecords[] = Object.freeze([]);

function withoutName(): WalError {
  const what = 'a follower without a name stores nothing: follow with the option name to acknowledge events';
  return new WalError('WAL_STATE', what, { state: 'unnamed' });
}

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
  /** Until the last call that had to wait is answered; it never rejects. */
  #underWay: Promise<void> | undefined;
  #isOver = false;
  /** Whether an event is being taken: a function of the application that decodes it may request the next one. */
  #isTaking = false;
  /** Called when the request is answered inside which others were made: they wait for it. */
  #answered: (() => void) | undefined;
  readonly #pace = new Pace(WAITING_STRIDE_MAX);

  constructor(open: () => Followed<T>, settings: FollowSettings, take: (reading: Reading<T>) => Item | undefined) {
    this.#open = open;
    this.#settings = settings;
    this.#take = take;
  }

  get resumePoint(): ResumePoint | undefined {
    const { from } = this.#settings;
    return this.#reading === undefined ? (typeof from === 'object' ? from : undefined) : this.#reading.resumePoint;
  }

  get position(): Lsn | undefined {
    return this.#reading?.position;
  }

  get skipped(): readonly SkippedRecords[] {
    return this.#reading?.skipped ?? NONE_SKIPPED;
  }

  async acknowledge(lsn?: Lsn): Promise<void> {
    if (this.#settings.named === undefined) throw withoutName();
    if (lsn !== undefined) checkInteger('lsn', lsn);
    if (this.#reading !== undefined) return this.#reading.acknowledge(lsn);
    if (lsn !== undefined && lsn > 0) throw outOfRange('lsn', 'that of an event that was returned', lsn);
  }

  next(): Promise<IteratorResult<Item, void>> {
    if (this.#isTaking) this.#underWay ??= this.#untilAnswered();
    if (this.#underWay !== undefined) return this.#inTurn(() => this.#next());
    if (this.#isOver) return Promise.resolve(DONE);
    if (this.#pace.isDue()) return this.#inTurn(() => this.#nextInLaterTurn());
    let value: Item | undefined;
    try {
      value = this.#reading?.isOver === false ? this.#taken(this.#reading) : undefined;
    } catch {
      // `#next` meets the error again, ends the following, and throws it.
    }
    if (this.#answered !== undefined) return this.#answerFirst(value, this.#answered);
    return value === undefined ? this.#inTurn(() => this.#next()) : Promise.resolve({ done: false, value });
  }

  #untilAnswered(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  /** Answers a request before those that were made inside it, while its event was decoded. */
  #answerFirst(value: Item | undefined, answered: () => void): Promise<IteratorResult<Item, void>> {
    this.#answered = undefined;
    const answer = value === undefined ? this.#next() : Promise.resolve({ done: false as const, value });
    answer.then(answered, answered);
    return answer;
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
    let answered = (): void => {};
    // Before the call begins: it may request further events.
    const underWay = new Promise<void>((resolve) => {
      answered = resolve;
    });
    this.#underWay = underWay;
    const answering = async (): Promise<R> => {
      try {
        if (before !== undefined) await before;
        return await call();
      } finally {
        if (this.#underWay === underWay) this.#underWay = undefined;
        answered();
      }
    };
    return answering();
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
        const value = this.#taken(reading);
        if (value !== undefined) return { done: false, value };
        await reading.readOn();
      }
    } catch (error) {
      // The error that ends it is thrown, and not one of what is done then.
      await this.#end().catch(() => {});
      throw error;
    }
    await this.#end();
    return DONE;
  }

  #taken(reading: Reading<T>): Item | undefined {
    this.#isTaking = true;
    try {
      return this.#take(reading);
    } finally {
      this.#isTaking = false;
    }
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#reading?.close();
  }
}

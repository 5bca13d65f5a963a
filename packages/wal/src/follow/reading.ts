import { type Lsn, WalError } from '@walstack/codec';
import {
  LogTail,
  type LogTailOptions,
  type ReadFrom,
  type ResumePoint,
  type SkippedRecords,
} from '@walstack/mmap-reader';
import { asStored } from '@walstack/mmap-reader/internal';
import type { Environment, WalRecord } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { aborted, isTurnDue, onAbort } from '@walstack/storage-io/internal';
import type { WalEvent } from '../encoding.js';
import type { FollowSettings } from './follow-options.js';
import type { LogActivity } from './log-activity.js';
import { NamedPosition } from './named/named-position.js';

/** A log that is followed, and how its changes are noticed. */
export interface Followed<T> {
  readonly io: StorageIo;
  readonly clock: Pick<Environment, 'now' | 'setTimer'>;
  readonly directory: string;
  readonly activity: LogActivity;
  /** What decoding the records needs. */
  readonly decoding: Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'>;
  readonly toEvent: (record: WalRecord) => WalEvent<T>;
  /** Whether records are returned as they are stored, with their frames. */
  readonly isStored?: boolean;
  /** The durable LSN, when it is known without reading. */
  readonly durable?: () => Lsn;
  /** The same, without what a cut in progress drops: up to there a record that cannot be read is lost. */
  readonly keptDurable?: () => Lsn;
  /** Whether the events before the first one wanted are in the log, but in no file yet. */
  readonly isUnwritten?: () => boolean;
  /** Why nothing can be read any more; `undefined` while it can. */
  readonly closed: () => WalError | undefined;
  /** Why no further events will come after the existing ones; `undefined` while some may. */
  readonly failure: () => WalError | undefined;
  /**
   * Called when reading begins; the function that it returns is called when reading ends.
   *
   * @param position - returns the first LSN that is not read yet; `undefined` before the log was found
   * @param cut - to be called at cuts of the log's end, when they are known without reading
   * @param closed - to be called when the log is closed, as the follower may never be asked for another event. Idempotent
   * @param store - to be called before the log is closed in order: stores how far a follower with a name is
   */
  readonly begin: (
    position: () => Lsn | undefined,
    cut: (lastLsn: Lsn) => void,
    closed: () => void,
    store: () => Promise<void>,
  ) => () => unknown;
}

/** After so many events of an array it may be time for the turn of the event loop. */
const EVENTS_PER_LOOK = 256;
const NONE_SKIPPED: readonly SkippedRecords[] = Object.freeze([]);

/** The state of following after the first request. */
export class Reading<T> {
  readonly #followed: Followed<T>;
  readonly #settings: FollowSettings;
  readonly #makeTail: (from: ReadFrom | ResumePoint) => LogTail;
  readonly #named: NamedPosition | undefined;
  /** `undefined` until the name of the follower is taken. */
  #tail: LogTail | undefined;
  /** Aborted when no call waits any more. */
  readonly #ended: AbortSignal;
  readonly #end: () => unknown;
  #stopListening = (): void => {};
  /** The durable LSN at which nothing more was found; `undefined` when the next call must look for records in any case. */
  #exhaustedUpTo: Lsn | undefined;
  /** Whether the end of the log was reached: from then on nothing is reported, also by a tail that begins elsewhere. */
  #hasReachedEnd = false;
  /** The next event could not be returned: by the next request it may have been cut off, and another one be in its place. */
  #mustLookAgain = false;
  /** Why the next event cannot be returned, until that error was thrown. */
  #error: { readonly reason: unknown } | undefined;
  #closing: Promise<void> | undefined;
  #isReleased = false;
  /** Whether a request waits for {@link readOn}, which ends the following with the signal. */
  #isReading = false;

  constructor(followed: Followed<T>, settings: FollowSettings, stopped: AbortSignal) {
    const { from, signal, tail } = settings;
    const { onProgress, ...options } = tail;
    const { io, directory, decoding, durable, keptDurable } = followed;
    // The writing process knows its durable LSN, and needs no proof of durability.
    const known = keptDurable === undefined ? options : { ...options, durableOnly: false, durable: keptDurable };
    const limit = durable === undefined || !options.durableOnly ? {} : { upTo: durable };
    this.#followed = followed;
    this.#settings = settings;
    const isStored = followed.isStored === true;
    const tailOptions = { ...(isStored ? {} : decoding), ...known, ...limit };
    this.#makeTail = (start) => {
      const reported = onProgress === undefined || this.#hasReachedEnd ? {} : { onProgress };
      const asked = { from: start, ...tailOptions, ...reported };
      return new LogTail(io, directory, isStored ? asStored(asked) : asked);
    };
    if (settings.named === undefined) this.#tail = this.#makeTail(from as ReadFrom | ResumePoint);
    else {
      const { activity, clock } = followed;
      const wake = (): void => activity.notify();
      this.#named = new NamedPosition({ io, directory, ...clock, wake, isKept: durable !== undefined }, settings.named);
    }
    const ended = new AbortController();
    const end = (): void => ended.abort();
    stopped.addEventListener('abort', end, { once: true });
    this.#ended = ended.signal;
    const cut = (lastLsn: Lsn): void => {
      this.#tail?.cutAfter(lastLsn);
      this.#exhaustedUpTo = undefined;
    };
    this.#end = followed.begin(
      () => this.#tail?.nextLsn,
      cut,
      () => this.#release(),
      async () => this.#named?.store(),
    );
    // Not `AbortSignal.any`: a signal may come from another realm.
    if (signal?.aborted === true) end();
    if (signal === undefined || signal.aborted) return;
    try {
      this.#stopListening = onAbort(signal, () => {
        end();
        // Not inside the call that aborts the signal, which may come from a function of the application that reads an event.
        queueMicrotask(() => this.#endBetweenRequests());
      });
    } catch (error) {
      this.close().catch(() => {});
      throw error;
    }
  }

  get resumePoint(): ResumePoint | undefined {
    return this.#tail?.resumePoint;
  }

  /** Of a follower with a name, from when ending it stores that. */
  get position(): Lsn | undefined {
    return this.#named?.isFound === false ? undefined : this.#tail?.nextLsn;
  }

  get skipped(): readonly SkippedRecords[] {
    const first = this.#named?.skipped;
    const skipped = this.#tail?.skipped ?? NONE_SKIPPED;
    return first === undefined ? skipped : Object.freeze([first, ...skipped]);
  }

  acknowledge(lsn: Lsn | undefined): Promise<void> {
    return (this.#named as NamedPosition).acknowledge(lsn);
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
    this.#named?.throwIfFailed();
  }

  /** {@link take} for a request of one event, of a follower with a name. */
  takeOne(): WalEvent<T> | undefined {
    const named = this.#named as NamedPosition;
    let event: WalEvent<T> | undefined;
    named.onRequest();
    try {
      event = this.take();
      return event;
    } finally {
      named.onTaken(event?.lsn);
    }
  }

  /** The next event in memory; `undefined` when {@link readOn} must be called. @throws why it cannot be returned */
  take(): WalEvent<T> | undefined {
    if (this.#error !== undefined) throw this.#error.reason;
    if (this.#mustLookAgain) return undefined;
    try {
      const record = this.#tail?.next();
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
    this.#named?.onRequest();
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
    } finally {
      this.#named?.onTaken(events.at(-1)?.lsn);
    }
    return events.length === 0 ? undefined : events;
  }

  /** Looks for further events, or waits until there may be some. */
  async readOn(): Promise<void> {
    this.#isReading = true;
    try {
      await this.#readOn();
    } finally {
      this.#isReading = false;
    }
  }

  async #readOn(): Promise<void> {
    if (this.#tail === undefined) return await this.#takeName(this.#named as NamedPosition);
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
    const tail = this.#tail as LogTail;
    const stop = (): void => tail.close();
    this.#ended.addEventListener('abort', stop);
    try {
      this.#named?.beforeAdvance();
      const isMore = await tail.advance();
      this.#hasReachedEnd ||= !isMore;
      const elsewhere = await this.#named?.found(this.#ended);
      if (elsewhere === undefined) return isMore;
      tail.close();
      this.#readFrom(elsewhere);
      return true;
    } catch (error) {
      // The error that ends it is thrown, and not one of what is done then: the log keeps more than it would have to.
      if (WalError.is(error, 'WAL_TRUNCATED')) await this.#named?.abandon().catch(() => {});
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

  /**
   * The signal was aborted, and there may never be another request: what the following holds is released. Where that would take away
   * what the application still uses, with the next request: views, and the name under which it acknowledges.
   */
  #endBetweenRequests(): void {
    if (this.#isReading || this.#named !== undefined || this.#settings.tail.copy === false) return;
    this.close().catch(() => {});
  }

  async #close(): Promise<void> {
    try {
      await this.#named?.end();
    } finally {
      this.#release();
      await this.#end();
    }
  }

  /** Takes the name of the follower, which has the log keep everything, and only then begins to read. */
  async #takeName(named: NamedPosition): Promise<void> {
    let start: ReadFrom | ResumePoint;
    try {
      start = await named.begin(this.#settings.from);
    } catch (error) {
      // Closing the log disposes of the backend meanwhile.
      if (WalError.is(error, 'WAL_CLOSED')) this.throwIfOver();
      throw error;
    }
    if (this.#isReleased) return named.release();
    this.#readFrom(start);
  }

  #readFrom(start: ReadFrom | ResumePoint): void {
    this.#tail = this.#makeTail(start);
    this.#named?.reads(this.#tail);
  }

  /** Also ends the listening: a signal may be there longer than the log, and would keep it in memory. */
  #release(): void {
    this.#isReleased = true;
    this.#stopListening();
    this.#tail?.close();
    this.#named?.release();
  }

  /** The event of a record. If decoding fails, the record remains the next one. */
  #eventOf(record: WalRecord): WalEvent<T> {
    try {
      return this.#followed.toEvent(record);
    } catch (error) {
      this.#tail?.putBack();
      throw error;
    }
  }
}

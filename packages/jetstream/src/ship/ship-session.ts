import { type Lsn, WalError } from '@walstack/codec';
import type { StoredRecord } from '@walstack/mmap-reader/internal';
import type { FollowFrom, WalFollower } from '@walstack/wal';
import { fenced } from '../options.js';
import { LogStream, type StreamEnd } from '../stream/log-stream.js';
import { streamError } from '../stream/stream-errors.js';
import { PublishWindow } from './publish-window.js';
import type { PublishedRecords } from './published-records.js';
import type { ShipSettings } from './ship-options.js';
import { Shipping } from './shipping.js';
import type { Source } from './source.js';

/** Records that are read at a time. */
const BATCH = 256;

/** What a session reports. */
export interface SessionListener {
  /** The stream ends where the log does, or can go on from there. */
  readonly began: () => void;
  /** The stream has everything before where the log goes on, which has no record before that any more. */
  readonly begunEmpty: (nextLsn: Lsn) => void;
  /** A record, and all before it, are stored in the stream, and may have been before. */
  readonly stored: (record: StoredRecord, isPublished: boolean) => void;
}

/** Why the log cannot be read further. */
export class SourceError extends Error {
  constructor(readonly reason: unknown) {
    super('the log cannot be read', { cause: reason });
  }
}

/** One connection: compares the end of the stream with the log, and publishes what follows, until something fails. */
export class ShipSession {
  readonly #source: Source;
  readonly #settings: ShipSettings;
  readonly #listener: SessionListener;
  /** Aborted when the session is to end. */
  readonly #ending = new AbortController();
  #error: { readonly reason: unknown } | undefined;
  #window: PublishWindow | undefined;
  #follower: WalFollower<readonly StoredRecord[]> | undefined;
  /** The last record of this session that is stored in the stream, and of which the log knows that. */
  #storedLsn: Lsn = 0;
  #acknowledgedLsn: Lsn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Source, settings: ShipSettings, listener: SessionListener) {
    this.#source = source;
    this.#settings = settings;
    this.#listener = listener;
  }

  get inFlight(): number {
    return this.#window?.inFlight ?? 0;
  }

  /** Ends the session in order: with what is on its way. */
  async stop(): Promise<void> {
    await this.#window?.settled();
    await this.#acknowledge();
    this.#ending.abort();
  }

  /**
   * @param published - what may be the last record of the stream, without another writer
   * @throws why it has ended: a {@link SourceError}, or what the stream refuses; nothing when it was stopped
   */
  async run(published: PublishedRecords): Promise<void> {
    const { stream: asked, create } = this.#settings;
    const stream = await LogStream.open(asked, create);
    const lost = (error: unknown): void => this.#fail(error ?? new Error('the connection was closed'));
    stream.closed().then(lost, lost);
    try {
      const end = await stream.end();
      if (this.#ending.signal.aborted) return;
      const { inFlightMax, inFlightBytesMax } = this.#settings;
      const limits = { messages: inFlightMax, bytes: inFlightBytesMax };
      this.#window = new PublishWindow(stream, end.sequence, limits, (error) => this.#fail(error));
      await this.#ship(stream, this.#window, end, published);
    } catch (error) {
      this.#fail(error);
    } finally {
      await this.#window?.settled();
      await this.#end();
      this.#ending.abort();
      await stream.close();
    }
    if (this.#error === undefined) return;
    const { reason } = this.#error;
    throw reason instanceof SourceError ? reason : streamError(reason, asked.stream, 'shipping');
  }

  async #ship(stream: LogStream, window: PublishWindow, end: StreamEnd, published: PublishedRecords): Promise<void> {
    const { record: last } = end;
    const cutAt = this.#cutAt(end, published);
    const isCut = cutAt !== undefined;
    const durableLsn = this.#source.durableLsn();
    const lastLsn = end.cutTo === undefined ? (last?.lsn ?? 0) : end.cutTo - 1;
    if (!isCut && durableLsn !== undefined && lastLsn > durableLsn) {
      throw fenced(stream.name, 'ahead', `ends with LSN ${lastLsn}, and the log with ${durableLsn}`, lastLsn);
    }
    const shipping = new Shipping(stream, window, end, isCut, (record, isPublished) =>
      this.#stored(record, isPublished),
    );
    this.#listener.began();
    if (last === undefined) {
      const empty = await fromSource(() => this.#source.emptySegment());
      if (empty !== undefined) await shipping.begin(empty, () => this.#listener.begunEmpty(empty.firstLsn));
    }
    try {
      if (last !== undefined && !isCut && end.cutTo === undefined) {
        const losing = await fromSource(() => this.#source.segmentLosing(last.lsn));
        if (losing !== undefined) {
          shipping.passLast(losing);
          this.#listener.begunEmpty(last.lsn + 1);
        }
      }
      await this.#follow(cutAt ?? end.cutTo ?? last?.lsn ?? 'first', last?.lsn, shipping, published);
    } catch (error) {
      // The log may have been cut since it was compared.
      if (isCut || !WalError.is(error, 'WAL_FENCED') || this.#cutAt(end, published) === undefined) throw error;
      throw new SourceError(new WalError('WAL_TRUNCATED', 'the log was cut', { reason: 'cut-back' }, { cause: error }));
    }
  }

  /** Where the log was cut since the last record of the stream was published: the first LSN that is another record now. */
  #cutAt({ record: last }: StreamEnd, published: PublishedRecords): Lsn | undefined {
    const own = last === undefined ? undefined : published.find(last.lsn, last.frame.bytes);
    const behind = own === undefined ? undefined : this.#source.firstLsnBehind(own.segment.number);
    return behind !== undefined && behind <= (last?.lsn ?? 0) ? behind : undefined;
  }

  async #follow(
    from: FollowFrom,
    lastLsn: Lsn | undefined,
    shipping: Shipping,
    published: PublishedRecords,
  ): Promise<void> {
    const { name } = this.#settings;
    const follower = this.#source.follow(from, { name, batch: BATCH, onHole: 'skip', signal: this.#ending.signal });
    this.#follower = follower;
    for (;;) {
      let records: readonly StoredRecord[];
      try {
        const { done, value } = await follower.next();
        if (done === true) return;
        records = value;
      } catch (error) {
        if (this.#ending.signal.aborted) return;
        // The last record of the stream was truncated: the one behind it is the first in the log.
        if (from !== lastLsn || !isTruncatedUpTo(error, lastLsn)) throw new SourceError(error);
        this.#listener.begunEmpty((lastLsn as Lsn) + 1);
        return await this.#follow((lastLsn as Lsn) + 1, lastLsn, shipping, published);
      }
      for (const record of records) {
        if (this.#ending.signal.aborted) return;
        published.add(record);
        const waiting = shipping.ship(record);
        if (waiting !== undefined) await waiting;
      }
    }
  }

  #stored(record: StoredRecord, isPublished: boolean): void {
    this.#storedLsn = record.lsn;
    this.#listener.stored(record, isPublished);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#acknowledge().catch(() => {});
    }, this.#settings.storeMs);
  }

  /** Stores in the log how far the stream is. Where that fails, the log keeps more than it would have to. */
  async #acknowledge(): Promise<void> {
    const lsn = this.#storedLsn;
    if (lsn <= this.#acknowledgedLsn) return;
    try {
      await this.#follower?.acknowledge(lsn);
      this.#acknowledgedLsn = lsn;
    } catch {
      // The next record that is stored in the stream tries it again.
    }
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#acknowledge();
    await this.#follower?.return().catch(() => {});
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#error = { reason: error };
    this.#ending.abort();
  }
}

async function fromSource<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new SourceError(error);
  }
}

function isTruncatedUpTo(error: unknown, lsn: Lsn | undefined): boolean {
  return WalError.is(error, 'WAL_TRUNCATED') && error.reason === undefined && error.firstLsn === (lsn ?? 0) + 1;
}

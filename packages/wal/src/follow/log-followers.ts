import type { Lsn } from '@walstack/codec';
import type { ResumePoint } from '@walstack/mmap-reader';
import type { StoredRecord } from '@walstack/mmap-reader/internal';
import type { FollowerStats } from '@walstack/segmented';
import { backgroundCallsOf } from '@walstack/segmented/internal';
import type { PayloadCodec, WalEvent } from '../encoding.js';
import type { LogContext } from '../log-context.js';
import { DirectoryWatch } from './directory-watch.js';
import { follow, type WalFollower } from './follow.js';
import { POLL_MS } from './follow-directory.js';
import {
  checkFollow,
  FOLLOW_OPTIONS,
  type FollowFrom,
  type FollowOptions,
  type FollowSettings,
} from './follow-options.js';
import type { Followed } from './reading.js';
import { asStoredLog, type StoredFollowOptions } from './stored.js';

/** The followers of one open log, which end with it. */
export class LogFollowers<T> {
  readonly #context: LogContext;
  readonly #toEvent: Followed<T>['toEvent'];
  /** A function for each follower that ends it. */
  readonly #followers = new Set<() => void>();
  /** For each follower, a function that stores how far it is, if it has a name. */
  readonly #positions = new Set<() => Promise<void>>();
  /** For each follower without a name that reads, a function that returns the first LSN that it needs. */
  readonly #reading = new Set<() => Lsn>();

  constructor(context: LogContext, { toEvent }: Pick<PayloadCodec<T, never>, 'toEvent'>) {
    this.#context = context;
    this.#toEvent = toEvent;
  }

  /** @throws `TypeError`, `RangeError` with Node's codes */
  follow(from: FollowFrom, options: FollowOptions): WalFollower<WalEvent<T>> | WalFollower<readonly WalEvent<T>[]> {
    const { log, isReadonly } = this.#context;
    const given = checkFollow(from, options, FOLLOW_OPTIONS);
    // Determine the resume point now: the records before the LSN may be cut off before the first event is requested.
    const settings = typeof from === 'number' ? { ...given, from: log.resumePointAt(from) ?? from } : given;
    return follow(() => (isReadonly ? this.#byWatching() : this.#inProcess(settings)), settings);
  }

  /** Arrays of records as they are stored, of up to `batch`. */
  followStored(from: FollowFrom, options: StoredFollowOptions): WalFollower<readonly StoredRecord[]> {
    const { log, isReadonly } = this.#context;
    const given = checkFollow<FollowOptions>(from, options, FOLLOW_OPTIONS);
    const settings = typeof from === 'number' ? { ...given, from: log.resumePointAt(from) ?? from } : given;
    const open = () => asStoredLog(isReadonly ? this.#byWatching() : this.#inProcess(settings));
    return follow(open, settings) as unknown as WalFollower<readonly StoredRecord[]>;
  }

  /** The followers with a name, and behind them those in this process that have none. */
  withReading(named: readonly FollowerStats[]): readonly FollowerStats[] {
    if (this.#reading.size === 0) return named;
    return Object.freeze([...named, ...[...this.#reading].map((needed) => this.#statsOf(needed()))]);
  }

  #statsOf(lsn: Lsn): FollowerStats {
    return Object.freeze({
      name: undefined,
      state: 'reading',
      lsn,
      ...this.#context.log.lagOf(lsn),
      storedAtMs: undefined,
      ageMs: undefined,
      alive: true,
      reason: undefined,
    });
  }

  /**
   * Stores how far the followers with a name are, before an orderly end of the log. Where that fails, the next follower with that name
   * gets events again: no reason not to close the log.
   */
  async storePositions(): Promise<void> {
    await Promise.allSettled([...this.#positions].map((store) => store()));
  }

  /** Ends all followers of a log that is being closed. */
  end(): void {
    this.#context.activity.notify();
    for (const endFollowing of this.#followers) endFollowing();
  }

  /** For a log that this process writes: the durable LSN is known, and a hold keeps what the follower has not read. */
  #inProcess({ from, named }: Pick<FollowSettings, 'from' | 'named'>): Followed<T> {
    const { log } = this.#context;
    const begin: Followed<T>['begin'] = (position, cut, closed, store) => {
      const first = typeof from === 'object' ? from.lsn : typeof from === 'string' ? log.firstLsn : from;
      const needed = (): Lsn => position() ?? first;
      const release = log.keepFor(needed, cut);
      if (named === undefined) this.#reading.add(needed);
      return this.#closingWithLog(closed, store, () => {
        this.#reading.delete(needed);
        release();
      });
    };
    const isUnwritten = (): boolean => typeof from === 'object' && this.#isWithoutFile(from);
    const calls = backgroundCallsOf(log);
    const known = { durable: () => log.durableLsn, keptDurable: () => calls.keptDurableLsn };
    return { ...this.#followedLog(), begin, ...known, isUnwritten };
  }

  /** For a log that was opened read-only: changes are noticed by watching the directory. */
  #byWatching(): Followed<T> {
    const { log, setTimer, activity } = this.#context;
    const watch = new DirectoryWatch(log.directory, log.io.capabilities.realFiles, POLL_MS, setTimer, activity);
    return {
      ...this.#followedLog(),
      begin: (_position, _cut, closed, store) => this.#closingWithLog(closed, store, () => watch.close()),
    };
  }

  /** What every follower of this log needs. */
  #followedLog(): Omit<Followed<T>, 'begin'> {
    const { log, lifecycle, activity, now, setTimer } = this.#context;
    return {
      io: log.io,
      clock: { now, setTimer },
      directory: log.directory,
      decoding: log.decoding,
      activity,
      toEvent: this.#toEvent,
      closed: () =>
        lifecycle.state === 'closed' ? lifecycle.closedError('the log was closed while it was followed') : undefined,
      failure: () => log.failure,
    };
  }

  /** Whether the record before a resume point is in a planned segment of this log that has no file yet. */
  #isWithoutFile({ lsn, segment, id }: ResumePoint): boolean {
    const { log } = this.#context;
    if (lsn - 1 <= log.durableLsn || segment <= (log.listSegments().at(-1)?.number ?? 0)) return false;
    const known = log.resumePointAt(lsn);
    return known?.segment === segment && known.id === id;
  }

  /** Ends the reading of a follower with the log. @returns a function that ends it */
  #closingWithLog(closed: () => void, store: () => Promise<void>, end: () => void): () => void {
    const endFollowing = (): void => {
      this.#followers.delete(endFollowing);
      this.#positions.delete(store);
      closed();
      end();
    };
    this.#followers.add(endFollowing);
    this.#positions.add(store);
    return endFollowing;
  }
}

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { FileName, type Lsn, WalError } from '@walstack/codec';
import { followerFileNames, storedSlot } from '@walstack/codec/internal';
import type { Segment } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { announce, type LogMessage, type TypedChannel, typedChannel } from '../diagnostics.js';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { countWhile } from '../segments/segment-list.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import { type FollowersFound, type FoundFollower, NO_FOLLOWERS, readFollowers } from './follower-files.js';
import type { FollowerStats, KeptFor } from './follower-stats.js';
import { NeededLsns } from './needed-lsns.js';

/**
 * A follower with a name holds nothing any more (`'expired'`), or the log keeps everything because of it, as its file cannot be
 * read or belongs to another log. Channel `walstack:follower`, once for each change.
 */
export interface FollowerMessage extends LogMessage {
  readonly follower: FollowerStats;
}

export const followerChannel: TypedChannel<FollowerMessage> = typedChannel('walstack:follower');

/** The name under which the directory of the followers is reported, when it cannot be read. */
const ALL = '*';

/** After this time {@link Followers.refreshIfStale} reads the files again. */
const STALE_MS = 1000;

/** How far a follower is behind the end of the log. */
type Lag = Pick<FollowerStats, 'lagRecords' | 'lagBytes'>;

/** What a follower needs. */
type Need = Omit<FollowerStats, keyof Lag>;

const NONE: readonly never[] = Object.freeze([]);

/** The followers of a log that have a name: what they hold, by their files. */
export class Followers {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #neededLsns: NeededLsns;
  #found: FollowersFound = NO_FOLLOWERS;
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** By name: the state that was announced last. */
  #announced = new Map<string, string>();

  constructor(environment: Environment, settings: Settings, writer: SegmentWriter) {
    this.#environment = environment;
    this.#settings = settings;
    this.#writer = writer;
    this.#neededLsns = new NeededLsns(writer);
  }

  /** Reads the files of all followers again. */
  *read(): IoRoutine<void> {
    const known = this.#found.followers.map(({ name }) => name);
    this.#found = yield* readFollowers(this.#environment.io, this.#settings.directory, known);
    // Not the clock of the environment, which is asked only where there is a follower: nothing that is stored depends on this.
    this.#readAtMs = performance.now();
    this.#announceChanges();
  }

  /**
   * Reads them unless there were none when they were read last: what a truncation announces is compared with the followers in any
   * case, and a new one is seen then.
   */
  *readIfAny(): IoRoutine<void> {
    if (this.#found !== NO_FOLLOWERS || this.#readAtMs === Number.NEGATIVE_INFINITY) yield* this.read();
  }

  /** Whether the files were not read for a second. */
  get isStale(): boolean {
    return performance.now() - this.#readAtMs >= STALE_MS;
  }

  /** The time; `NaN` from a clock that has none: then nothing is known to be old. */
  get #now(): number {
    try {
      const now: unknown = this.#environment.now();
      return typeof now === 'number' ? now : Number.NaN;
    } catch {
      return Number.NaN;
    }
  }

  /** The first LSN that any of them needs; 0 when everything has to be kept; `Infinity` when nothing has. */
  get neededLsn(): Lsn {
    return this.#needs().reduce((least, follower) => Math.min(least, neededBy(follower)), Number.POSITIVE_INFINITY);
  }

  /** The followers that need records before an LSN. */
  needingBefore(lsn: Lsn): readonly KeptFor[] {
    return this.#needs()
      .filter((follower) => neededBy(follower) < lsn)
      .map(({ name, state, lsn: needed, reason }) => Object.freeze({ name, state, lsn: needed, reason }));
  }

  /** The followers as they were when their files were last read. */
  stats(): readonly FollowerStats[] {
    const needs = this.#needs();
    if (needs.length === 0) return NONE;
    const lagOf = this.#lags();
    return Object.freeze(needs.map((need) => Object.freeze({ ...need, ...lagOf(need.lsn ?? 0) })));
  }

  /** How far behind the end of the log an LSN is. */
  lagOf(lsn: Lsn): Lag {
    return this.#lags()(lsn);
  }

  /** Returns how far behind the end of the log an LSN is, as the log is now. */
  #lags(): (lsn: Lsn) => Lag {
    const { chain, nextLsn, firstLsn } = this.#writer;
    /** For each segment, the bytes of those behind it; from the newest one on, as far as was asked. */
    const behind: number[] = [];
    const bytesBehind = (index: number): number => {
      for (let at = behind.length; at < chain.length - index; at++) {
        behind.push(at === 0 ? 0 : (behind[at - 1] as number) + (chain.at(chain.length - at) as Segment).end);
      }
      return behind[chain.length - 1 - index] as number;
    };
    return (lsn) => {
      const from = Math.min(Math.max(lsn, firstLsn), nextLsn);
      // What was appended and not written yet is counted as records only.
      const index = countWhile(chain, (segment) => segment.nextLsn <= from);
      const segment = chain.at(index);
      const lagBytes = segment === undefined ? 0 : bytesFrom(segment, from) + bytesBehind(index);
      return { lagRecords: nextLsn - from, lagBytes };
    };
  }

  /**
   * Removes a follower for good, when no process has it open. Durable on return.
   *
   * @returns whether there was one with this name
   * @throws `WAL_LOCKED` when it is open
   */
  *remove(name: string): IoRoutine<boolean> {
    const { io } = this.#environment;
    const directory = join(this.#settings.directory, FileName.followers);
    const { file, draft, spare, lock } = followerFileNames(name);
    yield* this.read();
    if (this.#found.failure !== undefined) throw this.#found.failure;
    const isThere = this.#found.followers.some((each) => each.name === name);
    const others = () => listed(io, directory)?.filter((each) => each === draft || each === spare);
    if (!isThere) {
      const left = others();
      // An earlier removal may have failed in the middle, or before it was durable.
      if (left?.length === 0) yield* ioSteps.syncDirectory(io, directory);
      if (left === undefined || left.length === 0) return false;
    }
    const unlock = io.lock(join(directory, lock), this.#settings.fileMode);
    try {
      // The file first: without the others it is the same follower.
      for (const each of [...(isThere ? [file] : []), ...(others() ?? [])])
        yield* ioSteps.remove(io, join(directory, each));
      yield* ioSteps.syncDirectory(io, directory);
    } finally {
      unlock();
    }
    yield* this.read();
    return isThere;
  }

  #needs(): readonly Need[] {
    const { followers, failure } = this.#found;
    if (followers.length === 0 && failure === undefined) return NONE;
    const now = this.#now;
    const needs = followers.map((each) => this.#needOf(each, now));
    return failure === undefined ? needs : [...needs, unreadable(ALL, failure, undefined)];
  }

  /** @param now - by the clock of this log */
  #needOf({ name, stored, failure, alive }: FoundFollower, now: number): Need {
    if (stored === undefined) return unreadable(name, failure as WalError, alive);
    // Starting without success does not make it younger.
    const { storedAtMs } = storedSlot(stored);
    const age = Math.max(0, now - (storedAtMs ?? Number.NaN));
    const ageMs = Number.isNaN(age) ? undefined : age;
    const needed = this.#neededLsns.of(stored);
    const { followerExpiryMs = Number.POSITIVE_INFINITY } = this.#settings;
    const isGone = alive !== true && ageMs !== undefined && ageMs > followerExpiryMs;
    return {
      name,
      state: isGone ? 'expired' : needed === 'other-log' ? 'other-log' : 'holding',
      lsn: needed === 'other-log' ? undefined : needed,
      storedAtMs,
      ageMs,
      alive,
      reason: undefined,
    };
  }

  #announceChanges(): void {
    const lagOf = this.#lags();
    const now = new Map<string, string>();
    for (const follower of this.#needs()) {
      const { name = '', state, lsn, reason = '' } = follower;
      const what = `${state} ${reason}`;
      now.set(name, what);
      if (state === 'holding' || this.#announced.get(name) === what || !followerChannel.hasSubscribers) continue;
      const stats = Object.freeze({ ...follower, ...lagOf(lsn ?? 0) });
      announce(followerChannel, { directory: this.#settings.directory, follower: stats });
    }
    this.#announced = now;
  }
}

/** The first LSN for whose removal a follower is not ready. */
function neededBy({ state, lsn = 0 }: Need): Lsn {
  return state === 'expired' ? Number.POSITIVE_INFINITY : lsn;
}

/** Of a follower whose file cannot be read: everything. */
function unreadable(name: string, { code, reason }: WalError, alive: boolean | undefined): Need {
  const state = 'unreadable';
  return { name, state, lsn: undefined, storedAtMs: undefined, ageMs: undefined, alive, reason: reason ?? code };
}

/** The bytes of a segment from an LSN on, by the number of its records. */
function bytesFrom({ header, nextLsn, end }: Segment, lsn: Lsn): number {
  const records = nextLsn - header.firstLsn;
  if (records === 0) return 0;
  return Math.round((end * (nextLsn - Math.max(lsn, header.firstLsn))) / records);
}

/** The names in a directory; `undefined` when there is none. */
function listed(io: StorageIo, directory: string): readonly string[] | undefined {
  try {
    return io.list(directory);
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

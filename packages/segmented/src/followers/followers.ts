import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { FileName, type Lsn, WalError } from '@walstack/codec';
import { followerFileNames, type StoredPosition } from '@walstack/codec/internal';
import { findCut, lastReadAt, type Segment, sameId } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { announce, type LogMessage, type TypedChannel, typedChannel } from '../diagnostics.js';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { countWhile } from '../segments/segment-list.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import { type FollowersFound, type FoundFollower, NO_FOLLOWERS, readFollowers } from './follower-files.js';
import type { FollowerStats, KeptFor } from './follower-stats.js';

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

/** The followers of a log that have a name: what they hold, by their files. */
export class Followers {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  #found: FollowersFound = NO_FOLLOWERS;
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** By name: the state that was announced last. */
  #announced = new Map<string, string>();

  constructor(environment: Environment, settings: Settings, writer: SegmentWriter) {
    this.#environment = environment;
    this.#settings = settings;
    this.#writer = writer;
  }

  /** Reads the files of all followers again. */
  *read(): IoRoutine<void> {
    this.#found = yield* readFollowers(this.#environment.io, this.#settings.directory);
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

  /**
   * Reads them for a truncation that relies on what was read: makes it durable, else a crash could leave a follower with its
   * position before the beginning of the log. Where that fails, everything is kept.
   */
  *readDurably(): IoRoutine<void> {
    yield* this.read();
    if (this.#found.followers.length === 0) return;
    const { io } = this.#environment;
    try {
      yield* ioSteps.syncDirectory(io, join(this.#settings.directory, FileName.followers));
    } catch (failure) {
      if (!WalError.is(failure) || failure.code === 'WAL_CLOSED') throw failure;
      this.#found = { ...this.#found, failure };
      this.#announceChanges();
    }
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
    return Math.min(Number.POSITIVE_INFINITY, ...this.#states().map(neededBy));
  }

  /** The followers that need records before an LSN. */
  needingBefore(lsn: Lsn): readonly KeptFor[] {
    return this.#states()
      .filter((follower) => neededBy(follower) < lsn)
      .map(({ name, state, lsn: needed, reason }) => Object.freeze({ name, state, lsn: needed, reason }));
  }

  /** The followers as they were when their files were last read. */
  stats(): readonly FollowerStats[] {
    return Object.freeze(this.#states());
  }

  /** How far behind the end of the log an LSN is. */
  lagOf(lsn: Lsn): Pick<FollowerStats, 'lagRecords' | 'lagBytes'> {
    const { chain, nextLsn, firstLsn } = this.#writer;
    const from = Math.min(Math.max(lsn, firstLsn), nextLsn);
    // What was appended and not written yet is counted as records only.
    const index = countWhile(chain, (segment) => segment.nextLsn <= from);
    let lagBytes = 0;
    for (let at = index; at < chain.length; at++) lagBytes += bytesFrom(chain.at(at) as Segment, from);
    return { lagRecords: nextLsn - from, lagBytes };
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
    const { file, lock } = followerFileNames(name);
    yield* this.read();
    if (this.#found.failure !== undefined) throw this.#found.failure;
    if (!this.#found.followers.some((each) => each.name === name)) return false;
    const unlock = io.lock(join(directory, lock), this.#settings.fileMode);
    try {
      yield* ioSteps.remove(io, join(directory, file));
      yield* ioSteps.syncDirectory(io, directory);
    } finally {
      unlock();
    }
    yield* this.read();
    return true;
  }

  #states(): FollowerStats[] {
    const { followers, failure } = this.#found;
    const states = followers.map((each) => this.#stateOf(each));
    return failure === undefined ? states : [...states, this.#unreadable(ALL, failure, undefined)];
  }

  #stateOf({ name, stored, failure, alive }: FoundFollower): FollowerStats {
    if (stored === undefined) return this.#unreadable(name, failure as WalError, alive);
    const { logId, position, storedAtMs } = stored;
    const age = Math.max(0, this.#now - storedAtMs);
    const ageMs = Number.isNaN(age) ? undefined : age;
    const isOther = !sameId(logId, this.#logId);
    const lsn = isOther || position === undefined ? undefined : this.#firstNeeded(position);
    const { followerExpiryMs = Number.POSITIVE_INFINITY } = this.#settings;
    const isGone = alive !== true && ageMs !== undefined && ageMs > followerExpiryMs;
    return Object.freeze({
      name,
      state: isGone ? 'expired' : isOther ? 'other-log' : 'holding',
      lsn,
      ...this.lagOf(lsn ?? 0),
      storedAtMs,
      ageMs,
      alive,
      reason: undefined,
    });
  }

  #unreadable(name: string, { code, reason }: WalError, alive: boolean | undefined): FollowerStats {
    return Object.freeze({
      name,
      state: 'unreadable',
      lsn: undefined,
      ...this.lagOf(0),
      storedAtMs: undefined,
      ageMs: undefined,
      alive,
      reason: reason ?? code,
    });
  }

  get #logId(): Uint8Array {
    return this.#writer.logId;
  }

  /** The first LSN that a follower needs, when the end of the log may have been cut off before its position. */
  #firstNeeded(position: StoredPosition): Lsn {
    const { segments, nextLsn } = this.#writer;
    const { lsn, segment, id, session } = position;
    if (segment === undefined || id === undefined) return Math.min(lsn, nextLsn);
    const point = { lsn, segment, id, ...(session === undefined ? {} : { session }) };
    return Math.min(lsn, nextLsn, findCut(segments, lastReadAt('position', point)) ?? nextLsn);
  }

  #announceChanges(): void {
    const states = this.#states();
    const now = new Map<string, string>();
    for (const follower of states) {
      const { name = '', state, reason = '' } = follower;
      const what = `${state} ${reason}`;
      now.set(name, what);
      if (state === 'holding' || this.#announced.get(name) === what || !followerChannel.hasSubscribers) continue;
      announce(followerChannel, { directory: this.#settings.directory, follower });
    }
    this.#announced = now;
  }
}

/** The first LSN for whose removal a follower is not ready. */
function neededBy({ state, lsn = 0 }: FollowerStats): Lsn {
  return state === 'expired' ? Number.POSITIVE_INFINITY : lsn;
}

/** The bytes of a segment from an LSN on, by the number of its records. */
function bytesFrom({ header, nextLsn, end }: Segment, lsn: Lsn): number {
  const records = nextLsn - header.firstLsn;
  if (records === 0) return 0;
  return Math.round((end * (nextLsn - Math.max(lsn, header.firstLsn))) / records);
}

import { performance } from 'node:perf_hooks';
import { type Lsn, WalError } from '@walstack/codec';
import type { Environment, SegmentedWal } from '@walstack/segmented';
import { type BackgroundCalls, backgroundCallsOf } from '@walstack/segmented/internal';
import { announceCommits, commitChannel } from '../diagnostics.js';
import type { LogActivity } from '../follow/log-activity.js';
import type { RoomQueue } from './room-queue.js';
import { RoomRetry } from './room-retry.js';
import { Waiters } from './waiters.js';

/**
 * The records that a further group needs while others are under way: many committers are split over several concurrent
 * groups, and a few share the next one.
 */
const CONCURRENT_GROUP_RECORDS_MIN = 16;

/** With so many records a group begins before the turn ends: the disk works while further records are encoded. */
const IMMEDIATE_GROUP_RECORDS_MIN = 256;

/**
 * Commits in groups: all calls that wait for durability share one write and one sync, and the next group gathers while these
 * are under way.
 */
export class GroupCommit {
  readonly #log: SegmentedWal;
  readonly #calls: BackgroundCalls;
  readonly #roomQueue: RoomQueue;
  readonly #activity: LogActivity;
  readonly #waiters = new Waiters();
  readonly #roomRetry: RoomRetry;
  /** Whether a group has found no room on the disk, and none behind it has succeeded yet. */
  #isStalled = false;
  /** The number of groups that were begun and are not durable yet. */
  #underWay = 0;
  /** The last LSN of the last group that was begun. */
  #begunLsn: Lsn = 0;
  #scheduled = false;
  /** Whether the log is being closed. */
  #isEnding = false;
  #served = 0;

  constructor(log: SegmentedWal, roomQueue: RoomQueue, activity: LogActivity, setTimer: Environment['setTimer']) {
    this.#log = log;
    this.#calls = backgroundCallsOf(log);
    this.#roomQueue = roomQueue;
    this.#activity = activity;
    // A group that is under way says itself whether there is room.
    this.#roomRetry = new RoomRetry(setTimer, () => {
      if (this.#underWay === 0) this.#beginGroup();
    });
  }

  /** The number of commits that were resolved. */
  get served(): number {
    return this.#served;
  }

  /** The number of commits that wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves with `lsn` once it is durable.
   *
   * @param signal - when it is aborted, nothing awaits the promise any more
   * @param isPatient - whether it waits on while the disk has no room
   */
  wait(lsn: Lsn, signal?: AbortSignal, isPatient?: boolean): Promise<Lsn> {
    if (lsn <= this.#log.durableLsn) return Promise.resolve(lsn);
    const durable = this.#waiters.wait(lsn, signal, isPatient);
    this.start();
    return durable;
  }

  /** Begins groups as long as a call waits for durability or for room. */
  start(): void {
    if (this.#scheduled) {
      if (this.#isGroupLarge() && this.#needsGroup()) this.#beginGroup();
      return;
    }
    if (!this.#needsGroup()) return;
    this.#scheduled = true;
    // Commits in the rest of this turn of the event loop join the group.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#needsGroup()) this.#beginGroup();
    });
  }

  /**
   * Resolves the commits whose LSN has become durable, and admits calls that wait for room.
   *
   * @param begunAt - when the group that is durable now was begun
   */
  resolveDurable(begunAt?: number): void {
    this.#resolveUpTo(this.#log.durableLsn, begunAt);
    this.#roomQueue.admit();
    this.#activity.notify();
  }

  /**
   * Resolves all commits after a cut of the log's end, which makes everything before it durable first.
   *
   * @param lastLsn - the last LSN before the cut
   */
  resolveBeforeCut(lastLsn: Lsn): void {
    this.#begunLsn = Math.min(this.#begunLsn, this.#log.lastLsn);
    this.#resolveUpTo(lastLsn);
  }

  #resolveUpTo(durableLsn: Lsn, begunAt?: number): void {
    const served = this.#waiters.resolveUpTo(durableLsn);
    this.#served += served;
    if (served > 0 && commitChannel.hasSubscribers) announceCommits(this.#log, served, begunAt);
  }

  /** Rejects all commits that are not durable yet, and all calls that wait for room. */
  rejectAll(error: WalError): void {
    this.#stopRetrying();
    this.#rejectAll(error, false);
  }

  /** Does not try again any more to write what has found no room on the disk, as the log is being closed. */
  endRetrying(): void {
    this.#isEnding = true;
    this.#stopRetrying();
  }

  #stopRetrying(): void {
    this.#isStalled = false;
    this.#roomRetry.stop();
  }

  /** Rejects what a full disk rejects, and tries again after a while to make durable what was appended. */
  #stalled(error: WalError): void {
    this.#rejectAll(error, true);
    // A group may find no room while the log is being closed, which tries itself.
    if (this.#isEnding) return;
    this.#isStalled = true;
    this.#roomRetry.arm(this.#waiters.hasAwaited);
  }

  #rejectAll(error: WalError, keepsPatient: boolean): void {
    this.#resolveUpTo(this.#log.durableLsn);
    const isReported = this.#waiters.rejectAll((lsn) => outcomeUnknown(lsn, error, this.#log), keepsPatient);
    if (isReported || this.#roomQueue.size > 0) this.#calls.reported(error);
    this.#roomQueue.rejectAll(error);
  }

  /** Whether to begin a group: at once when none is under way, otherwise only with enough records. */
  #needsGroup(): boolean {
    if (this.#waiters.size === 0 && !this.#roomQueue.waitsForRoom) return false;
    if (this.#underWay === 0) return true;
    if (this.#underWay >= this.#log.maxInFlight) return false;
    return this.#log.lastLsn - this.#begunLsn >= CONCURRENT_GROUP_RECORDS_MIN;
  }

  #isGroupLarge(): boolean {
    return this.#log.lastLsn - this.#begunLsn >= IMMEDIATE_GROUP_RECORDS_MIN && this.#log.maxInFlight > 1;
  }

  #beginGroup(): void {
    this.#underWay++;
    this.#begunLsn = this.#log.lastLsn;
    const begunAt = commitChannel.hasSubscribers ? performance.now() : undefined;
    const ended = (failure: unknown): void => {
      this.#underWay--;
      if (failure === undefined) {
        if (this.#isStalled) this.#stopRetrying();
        this.resolveDurable(begunAt);
        // The resolved callers may commit again at once, and join the next group.
        this.start();
      } else if (this.#log.failure === undefined && WalError.is(failure, 'WAL_NO_SPACE')) this.#stalled(failure);
      else this.rejectAll(this.#log.failure ?? asWalError(failure));
    };
    // Calls that wait only for room need a write, and no sync.
    if (this.#waiters.size > 0 || this.#isStalled) this.#calls.startSync(ended);
    else this.#calls.flush().then(() => ended(undefined), ended);
  }
}

/** The failure that stopped the log, as every waiting call is rejected with it. */
export function asWalError(error: unknown): WalError {
  if (WalError.is(error)) return error;
  return new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
}

/**
 * The error of an unconfirmed commit: after reopening, its record may be in the log or not. Where it waits for room on the
 * disk, it becomes durable when there is some.
 */
function outcomeUnknown(lsn: Lsn, cause: WalError, { failure }: SegmentedWal): WalError {
  const { path, systemCode } = cause;
  const waits = cause.code === 'WAL_NO_SPACE' && failure === undefined;
  const advice = waits
    ? 'it is appended, and becomes durable when there is room, unless the log is closed before: await durable(lsn)'
    : 'open the log again and check whether it is there';
  return new WalError(
    cause.code,
    `the outcome of the commit with LSN ${lsn} is unknown (${cause.message}): ${advice}`,
    {
      ...(path === undefined ? {} : { path }),
      ...(systemCode === undefined ? {} : { systemCode }),
      lsn,
      reason: 'outcome-unknown',
    },
    { cause },
  );
}

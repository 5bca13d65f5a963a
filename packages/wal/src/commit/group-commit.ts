import { performance } from 'node:perf_hooks';
import { type Lsn, WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { announceCommits, commitChannel } from '../diagnostics.js';
import type { Progress } from '../follow/log-activity.js';
import type { Admission } from './admission.js';
import { Waiters } from './waiters.js';

/**
 * So many records are worth a group beside those under way, where the log can have several: a crowd is served by
 * several groups at a time, and a few calls that wait together share one.
 */
const RECORDS_WORTH_A_GROUP = 16;

/** So many are not kept waiting for the end of the turn: the disk works while the next ones are encoded. */
const RECORDS_ENOUGH = 256;

/**
 * Makes groups: all calls that wait for durability share one write and one sync, and while those are under way, the next group
 * gathers.
 */
export class GroupCommit {
  readonly #log: SegmentedWal;
  readonly #admission: Admission;
  readonly #progress: Progress;
  readonly #waiters = new Waiters();
  /** Groups that were begun and are not durable yet. */
  #underWay = 0;
  /** The last LSN of the last group that was begun. */
  #begunLsn: Lsn = 0;
  #scheduled = false;
  #served = 0;

  constructor(log: SegmentedWal, admission: Admission, progress: Progress) {
    this.#log = log;
    this.#admission = admission;
    this.#progress = progress;
  }

  /** Commits that were served. */
  get served(): number {
    return this.#served;
  }

  /** Commits that wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Resolves with `lsn` once it is durable. */
  wait(lsn: Lsn): Promise<Lsn> {
    if (lsn <= this.#log.durableLsn) return Promise.resolve(lsn);
    const durable = this.#waiters.wait(lsn);
    this.start();
    return durable;
  }

  /** Sees to it that groups are made as long as a call waits, for durability or for room. */
  start(): void {
    if (this.#scheduled) {
      if (this.#isEnough() && this.#isTime()) this.#beginGroup();
      return;
    }
    if (!this.#isTime()) return;
    this.#scheduled = true;
    // Whoever commits in this turn of the event loop joins the group.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#isTime()) this.#beginGroup();
    });
  }

  /**
   * Serves those whose LSN has become durable, and lets in those that wait for room.
   *
   * @param begunAt - when the group was begun that is durable now
   */
  settle(begunAt?: number): void {
    this.#serve(this.#log.durableLsn, begunAt);
    this.#admission.admit();
    this.#progress.made();
  }

  /**
   * Serves all: the end of the log was cut off, and all that was there before had been made durable first.
   *
   * @param lastLsn - the last LSN before the cut
   */
  cut(lastLsn: Lsn): void {
    this.#begunLsn = Math.min(this.#begunLsn, this.#log.lastLsn);
    this.#serve(lastLsn);
  }

  #serve(durableLsn: Lsn, begunAt?: number): void {
    const served = this.#waiters.settle(durableLsn);
    this.#served += served;
    if (served > 0 && commitChannel.hasSubscribers) announceCommits(this.#log, served, begunAt);
  }

  /** Rejects every wait for what is not durable yet. */
  rejectAll(error: WalError): void {
    this.#serve(this.#log.durableLsn);
    this.#waiters.rejectAll((lsn) => outcomeUnknown(lsn, error));
    this.#admission.rejectAll(error);
  }

  /** Whether a group is to be begun: at once where none is under way, beside others only for many. */
  #isTime(): boolean {
    if (this.#waiters.size === 0 && !this.#admission.waitsForRoom) return false;
    if (this.#underWay === 0) return true;
    if (this.#underWay >= this.#log.maxInFlight) return false;
    return this.#log.lastLsn - this.#begunLsn >= RECORDS_WORTH_A_GROUP;
  }

  #isEnough(): boolean {
    return this.#log.lastLsn - this.#begunLsn >= RECORDS_ENOUGH && this.#log.maxInFlight > 1;
  }

  #beginGroup(): void {
    this.#underWay++;
    this.#begunLsn = this.#log.lastLsn;
    const begunAt = commitChannel.hasSubscribers ? performance.now() : undefined;
    const ended = (failure: unknown): void => {
      this.#underWay--;
      if (failure === undefined) {
        this.settle(begunAt);
        // Those that were served may commit again at once, and join the next group.
        this.start();
      } else this.rejectAll(this.#log.failure ?? asWalError(failure));
    };
    // What waits for room alone is not made to wait for a sync.
    if (this.#waiters.size > 0) this.#log.startSync(ended);
    else this.#log.flush().then(() => ended(undefined), ended);
  }
}

/** What stopped the log, as every waiting call is told. */
export function asWalError(error: unknown): WalError {
  if (WalError.is(error)) return error;
  return new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
}

/** A commit that was not confirmed: the record may be there after reopening, or not. */
function outcomeUnknown(lsn: Lsn, cause: WalError): WalError {
  return new WalError(
    cause.code,
    `the outcome of the commit with LSN ${lsn} is unknown (${cause.message}): open the log again and look whether it is there`,
    { ...(cause.path === undefined ? {} : { path: cause.path }), lsn, reason: 'outcome-unknown' },
    { cause },
  );
}

import type { Lsn } from '@walstack/codec';
import { checkFollowerName, checkInteger, checkLsn } from '@walstack/codec/internal';
import type { IoRoutine } from '@walstack/storage-io';
import type { CallQueues } from '../call-queues.js';
import type { FollowerStats } from '../followers/follower-stats.js';
import type { Followers } from '../followers/followers.js';
import { behindLastLsn, behindNextLsn } from '../log-errors.js';
import type { TruncateResult } from '../write/allocation/segment-removal.js';
import type { FullDisk } from '../write/full-disk.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import type { Cuts } from './cuts.js';
import { checkHoldName, type Truncation } from './truncation.js';

/** The calls that move the beginning and the end of a log, its checkpoint and its holds, in the maintenance queue. */
export class TruncationCalls {
  readonly #calls: CallQueues;
  readonly #writer: SegmentWriter;
  readonly #truncation: Truncation;
  readonly #followers: Followers;
  readonly #cuts: Cuts;
  readonly #fullDisk: FullDisk;

  constructor(
    calls: CallQueues,
    writer: SegmentWriter,
    truncation: Truncation,
    followers: Followers,
    cuts: Cuts,
    fullDisk: FullDisk,
  ) {
    this.#followers = followers;
    this.#calls = calls;
    this.#writer = writer;
    this.#truncation = truncation;
    this.#cuts = cuts;
    this.#fullDisk = fullDisk;
  }

  async before(lsn: Lsn): Promise<TruncateResult> {
    this.#checkKept(lsn);
    return this.#calls.runMaintenance(() => this.#truncating(this.#truncation.before(lsn)));
  }

  beforeSync(lsn: Lsn): TruncateResult {
    this.#checkKept(lsn);
    return this.#calls.runMaintenanceSync(() => this.#truncating(this.#truncation.before(lsn)));
  }

  async after(lsn: Lsn): Promise<TruncateResult> {
    this.#checkAppended(lsn);
    return this.#cutting(lsn + 1, () => this.#truncation.after(lsn));
  }

  afterSync(lsn: Lsn): TruncateResult {
    this.#checkAppended(lsn);
    return this.#cuttingSync(lsn + 1, () => this.#truncation.after(lsn));
  }

  async resetTo(lsn: Lsn): Promise<TruncateResult> {
    checkLsn('lsn', lsn);
    return this.#cutting(lsn, () => this.#truncation.resetTo(lsn));
  }

  resetToSync(lsn: Lsn): TruncateResult {
    checkLsn('lsn', lsn);
    return this.#cuttingSync(lsn, () => this.#truncation.resetTo(lsn));
  }

  async checkpoint(lsn: Lsn): Promise<void> {
    this.#checkAppended(lsn);
    return this.#calls.runMaintenance(() => this.#truncating(this.#truncation.checkpoint(lsn)));
  }

  checkpointSync(lsn: Lsn): void {
    this.#checkAppended(lsn);
    this.#calls.runMaintenanceSync(() => this.#truncating(this.#truncation.checkpoint(lsn)));
  }

  async hold(name: string, lsn: Lsn): Promise<void> {
    checkHoldName(name);
    this.#checkKept(lsn);
    return this.#calls.runMaintenance(() => this.#truncating(this.#truncation.hold(name, lsn)));
  }

  holdSync(name: string, lsn: Lsn): void {
    checkHoldName(name);
    this.#checkKept(lsn);
    this.#calls.runMaintenanceSync(() => this.#truncating(this.#truncation.hold(name, lsn)));
  }

  async releaseHold(name: string): Promise<boolean> {
    checkHoldName(name);
    return this.#calls.runMaintenance(() => this.#truncating(this.#truncation.releaseHold(name)));
  }

  releaseHoldSync(name: string): boolean {
    checkHoldName(name);
    return this.#calls.runMaintenanceSync(() => this.#truncating(this.#truncation.releaseHold(name)));
  }

  async followers(): Promise<readonly FollowerStats[]> {
    if (this.#calls.state !== 'open') throw this.#calls.closedError();
    return this.#calls.maintenance.run(() => this.#readFollowers());
  }

  followersSync(): readonly FollowerStats[] {
    this.#calls.throwUnlessOpen();
    return this.#calls.maintenance.runSync(() => this.#readFollowers());
  }

  /** Reads the files of the followers again, in the background, unless that was done a moment ago. */
  refreshFollowers(): void {
    if (this.#calls.state !== 'open' || !this.#followers.isStale || !this.#calls.maintenance.idle) return;
    // What cannot be read is part of what is known of the followers; a closed backend ends the calls of the log as well.
    this.#calls.maintenance.run(() => this.#readFollowers()).catch(() => {});
  }

  async removeFollower(name: string): Promise<boolean> {
    checkFollowerName('name', name);
    return this.#calls.runMaintenance(() => this.#truncating(this.#removeFollower(name)));
  }

  removeFollowerSync(name: string): boolean {
    checkFollowerName('name', name);
    return this.#calls.runMaintenanceSync(() => this.#truncating(this.#removeFollower(name)));
  }

  *#readFollowers(): IoRoutine<readonly FollowerStats[]> {
    yield* this.#followers.read();
    return this.#followers.stats();
  }

  *#removeFollower(name: string): IoRoutine<boolean> {
    const nowMs = this.#truncation.retentionMs();
    const removed = yield* this.#followers.remove(name);
    if (removed) yield* this.#truncation.retain(nowMs);
    return removed;
  }

  /** @param nextLsn - the LSN with which the log continues after the cut */
  async #cutting(nextLsn: Lsn, cut: () => IoRoutine<TruncateResult>): Promise<TruncateResult> {
    this.#calls.throwUnlessOwned();
    return this.#cuts.run(nextLsn, () => this.#calls.runMaintenance(() => this.#truncating(cut())));
  }

  #cuttingSync(nextLsn: Lsn, cut: () => IoRoutine<TruncateResult>): TruncateResult {
    this.#calls.throwUnlessOwned();
    return this.#cuts.runSync(nextLsn, () => this.#calls.runMaintenanceSync(() => this.#truncating(cut())));
  }

  /** Runs what may make room on a full disk. */
  *#truncating<T>(truncation: IoRoutine<T>): IoRoutine<T> {
    // The reserve is made again before the records that wait take the room: the next call may need it.
    const result = yield* this.#writer.reserve.lend(truncation);
    if (this.#fullDisk.noSpace !== undefined) yield* this.#calls.writes.join(() => this.#fullDisk.goOnIfPossible());
    return result;
  }

  #checkKept(lsn: Lsn): void {
    const end = this.#cuts.endOfKept(this.#writer.nextLsn);
    if (checkLsn('lsn', lsn) > end) throw behindNextLsn('lsn', lsn, end);
  }

  #checkAppended(lsn: Lsn): void {
    const last = this.#cuts.endOfKept(this.#writer.nextLsn) - 1;
    if (checkInteger('lsn', lsn) > last) throw behindLastLsn(lsn, last);
  }
}

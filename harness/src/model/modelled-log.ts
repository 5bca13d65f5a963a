import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { FileName, WalError } from '@walstack/codec';
import { type BackupReport, Batch, type Hole, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { runAsync } from '@walstack/storage-io';
import type { ProcessRun } from '@walstack/storage-io/simulation';
import { openAborted } from './aborted-opening.js';
import { destroy, destroyByte, destroyFile, type Target, targetsIn, throwIfLost } from './damage.js';
import { keyStreamsOf } from './key-streams.js';
import { type BackedUp, CHECKPOINT, FOLLOWER, HOLE, Knowledge, type LogNote } from './knowledge.js';
import { isKnownBackup } from './known-backup.js';
import { expectSame, markOf, optionsIn, type ReadRecord, readBefore, readInEveryWay, readRecord } from './readers.js';
import { beforeRetention, checkRetained } from './retained.js';
import { SimulatedEnvironment } from './simulated-environment.js';
import { toldOfFailure } from './told-of-failure.js';

/** Where logs are: two directories deep, so that the upper one has to be made durable as well. */
export const DIRECTORY = '/data/log';

/** Where they are backed up to. */
const BACKUP = '/backups/log';

/**
 * A log that notes what it is asked for and what it acknowledges, and that is held against what was noted whenever it is
 * opened. Each call takes the blocking form where the backend does its work at once, and else the one with a promise. One
 * class in spite of its length: a few lines for each call of a log, all of which note to the same run.
 */
export class ModelledLog {
  readonly #run: ProcessRun<LogNote>;
  /** How the log is configured. */
  readonly config: Partial<SegmentedWalConfig>;
  #environment: SimulatedEnvironment;
  #wal: SegmentedWal | undefined;
  /** Whether a call of the log has reported its failure. */
  #isTold: () => boolean = () => false;
  #processes = 0;
  /** The end of what was flushed: it survives every kill, and no power cut. */
  #flushedLsn = 0;
  /** Backups that are being made. */
  #backups = 0;
  readonly #hasReaders: boolean;

  /** @param hasReaders - whether what is in the log is read in every way, each time before and after it was opened */
  constructor(run: ProcessRun<LogNote>, config: Partial<SegmentedWalConfig>, hasReaders = false) {
    this.#run = run;
    this.config = config;
    this.#hasReaders = hasReaders;
    this.#environment = new SimulatedEnvironment(run);
  }

  /** A number from 0 to 1. */
  readonly random = (): number => this.#run.random();

  get isOpen(): boolean {
    return this.#wal !== undefined;
  }

  /** The log below. */
  get wal(): SegmentedWal {
    if (this.#wal === undefined) throw new Error('the log is not open');
    return this.#wal;
  }

  /**
   * Opens the log and holds everything in it against what was noted. A run that has it open is killed before.
   *
   * @param config - for this run of the log alone
   */
  async open(config: Partial<SegmentedWalConfig> = {}): Promise<void> {
    const options = this.#restarted(config);
    const before = this.#readsInEveryWay ? await readBefore(options) : undefined;
    const told = toldOfFailure(this.#blocks ? SegmentedWal.openSync(options) : await SegmentedWal.open(options));
    this.#wal = told.wal;
    this.#isTold = told.isTold;
    const { durableLsn, lastLsn } = this.#wal;
    if (durableLsn !== lastLsn) throw new Error(`opening has left ${lastLsn} not durable, but ${durableLsn}`);
    const records = await this.check();
    if (lastLsn < this.#flushedLsn && this.#isSteady) {
      throw new Error(
        `lost: ${this.#flushedLsn} was flushed before the process was killed, the log ends with ${lastLsn}`,
      );
    }
    this.#flushedLsn = 0;
    if (!this.#readsInEveryWay) return;
    // Where there is none yet, there is nothing in it.
    expectSame('the log before it was recovered', before ?? [], records);
    await readInEveryWay(this.#wal, options, records, this.random);
  }

  /** Opens the log, and aborts that in the n-th turn of the event loop. A run that has it open is killed before. */
  async openAborted(turns: number): Promise<void> {
    const options = this.#restarted({});
    if (await openAborted(this.#run.io, options, this.#blocks, turns, this.#isSteady)) this.kill();
  }

  /** Kills a run that has the log open. @returns how the next one opens it */
  #restarted(config: Partial<SegmentedWalConfig>) {
    if (this.#wal !== undefined) this.kill();
    this.#environment = new SimulatedEnvironment(this.#run);
    const { options } = this.#environment;
    return { blockBytes: 512, ...options, ...this.config, ...config, directory: DIRECTORY, io: this.#run.io };
  }

  /** Reads everything, holds it against what was noted, and notes it. */
  async check(): Promise<readonly ReadRecord[]> {
    const { wal } = this;
    const { firstLsn, nextLsn } = wal;
    const records: ReadRecord[] = [];
    const options = this.config.recoveryMode === 'skip-corrupt' ? { onHole: 'skip' as const } : {};
    if (this.#blocks) for (const record of wal.replay(options)) records.push(readRecord(record));
    else for await (const record of wal.replay(options)) records.push(readRecord(record));
    const payloads = withHoles(records, wal.recovery.holes);
    await this.noteKeyStreams();
    const knowledge = new Knowledge(this.#run.notes);
    knowledge.check(firstLsn, payloads, nextLsn);
    const claims = { ...wal.holds, [CHECKPOINT]: wal.checkpointLsn };
    const { followers, isKnown } = await this.#followers();
    knowledge.checkClaims(firstLsn, { ...claims, ...followers }, isKnown);
    await runAsync(this.#run.io, throwIfLost(this.#run.io, DIRECTORY, knowledge.files));
    // What is read back need not be durable, but for what recovery has found.
    if (wal.durableLsn === wal.lastLsn) this.#run.note({ kind: 'found', firstLsn, payloads, claims, followers });
    return records;
  }

  /** Kills the process that has the log open: what was not acknowledged may get lost. */
  kill(): void {
    this.#run.restart();
    this.#wal = undefined;
  }

  /** Appends a record of so many bytes, at least those that say which one it is. */
  append(bytes: number): void {
    const { wal } = this;
    const { nextLsn } = wal;
    const payload = this.#payload(nextLsn, bytes);
    // Noted before: what it appends could be written at once.
    this.#run.note({ kind: 'appended', lsn: nextLsn, payload });
    wal.append(payload);
  }

  /** Appends a record that has a type, meta and a scope, by chance. */
  appendMarked(bytes: number): void {
    const { wal } = this;
    const { nextLsn } = wal;
    const payload = `${this.#payload(nextLsn, 0)}${markOf(this.random)}`.padEnd(bytes, '#');
    this.#run.note({ kind: 'appended', lsn: nextLsn, payload });
    wal.append(payload, optionsIn(payload));
  }

  /** Appends a batch of records of so many bytes each, at least those that say which ones they are. */
  appendBatch(sizes: readonly number[]): void {
    const { wal } = this;
    const { nextLsn } = wal;
    const batch = new Batch();
    for (const [index, bytes] of sizes.entries()) {
      const lsn = nextLsn + index;
      const payload = this.#payload(lsn, bytes);
      const whole = { firstLsn: nextLsn, lastLsn: nextLsn + sizes.length - 1 };
      this.#run.note({ kind: 'appended', lsn, payload, batch: whole });
      batch.add(payload);
    }
    wal.appendBatch(batch);
  }

  /** Appends a batch of up to so many records. */
  appendSomeBatch(recordsMost: number, bytesMost: number): void {
    const records = 1 + Math.floor(this.random() * recordsMost);
    this.appendBatch(Array.from({ length: records }, () => Math.floor(this.random() ** 2 * bytesMost)));
  }

  /** Appends several records of up to so many bytes, small ones more often than large ones. */
  appendSome(records: number, bytesMost: number): void {
    for (let record = 0; record < records; record++) this.append(Math.floor(this.random() ** 2 * bytesMost));
  }

  async sync(): Promise<void> {
    const { wal } = this;
    const { lastLsn } = wal;
    if (this.#blocks) wal.syncSync();
    else await wal.sync();
    throwUnlessDurable(wal, lastLsn, 'a sync');
    this.acknowledge();
  }

  /** Begins a sync and does not wait for it; where the backend does its work at once, it is done. */
  startSync(): Promise<void> {
    const synced = this.sync();
    synced.catch(() => {});
    return synced;
  }

  async flush(): Promise<void> {
    const { wal } = this;
    const { lastLsn } = wal;
    if (this.#blocks) wal.flushSync();
    else await wal.flush();
    this.#flushedLsn = Math.max(this.#flushedLsn, lastLsn);
    this.acknowledge();
  }

  /** Truncates so that a part of the log stays; with 1, nothing. */
  async truncate(part: number, areFollowersStill = true): Promise<void> {
    const { wal } = this;
    const lsn = wal.firstLsn + Math.floor((wal.nextLsn - wal.firstLsn) * part);
    // A segment whose name is still being given may come too late for what is before it to go.
    const named = new Set(wal.listSegments().map(({ path }) => path));
    const isBackedUp = this.#backups > 0;
    this.#run.note({ kind: 'truncated', lsn });
    const { keptFor = [] } = this.#blocks ? wal.truncateBeforeSync(lsn) : await wal.truncateBefore(lsn);
    const followers = keptFor.map((each) => each.lsn ?? 0);
    const needed = Math.min(lsn, ...Object.values(wal.holds), ...followers);
    const [first, second] = wal.listSegments();
    const isLeft = second !== undefined && named.has(second.path) && second.firstLsn <= needed;
    // A backup may need more than that, and a follower that goes on meanwhile may have needed more a moment before.
    if (first !== undefined && isLeft && !isBackedUp && areFollowersStill) {
      throw new Error(`truncation to ${lsn} has left ${first.path}, and ${needed} is the first LSN that is needed`);
    }
    this.#run.note({ kind: 'gone', firstLsn: wal.firstLsn });
    this.acknowledge();
  }

  /** Drops everything behind an LSN: nothing that stood there may come back. */
  async truncateAfter(lsn: number): Promise<void> {
    const { firstLsn } = this.wal;
    this.#run.note({ kind: 'cutting', lsn, firstLsn });
    this.#flushedLsn = Math.min(this.#flushedLsn, lsn);
    if (this.#blocks) this.wal.truncateAfterSync(lsn);
    else await this.wal.truncateAfter(lsn);
    this.#run.note({ kind: 'cut', lsn, firstLsn });
  }

  /** Drops everything and goes on with an LSN. */
  async resetTo(lsn: number): Promise<void> {
    this.#run.note({ kind: 'resetting', lsn });
    this.#flushedLsn = 0;
    if (this.#blocks) this.wal.resetToSync(lsn);
    else await this.wal.resetTo(lsn);
    this.#run.note({ kind: 'reset', lsn });
  }

  /** An LSN of the log, or the one before its first. */
  someLsn(): number {
    const { firstLsn, nextLsn } = this.wal;
    return firstLsn - 1 + Math.floor(this.random() * (nextLsn - firstLsn + 1));
  }

  /** Needs nothing up to an LSN any more. */
  async checkpoint(lsn: number): Promise<void> {
    const { wal } = this;
    if (lsn <= wal.checkpointLsn) return;
    this.#run.note({ kind: 'claiming', name: CHECKPOINT, lsn });
    if (this.config.retainBytes !== undefined) this.#run.note({ kind: 'truncated', lsn: lsn + 1 });
    await this.#retaining(() => (this.#blocks ? wal.checkpointSync(lsn) : wal.checkpoint(lsn)));
    throwUnlessDurable(wal, lsn, 'a checkpoint');
    this.#run.note({ kind: 'claimed', name: CHECKPOINT, lsn });
    this.acknowledge();
  }

  /** Holds an LSN; without one, gives up the hold. */
  async hold(name: string, lsn?: number): Promise<void> {
    const { wal } = this;
    this.#run.note({ kind: 'claiming', name, lsn });
    if (lsn === undefined) {
      const release = () => (this.#blocks ? wal.releaseHoldSync(name) : wal.releaseHold(name));
      // Without such a hold nothing is released.
      await (name in wal.holds ? this.#retaining(release) : release());
    } else {
      await this.#retaining(() => (this.#blocks ? wal.holdSync(name, lsn) : wal.hold(name, lsn)));
      throwUnlessDurable(wal, lsn - 1, 'a hold');
    }
    this.#run.note({ kind: 'claimed', name, lsn });
  }

  /** Removes a follower with a name, which is not open. */
  async removeFollower(name: string): Promise<void> {
    this.#run.note({ kind: 'claiming', name: FOLLOWER + name, lsn: undefined });
    if (this.#blocks) this.wal.removeFollowerSync(name);
    else await this.wal.removeFollower(name);
    this.#run.note({ kind: 'claimed', name: FOLLOWER + name, lsn: undefined });
  }

  /**
   * How far the followers are for which anything was noted: others may have begun, or not. A file that cannot be read says nothing of
   * its follower, and the directory nothing of any.
   */
  async #followers(): Promise<{
    readonly followers: Readonly<Record<string, number | undefined>>;
    readonly isKnown: (name: string) => boolean;
  }> {
    const noted = this.#run.notes.flatMap((note) =>
      note.kind === 'claiming' && note.name.startsWith(FOLLOWER) ? [note.name] : [],
    );
    const found = this.#blocks ? this.wal.followersSync() : await this.wal.followers();
    const unreadable = new Set(found.flatMap(({ name, state }) => (state === 'unreadable' ? [name] : [])));
    const isKnown = (name: string): boolean =>
      !name.startsWith(FOLLOWER) || (!unreadable.has('*') && !unreadable.has(name.slice(FOLLOWER.length)));
    const lsns = new Map(found.map(({ name, lsn = 0 }) => [`${FOLLOWER}${name}`, lsn]));
    const followers = Object.fromEntries([...new Set(noted)].filter(isKnown).map((name) => [name, lsns.get(name)]));
    return { followers, isKnown };
  }

  /** Makes a call that applies the retention. */
  async #retaining(call: () => unknown): Promise<void> {
    const { retainBytes } = this.config;
    const before = retainBytes === undefined ? undefined : beforeRetention(this.wal);
    await call();
    // After a failure it may be deferred.
    if (before !== undefined && this.#isSteady) checkRetained(before, this.wal, retainBytes as number);
  }

  /** Destroys the first record of a segment that is not the newest, on the disk. The log is killed. */
  async destroyRecord(): Promise<void> {
    const { wal } = this;
    const segments = wal.listSegments();
    const index = Math.floor(this.random() * (segments.length - 1));
    const target = segments[index] as (typeof segments)[number];
    const hidden = segments.slice(index, -1).map(({ path }) => path);
    this.kill();
    const { io } = this.#run;
    const lsn = target.firstLsn - 1;
    this.#flushedLsn = 0;
    this.#run.note({ kind: 'cutting', lsn });
    const files = await runAsync(io, destroy(io, target.path, hidden));
    this.#run.note({ kind: 'damaged', lsn, files });
  }

  /** Destroys a record up to an LSN, on the disk, in a log that is salvaged around it. The log is killed. */
  async destroyInside(lastLsn: number): Promise<void> {
    const { wal } = this;
    const paths = wal.listSegments().map(({ path }) => path);
    this.kill();
    const { io } = this.#run;
    this.#flushedLsn = 0;
    const targets: Target[] = [];
    for (const path of paths) targets.push(...(await runAsync(io, targetsIn(io, path, lastLsn))));
    const target = targets[Math.floor(this.random() * targets.length)];
    if (target === undefined) return;
    this.#run.note({ kind: 'holing', lsns: target.lsns });
    const file = await runAsync(io, destroyByte(io, target.path, target.offset));
    this.#run.note({ kind: 'holed', file });
  }

  /** Makes the checkpoint unreadable, on the disk. The log is killed. */
  async destroyCheckpoint(): Promise<void> {
    this.kill();
    const { io } = this.#run;
    this.#flushedLsn = 0;
    this.#run.note({ kind: 'claiming', name: CHECKPOINT, lsn: 0 });
    await runAsync(io, destroyFile(io, join(DIRECTORY, FileName.checkpoint)));
  }

  /** Backs the log up, into the directory of the backup before. */
  async backup(): Promise<void> {
    const { wal } = this;
    const { firstLsn, nextLsn } = wal;
    this.#run.note({ kind: 'backing-up', firstLsn, nextLsn });
    this.#backups++;
    let report: BackupReport;
    try {
      report = this.#blocks ? wal.backupSync(BACKUP) : await wal.backup(BACKUP);
    } catch (error) {
      if (!WalError.is(error, 'WAL_FOREIGN_DIRECTORY') || error.reason !== 'ahead') throw error;
      // A log that found no room to note the backup before does not replace it behind a cut.
      if (await runAsync(this.#run.io, isKnownBackup(this.#run.io, DIRECTORY, BACKUP))) throw error;
      return await this.checkBackup();
    } finally {
      this.#backups--;
    }
    const backup = await this.#readBackup('readonly');
    new Knowledge(this.#run.notes).checkBackup(backup);
    const last = backup === undefined ? undefined : backup.firstLsn + backup.payloads.length - 1;
    if (report.firstLsn !== backup?.firstLsn || report.lastLsn !== last) {
      throw new Error(`the backup has ${backup?.firstLsn} to ${last}, and says ${JSON.stringify(report)}`);
    }
    this.#run.note({ kind: 'backed-up', backup: backup as BackedUp });
    this.acknowledge();
  }

  /** Before a cut beside a backup: that may contain what the cut leaves. */
  noteBackupOfCut(lastLsn: number, firstLsn = this.wal.firstLsn): void {
    this.#run.note({ kind: 'backing-up', firstLsn, nextLsn: lastLsn + 1 });
  }

  /** Holds the backup against what was noted. Nothing is changed. */
  async checkBackup(): Promise<void> {
    new Knowledge(this.#run.notes).checkBackup(await this.#readBackup('readonly'));
  }

  /** Whether a backup was ever begun, and not restored. */
  get hasBackup(): boolean {
    return new Knowledge(this.#run.notes).hasBackup;
  }

  /** Opens the backup as a log of its own, holds it against what was noted, and goes on with it. */
  async openBackup(): Promise<void> {
    this.#run.note({ kind: 'restoring' });
    new Knowledge(this.#run.notes).checkBackup(await this.#readBackup('strict'));
  }

  /** Backs the log up into the directory of a backup that was opened as a log: that is refused, and the directory stays as it is. */
  async leaveBackup(): Promise<void> {
    const before = await this.#readBackup('readonly');
    if (before === undefined) return;
    try {
      if (this.#blocks) this.wal.backupSync(BACKUP);
      else await this.wal.backup(BACKUP);
    } catch (error) {
      if (!WalError.is(error, 'WAL_FOREIGN_DIRECTORY')) throw error;
      if (isDeepStrictEqual(await this.#readBackup('readonly'), before)) return;
    }
    throw new Error('lost: a backup that was opened as a log was replaced by the next one');
  }

  /** What the backup contains; `undefined` when none was ever complete. A backup that is opened for writing goes on, too. */
  async #readBackup(recoveryMode: 'readonly' | 'strict'): Promise<BackedUp | undefined> {
    const { io } = this.#run;
    const environment = new SimulatedEnvironment(this.#run);
    const given = { blockBytes: 512, ...environment.options, ...this.config, io };
    const config = { ...given, directory: BACKUP, create: false, recoveryMode };
    let wal: SegmentedWal;
    try {
      wal = this.#blocks ? SegmentedWal.openSync(config) : await SegmentedWal.open(config);
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND') || isBegun(error)) return undefined;
      throw error;
    }
    const payloads: string[] = [];
    if (this.#blocks) for (const record of wal.replay()) payloads.push(readRecord(record).payload);
    else for await (const record of wal.replay()) payloads.push(readRecord(record).payload);
    const { firstLsn, encryptionRing } = wal;
    if (recoveryMode === 'strict') {
      for (let record = 0; record < 3; record++) wal.append('x'.repeat(900));
      if (this.#blocks) wal.syncSync();
      else await wal.sync();
      if (encryptionRing !== undefined) {
        for (const note of await runAsync(io, keyStreamsOf(io, BACKUP, encryptionRing))) this.#run.note(note);
      }
      // Its files are freed and used again: those that it shares with the log are not.
      if (this.#blocks) wal.truncateBeforeSync(wal.nextLsn);
      else await wal.truncateBefore(wal.nextLsn);
      for (let record = 0; record < 3; record++) wal.append('y'.repeat(900));
    }
    if (this.#blocks) wal.closeSync();
    else await wal.close();
    return { firstLsn, payloads };
  }

  /** Lets the log find that it has been quiet for a while, which may have it write a mark. */
  async quiet(): Promise<void> {
    this.#environment.fire();
    await this.flush();
  }

  async close(): Promise<void> {
    const { wal } = this;
    const { lastLsn } = wal;
    if (this.#blocks) wal.closeSync();
    else await wal.close();
    // One that has failed gives up its files, and makes nothing durable: then this call says so, or one before it has.
    if (wal.failure === undefined) throwUnlessDurable(wal, lastLsn, 'closing');
    else if (wal.durableLsn < lastLsn) await this.#throwUnlessTold(lastLsn);
    this.acknowledge();
    this.#wal = undefined;
  }

  /** Closes the log, which ends its process where that fails, and opens it again. */
  async closeAndOpen(): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      this.kill();
      throw error;
    }
    await this.open();
  }

  /** Makes everything durable and goes over to another key. */
  async rotateKey(id: number): Promise<void> {
    const { wal } = this;
    const { lastLsn } = wal;
    if (this.#blocks) wal.rotateKeySync(id);
    else await wal.rotateKey(id);
    throwUnlessDurable(wal, lastLsn, 'another key');
    this.acknowledge();
  }

  /** Takes note of what every encrypted record was encrypted with that can be read from the files now. */
  async noteKeyStreams(): Promise<void> {
    const { encryptionRing } = this.wal;
    if (encryptionRing === undefined) return;
    for (const note of await runAsync(this.#run.io, keyStreamsOf(this.#run.io, DIRECTORY, encryptionRing))) {
      this.#run.note(note);
    }
  }

  async #throwUnlessTold(lastLsn: number): Promise<void> {
    // What is rejected by the same failure is seen by now.
    await new Promise(setImmediate);
    if (this.#isTold()) return;
    throw new Error(`the log has failed and is closed, ${lastLsn} is not durable, and no call has reported that`);
  }

  /** A payload that is like no other. */
  #payload(lsn: number, bytes: number): string {
    return `${this.#run.notes.length}/${++this.#processes}/${lsn}/`.padEnd(bytes, '#');
  }

  /** What the log says is durable has to be there from now on. */
  acknowledge(): void {
    this.#run.note({ kind: 'durable', lsn: this.wal.durableLsn });
  }

  get #readsInEveryWay(): boolean {
    return this.#hasReaders && this.#isSteady;
  }

  /** What a sync that failed has left in the cache, the cache may give up between one reading and the next. */
  get #isSteady(): boolean {
    return this.#run.disks.every(({ lastFailed }) => lastFailed === undefined);
  }

  get #blocks(): boolean {
    return this.#run.io.capabilities.completesInline;
  }
}

const isBegun = (error: unknown): boolean => WalError.is(error, 'WAL_STATE') && error.state === 'backup-begun';

function throwUnlessDurable({ durableLsn }: SegmentedWal, lsn: number, what: string): void {
  if (durableLsn < lsn) throw new Error(`${what} left ${lsn} not durable, but ${durableLsn}`);
}

/** The payloads of records, and a word for each one that is lost between them. */
function withHoles(records: readonly ReadRecord[], holes: readonly Hole[]): readonly string[] {
  const byLsn = new Map(records.map(({ lsn, payload }) => [lsn, payload]));
  for (const { firstLsn, lastLsn } of holes) {
    for (let lsn = firstLsn; lsn <= lastLsn; lsn++) {
      if (byLsn.has(lsn)) throw new Error(`LSN ${lsn} is there, and in the hole from ${firstLsn} to ${lastLsn}`);
      byLsn.set(lsn, HOLE);
    }
  }
  return [...byLsn].sort(([a], [b]) => a - b).map(([, payload]) => payload);
}

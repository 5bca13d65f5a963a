import { type InspectOptions, inspect } from 'node:util';
import { type Checkpoint, type KeyRing, type Lsn, MarkType, type WalError } from '@walstack/codec';
import { checkInteger, inspected, invalidType, notConstructible } from '@walstack/codec/internal';
import type { LogTailOptions, ReadFrom, ResumePoint, WalRecord } from '@walstack/mmap-reader';
import { runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { addCallers, backendOf, withCallers } from '@walstack/storage-io/internal';
import { AppendGate } from './append/append-gate.js';
import { type AppendOptions, NO_OPTIONS, ReusedBody } from './append/record-body.js';
import { settingsFor } from './backend-defaults.js';
import { Backup } from './backup/backup.js';
import { type BackupOptions, type BackupReport, checkBackup } from './backup/backup-options.js';
import { MadeBackups } from './backup/made-backups.js';
import { Batch, markSpent, recordsOf, throwIfSpent } from './batch.js';
import { CallQueues } from './call-queues.js';
import { type CloseOptions, Closing } from './closing.js';
import { announce } from './diagnostics.js';
import type { Environment } from './environment.js';
import type { FollowerStats } from './followers/follower-stats.js';
import { Followers } from './followers/followers.js';
import { announced, channels } from './log-diagnostics.js';
import { emptyBatch } from './log-errors.js';
import { checkConfig, type SegmentedWalConfig, type Settings, withoutCreating } from './options.js';
import type { LogReader, ReadOptions } from './read/log-reader.js';
import { ReadCalls } from './read/read-calls.js';
import type { Replay, ReplayPage } from './read/replay.js';
import { type OpenedLog, openLog } from './recovery/open-log.js';
import { OpeningWatch } from './recovery/opening-watch.js';
import type { RecoveryReport } from './recovery/recovery-report.js';
import { CheckpointStore } from './retention/checkpoint-store.js';
import { Cuts } from './retention/cuts.js';
import { dropsAnything } from './retention/retention.js';
import { Truncation } from './retention/truncation.js';
import { TruncationCalls } from './retention/truncation-calls.js';
import { metaOf, type SegmentMeta } from './segments/segment.js';
import { type SegmentedWalStats, statsOf } from './stats.js';
import type { TruncateResult } from './write/allocation/segment-removal.js';
import { BackgroundCalls, setBackgroundCalls } from './write/calls/background-calls.js';
import { IdleMarker } from './write/calls/idle-marker.js';
import { KeyCalls } from './write/calls/key-calls.js';
import { SyncCalls } from './write/calls/sync-calls.js';
import { FullDisk } from './write/full-disk.js';
import { SegmentWriter } from './write/segment-writer.js';

// Long, as it documents every public call. What a call does is in the file that it passes it to.

/**
 * A write-ahead log in a directory of segment files.
 *
 * `append` encodes a record into memory and returns its LSN at once; `sync` makes everything appended before it durable.
 * Every call that waits for the disk has two forms: one returns a promise, the other, with a name that ends in `Sync`,
 * blocks the thread and needs a backend that can block. Asynchronous calls report all errors, also wrong arguments, by
 * rejecting the promise; blocking calls throw.
 *
 * Only one object at a time writes a log, in any process or thread: the directory is locked.
 */
export class SegmentedWal {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #recovery: RecoveryReport;
  readonly #writer: SegmentWriter;
  readonly #calls: CallQueues;
  /** `undefined` while a record is appended: a getter or the clock may append in its turn. */
  #body: ReusedBody | undefined = new ReusedBody();
  readonly #gate: AppendGate;
  readonly #syncs: SyncCalls;
  readonly #reads: ReadCalls;
  readonly #truncation: Truncation;
  readonly #followers: Followers;
  readonly #cuts = new Cuts();
  readonly #truncations: TruncationCalls;
  readonly #keys: KeyCalls;
  readonly #closing: Closing;
  readonly #madeBackups: MadeBackups;
  #retaining = false;

  private constructor(environment: Environment, settings: Settings, ownsIo: boolean, opened: OpenedLog) {
    if (opened === undefined) throw notConstructible('SegmentedWal', 'use await SegmentedWal.open(config)');
    this.#environment = environment;
    this.#settings = settings;
    this.#recovery = opened.report;
    const { io } = environment;
    const writer = new SegmentWriter(
      environment,
      settings,
      opened.start,
      () => this.#retain(),
      (result) => this.#announceTruncation(result),
      () => this.#gate.throwUnlessWritable(),
    );
    this.#writer = writer;
    this.#calls = new CallQueues(io, settings.directory, settings.recoveryMode === 'readonly', writer);
    const { checkpointIsDurable = true } = opened.start;
    const store = new CheckpointStore(environment, settings, writer, beginningOf(opened), checkpointIsDurable);
    this.#madeBackups = new MadeBackups(environment, settings, writer);
    const followers = new Followers(environment, settings, writer);
    this.#followers = followers;
    this.#truncation = new Truncation(environment, settings, writer, store, this.#calls.writes, followers, {
      cutting: (lastLsn) => this.#madeBackups.cut(lastLsn),
      cut: (lastLsn) => this.#cutOff(lastLsn),
      truncated: (result) => this.#announceTruncation(result),
    });
    const idleMarker = new IdleMarker(environment.setTimer, settings.markAfterMs, {
      activity: () => writer.nextLsn,
      wanted: () => this.#calls.state === 'open' && writer.failure === undefined && !writer.endsWithMark,
      mark: () => this.#writeIdleMark(),
    });
    const fullDisk = new FullDisk(writer, this.#truncation, this.#calls.writes, opened.noSpace);
    this.#gate = new AppendGate(settings, writer, this.#calls, this.#cuts, fullDisk);
    this.#syncs = new SyncCalls(io, this.#calls, writer, fullDisk, idleMarker);
    setBackgroundCalls(this, new BackgroundCalls(this.#calls, this.#syncs, writer, this.#cuts));
    this.#reads = new ReadCalls(io, settings, this.#calls, writer, () => this.#truncation.current);
    this.#truncations = new TruncationCalls(this.#calls, writer, this.#truncation, followers, this.#cuts, fullDisk);
    this.#keys = new KeyCalls(settings.directory, this.#calls, writer, this.#gate, fullDisk);
    this.#closing = new Closing({
      io,
      ownsIo,
      unlock: opened.unlock,
      calls: this.#calls,
      writer,
      idleMarker,
      reads: this.#reads,
      truncation: this.#truncation,
    });
  }

  /**
   * Opens and recovers the log of a directory, or creates a new one. All records that it contains are durable on return.
   *
   * Reading gives the event loop its turn at least every 10 ms, sees `signal`, and calls `onProgress`.
   *
   * @throws `WAL_LOCKED` when another writer holds it, `WAL_CORRUPT` when something acknowledged is lost (nothing is
   * changed), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`,
   * `WAL_ABORTED`; `TypeError` and `RangeError` for wrong options
   */
  static async open(config: SegmentedWalConfig): Promise<SegmentedWal> {
    const checked = checkConfig(config);
    const watch = new OpeningWatch(checked.call);
    watch.throwIfAborted();
    const { io, owned } = backendOf(checked.io, 'async');
    try {
      const settings = settingsFor(checked.settings, io);
      const environment = { io, ...checked.system };
      return new SegmentedWal(
        environment,
        settings,
        owned,
        await runAsync(
          io,
          announced(environment, settings, watch.run(openLog({ ...environment, watch }, settings, false))),
        ),
      );
    } catch (error) {
      if (owned) await io.dispose();
      throw addCallers(error);
    }
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot block */
  static openSync(config: SegmentedWalConfig): SegmentedWal {
    const checked = checkConfig(config);
    const watch = new OpeningWatch(checked.call);
    watch.throwIfAborted();
    const { io, owned } = backendOf(checked.io, 'wait');
    try {
      const settings = settingsFor(checked.settings, io);
      const environment = { io, ...checked.system };
      return new SegmentedWal(
        environment,
        settings,
        owned,
        runSync(io, announced(environment, settings, watch.run(openLog({ ...environment, watch }, settings, true)))),
      );
    } catch (error) {
      // After a blocking call nothing is in flight: `dispose` has nothing to wait for.
      if (owned) void io.dispose();
      throw error;
    }
  }

  /**
   * Opens an existing log, closes it again, and reports what recovery found and did. With `recoveryMode` `'readonly'` it
   * changes nothing and only checks the log; with `'salvage'` it repairs a damaged one.
   *
   * @returns the report; all records that were kept are durable
   * @throws like {@link open}; `WAL_NOT_FOUND` when there is no log, and none is created
   */
  static async recover(config: SegmentedWalConfig): Promise<RecoveryReport> {
    const wal = await SegmentedWal.open(withoutCreating(config));
    await wal.close();
    return wal.recovery;
  }

  /** Like {@link recover}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot block */
  static recoverSync(config: SegmentedWalConfig): RecoveryReport {
    const wal = SegmentedWal.openSync(withoutCreating(config));
    wal.closeSync();
    return wal.recovery;
  }

  /** The directory of the log. */
  get directory(): string {
    return this.#settings.directory;
  }

  /** The LSN of the next record. */
  get nextLsn(): Lsn {
    return this.#writer.nextLsn;
  }

  /** The last LSN assigned; `firstLsn − 1` when the log has no record. */
  get lastLsn(): Lsn {
    return this.#writer.nextLsn - 1;
  }

  /** Everything up to this LSN survives a crash. */
  get durableLsn(): Lsn {
    return this.#writer.durableLsn;
  }

  /** The first LSN in the log; the next LSN when the log has no record. */
  get firstLsn(): Lsn {
    return this.#writer.firstLsn;
  }

  /** The LSN of the last {@link checkpoint}: the application needs nothing up to it. 0 when there is none. */
  get checkpointLsn(): Lsn {
    return this.#truncation.checkpointLsn;
  }

  /** The holds: the first LSN that each keeps, by its name. A frozen snapshot. */
  get holds(): Readonly<Record<string, Lsn>> {
    return Object.freeze({ ...this.#truncation.holds });
  }

  /** First LSN of the active segment; the next LSN when there is none yet. */
  get activeSegmentFirstLsn(): Lsn {
    return this.#writer.activeFirstLsn;
  }

  /**
   * Position of the next record in the log, in bytes: behind everything appended and the padding of groups. It keeps
   * growing across segments and when the log is opened again.
   */
  get position(): number {
    return this.#writer.position;
  }

  /** Every byte of the log before this position survives a crash. */
  get durablePosition(): number {
    return this.#writer.durablePosition;
  }

  /** The core that the log belongs to; `undefined` for a log that belongs to none. */
  get coreId(): number | undefined {
    return this.#writer.coreId;
  }

  /** Bytes appended and not yet written. */
  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  /** The largest number of groups in flight: 1 unless the backend can have several durable writes in flight. */
  get maxInFlight(): number {
    return this.#writer.maxInFlight;
  }

  /** The final failure, after which nothing is accepted any more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#writer.failure;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get encryptionRing(): KeyRing | undefined {
    return this.#writer.keyRing;
  }

  /** The report on opening: what recovery found and did. */
  get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /** The backend of the log. */
  get io(): StorageIo {
    return this.#environment.io;
  }

  /**
   * Appends a record in memory. Neither written nor durable on return: see {@link flush} and {@link sync}.
   *
   * @param payload - bytes, copied before the call returns, or a string without lone surrogates, encoded as UTF-8; may be
   * empty
   * @returns its LSN
   * @throws `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_CLOSED`, the code of the first failure; `WAL_NO_SPACE` while earlier
   * records, or the segment for this one, wait for room on the disk; `TypeError` or `RangeError` for wrong arguments. Nothing
   * was appended then.
   */
  append(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): Lsn {
    this.#gate.throwUnlessWritable();
    const body = this.#body ?? new ReusedBody();
    this.#body = undefined;
    try {
      body.fill(payload, options);
      // Getters of the options may have closed the log, or started to cut it.
      if (options !== NO_OPTIONS) this.#gate.throwUnlessWritable();
      this.#gate.checkSizes(body.payloadBytes, body.metaBytes, body.scope !== undefined);
      return this.#writer.encoder.append(body);
    } catch (error) {
      throw this.#calls.reported(error);
    } finally {
      body.clear();
      this.#body = body;
    }
  }

  /**
   * Appends the records of a batch in memory, with consecutive LSNs. Neither written nor durable on return: see
   * {@link flush} and {@link sync}. After any crash the log has all of them or none, and they become durable together. They
   * lie in one segment, which may become larger than `segmentBytes` for them.
   *
   * @param batch - is spent when the call succeeds
   * @returns the LSN of its last record
   * @throws `WAL_EMPTY_BATCH`; `WAL_STATE` for a batch that is spent; `WAL_TOO_LARGE` for a payload over `maxPayloadBytes`
   * or more than 1 GiB in all; `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure;
   * `TypeError`. Nothing was appended then, and the batch can be appended later.
   */
  appendBatch(batch: Batch): Lsn {
    this.#gate.throwUnlessWritable();
    if (!(batch instanceof Batch)) throw invalidType('batch', 'a Batch', batch);
    throwIfSpent(batch);
    const records = recordsOf(batch);
    if (records.length === 0) throw emptyBatch();
    this.#gate.checkBatch(records, batch.sizeBytes);
    let lsn: Lsn;
    try {
      lsn = this.#writer.encoder.appendBatch(records);
    } catch (error) {
      throw this.#calls.reported(error);
    }
    markSpent(batch);
    return lsn;
  }

  /**
   * Encrypts everything appended from now on with the current key of a ring: for a log that was opened without a ring, or
   * with another one. The first append replaces an empty segment. Plaintext records in the log stay as they are, and the
   * header of the next segment states from which LSN on the log is encrypted.
   *
   * @throws `WAL_STATE` when something was appended since the log was opened; `WAL_BAD_KEY` when the ring lacks its current
   * key or that of the newest records, or has a different key under that id; `WAL_UNSUPPORTED` when its callback returns a
   * promise: `await ring.load()` first; `WAL_CLOSED`, the code of the first failure; `TypeError`
   */
  setEncryptionRing(ring: KeyRing): void {
    this.#keys.set(ring);
  }

  /**
   * Rotates the key: makes everything appended durable and rolls to a new segment, which is encrypted with the current key
   * of the ring. Records appended while this call waits may still be encrypted with the previous key. Earlier segments stay
   * as they are, and need their keys as long as they exist.
   *
   * @param id - the key that becomes the current one of the ring. Default: the present one, for use after `ring.use(id)`
   * @throws `WAL_BAD_KEY` when the ring does not have the key, with nothing changed; `WAL_STATE` when the log has no ring;
   * `WAL_NO_SPACE`: then the next segment is encrypted with it, once the disk has room; `WAL_IO_FAILED`, `WAL_CLOSED`
   */
  rotateKey(id?: number): Promise<void> {
    return withCallers(this.#keys.rotate(id));
  }

  /**
   * Like {@link rotateKey}, blocking the thread.
   *
   * @throws `WAL_UNSUPPORTED` when the callback of the ring returns a promise
   */
  rotateKeySync(id?: number): void {
    this.#keys.rotateSync(id);
  }

  /**
   * Checks whether an empty record could be appended, without appending it.
   *
   * @throws `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure
   */
  throwIfFull(): void {
    this.#gate.throwUnlessWritable();
    this.#gate.checkSizes(0, 0, false);
  }

  /** Writes everything appended so far to the operating system. Not durable on return. */
  flush(): Promise<void> {
    return withCallers(this.#syncs.flush());
  }

  /** Like {@link flush}, blocking the thread. */
  flushSync(): void {
    this.#syncs.flushSync();
  }

  /**
   * Makes everything appended so far durable. Calls made during a sync share the next one.
   *
   * @throws `WAL_NO_SPACE`: what found no room stays in memory, and the next call writes it if there is some; it is final if
   * the log has a {@link failure}. `WAL_IO_FAILED`: final, the log accepts nothing any more; `WAL_CLOSED`
   */
  sync(): Promise<void> {
    return withCallers(this.#syncs.sync());
  }

  /**
   * Like {@link sync}, with a callback instead of a promise.
   *
   * @param ended - called when everything appended before the call is durable, or with the error when it is not:
   * perhaps before this call returns, else while completions are processed. It may call any method, blocking ones included;
   * as everywhere, {@link append} is rejected during a {@link truncateAfter} or {@link resetTo}. An error that it throws is
   * an uncaught exception.
   */
  startSync(ended: (failure: unknown) => void): void {
    this.#syncs.start(ended);
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    this.#syncs.syncSync();
  }

  /**
   * Starts a sync and returns at once; nothing is durable then. {@link checkCompletions} drives it without the event loop,
   * which would drive it too.
   *
   * @returns the last LSN that the sync makes durable
   * @throws `WAL_CLOSED`, the code of the first failure
   */
  submitSync(): Lsn {
    return this.#syncs.submit();
  }

  /**
   * Processes the completions of the backend without waiting, and resumes what waited for them.
   *
   * @param lsn - the result of {@link submitSync}
   * @returns whether everything up to `lsn` is durable, or was durable before {@link truncateAfter} or {@link resetTo}
   * dropped it
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it is not durable, as for {@link sync}; `WAL_CLOSED`
   */
  checkCompletions(lsn: Lsn): boolean {
    return this.#syncs.checkCompletions(lsn);
  }

  /**
   * Removes the segments whose records are all below `lsn`, below every {@link hold}, and below what every follower with a
   * name has acknowledged: `keptFor` names those that need more. Durable on return. The active
   * segment is removed only with `lsn` = `nextLsn`, which rolls first and leaves an empty log whose LSNs continue; on a full disk
   * it rolls when the others are removed, and where that is not enough room, keeps the newest. Groups do not wait for it.
   *
   * @param lsn - the first LSN that is still needed, 1 to `nextLsn`
   * @throws `WAL_NO_SPACE` when the disk has no room to store the new beginning, with nothing changed
   */
  truncateBefore(lsn: Lsn): Promise<TruncateResult> {
    return withCallers(this.#truncations.before(lsn));
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: Lsn): TruncateResult {
    return this.#truncations.beforeSync(lsn);
  }

  /**
   * Drops every record behind `lsn`, as a consensus log does with a conflicting tail: the next record gets `lsn` + 1. Durable
   * on return, and atomic: after a crash the log has the whole tail or none of it. Everything appended before is made
   * durable first. Until it is done `append` throws `WAL_STATE`. A checkpoint and holds that are ahead of `lsn` are lowered
   * to it. Iterations in progress that extend further end with `WAL_TRUNCATED`.
   *
   * @param lsn - the last LSN that is kept: `firstLsn` − 1, which empties the log, to `lastLsn`, which changes nothing
   * @throws `WAL_TRUNCATED` when `lsn` is before the beginning of the log; `WAL_NO_SPACE` when the disk has no room for the
   * new segment: then nothing is lost, and the log is still usable; `RangeError` behind `lastLsn`
   */
  truncateAfter(lsn: Lsn): Promise<TruncateResult> {
    return withCallers(this.#truncations.after(lsn));
  }

  /** Like {@link truncateAfter}, blocking the thread. */
  truncateAfterSync(lsn: Lsn): TruncateResult {
    return this.#truncations.afterSync(lsn);
  }

  /**
   * Drops every record and continues with `lsn`, as after a snapshot was installed. Durable on return, and atomic. Until it
   * is done `append` throws `WAL_STATE`. A checkpoint that is ahead is lowered to `lsn` − 1, and every hold moves to `lsn`,
   * as the records it kept are gone.
   *
   * @param lsn - the LSN of the next record: any LSN
   * @throws `WAL_NO_SPACE` when the disk has no room for the new segment: then nothing is lost, and the log is still usable
   */
  resetTo(lsn: Lsn): Promise<TruncateResult> {
    return withCallers(this.#truncations.resetTo(lsn));
  }

  /** Like {@link resetTo}, blocking the thread. */
  resetToSync(lsn: Lsn): TruncateResult {
    return this.#truncations.resetToSync(lsn);
  }

  /**
   * Stores that the application needs nothing up to `lsn` any more, for example because a snapshot contains it. Durable on
   * return; makes `lsn` durable first. It removes only what the retention options allow (`retainBytes`, `retainAgeMs`). An
   * LSN that is not behind the present checkpoint changes nothing.
   *
   * @param lsn - 0 to `lastLsn`
   * @throws `WAL_NO_SPACE` when the disk has no room to store it, with nothing changed
   */
  checkpoint(lsn: Lsn): Promise<void> {
    return withCallers(this.#truncations.checkpoint(lsn));
  }

  /** Like {@link checkpoint}, blocking the thread. */
  checkpointSync(lsn: Lsn): void {
    this.#truncations.checkpointSync(lsn);
  }

  /**
   * Keeps every record from `lsn` on for a reader that will read it later: neither {@link truncateBefore} nor retention
   * removes it, in this process or a later one, until the hold with this name is moved or released. Durable on return, and
   * so is every record before `lsn`.
   *
   * @param name - 1 to 128 characters; an existing hold with this name is moved
   * @param lsn - `firstLsn` to `nextLsn`
   * @throws `WAL_TRUNCATED` with `firstLsn` when `lsn` was removed already; `WAL_TOO_LARGE` beyond 1024 holds;
   * `WAL_NO_SPACE` with nothing changed
   */
  hold(name: string, lsn: Lsn): Promise<void> {
    return withCallers(this.#truncations.hold(name, lsn));
  }

  /** Like {@link hold}, blocking the thread. */
  holdSync(name: string, lsn: Lsn): void {
    this.#truncations.holdSync(name, lsn);
  }

  /** Releases a hold. Durable on return. @returns whether there was one with this name */
  releaseHold(name: string): Promise<boolean> {
    return withCallers(this.#truncations.releaseHold(name));
  }

  /** Like {@link releaseHold}, blocking the thread. */
  releaseHoldSync(name: string): boolean {
    return this.#truncations.releaseHoldSync(name);
  }

  /**
   * Keeps records for a reader in this process, like {@link hold}, but without storing anything on disk: neither
   * {@link truncateBefore} nor retention removes what the reader still needs.
   *
   * @param needed - called at each truncation, also at one that is in progress already: returns the first LSN that the
   * reader needs, 0 for everything. If it throws, or returns anything else, everything is kept, and the error becomes an
   * uncaught exception.
   * @param cut - called at each cut of the end of the log, as soon as it is done, with the last LSN that is left, 0 when
   * there is none. An error that it throws is an uncaught exception.
   * @returns a function that ends this
   */
  keepFor(needed: () => Lsn, cut?: (lastLsn: Lsn) => void): () => void {
    if (typeof needed !== 'function') throw invalidType('needed', 'a function', needed);
    if (cut !== undefined && typeof cut !== 'function') throw invalidType('cut', 'a function', cut);
    const release = this.#truncation.keepFor(needed);
    if (cut === undefined) return release;
    const unlisten = this.#cuts.listen(cut);
    return () => {
      release();
      unlisten();
    };
  }

  /**
   * The resume point of a reader that has read everything before an LSN, as the log is now. A `LogTail` that starts there
   * reports when any of those records was cut off since.
   *
   * @param lsn - the first LSN that the reader has not read
   * @returns `undefined` when the record before `lsn` is not in the log any more, or not yet
   */
  resumePointAt(lsn: Lsn): ResumePoint | undefined {
    return this.#reads.resumePointAt(lsn);
  }

  /**
   * Reads one record. Flushes it first if it is still in memory.
   *
   * @param lsn - its LSN, at least 1
   * @returns `undefined` when the LSN was not assigned yet; after a failure, when the record is not known durable; while the
   * disk is full, when it is not written
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `WAL_CORRUPT`, `WAL_IO_FAILED`,
   * `WAL_BAD_KEY`, `WAL_CLOSED`
   */
  read(lsn: Lsn): Promise<WalRecord | undefined> {
    return withCallers(this.#reads.read(lsn));
  }

  /** Like {@link read}, blocking the thread. */
  readSync(lsn: Lsn): WalRecord | undefined {
    return this.#reads.readSync(lsn);
  }

  /** All records, in order: {@link replayFrom} from the first one on. */
  replay(options: ReadOptions = {}): Replay {
    return this.#reads.replay(options);
  }

  /**
   * The records from `lsn` on, in order, up to the last one appended when the iteration begins. Records that are still in
   * memory are flushed first. After a failure it ends with the last record that is known durable, on a full disk with the last
   * one that is written.
   *
   * @param from - the first LSN to read, at most `nextLsn`; `'checkpoint'` is the first one behind the checkpoint when the
   * iteration begins, see {@link ReadFrom}
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `RangeError` beyond `nextLsn`
   */
  replayFrom(from: Lsn | 'checkpoint', options: ReadOptions = {}): Replay {
    return this.#reads.replayFrom(from, options);
  }

  /**
   * Reads at most `limit` records from an LSN on, or from the checkpoint on, and whether there are more.
   *
   * @param limit - at least 1
   * @throws like {@link replayFrom}
   */
  replayFromLimit(from: Lsn | 'checkpoint', limit: number): Promise<ReplayPage> {
    return withCallers(this.#reads.page(from, limit));
  }

  /** Like {@link replayFromLimit}, blocking the thread. */
  replayFromLimitSync(from: Lsn | 'checkpoint', limit: number): ReplayPage {
    return this.#reads.pageSync(from, limit);
  }

  /**
   * Opens a reader of the records that {@link replayFrom} returns, for an I/O routine that reads several logs
   * concurrently. The caller has to close it.
   *
   * @param from - the first LSN to read, at most `nextLsn`; `'first'` is the first one in the log, `'checkpoint'` the first
   * one behind the checkpoint, see {@link ReadFrom}
   * @throws like {@link replayFrom}
   */
  openReader(from: ReadFrom, options: ReadOptions = {}): Promise<LogReader> {
    return withCallers(this.#reads.openReader(from, options));
  }

  /** Like {@link openReader}, blocking the thread. */
  openReaderSync(from: ReadFrom, options: ReadOptions = {}): LogReader {
    return this.#reads.openReaderSync(from, options);
  }

  /**
   * The LSN of the last record that ends at or before a position in the log; `firstLsn − 1` when none does. Records that are
   * still in memory are flushed first.
   *
   * @param position - an earlier value of `position`
   * @throws `WAL_RANGE` when it is past the end or inside a record, `WAL_TRUNCATED` when it was removed from the log
   */
  lsnBefore(position: number): Promise<Lsn> {
    return withCallers(this.#reads.lsnBefore(position));
  }

  /** Like {@link lsnBefore}, blocking the thread. */
  lsnBeforeSync(position: number): Lsn {
    return this.#reads.lsnBeforeSync(position);
  }

  /** The options that another reader of the log, such as a `LogTail`, needs to decode its records. */
  get decoding(): Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'> {
    return this.#reads.decoding;
  }

  /**
   * Backs the log up into another directory, beside everything else that is done with it: a copy of the log as it is at one
   * moment behind this call, in which everything appended before the call is contained and durable. It opens as a log.
   * Backups of one log are made one after another.
   *
   * An earlier backup in that directory is brought up to date: segments that it has are not copied again, and those that the log
   * does not have any more are removed. Until the new one is complete the earlier one stays as it was, over every crash.
   *
   * Sealed segments are given a second name (a hard link) where the file system can, and copied elsewhere; the newest one is
   * always copied. A file with a second name is never written again by the log.
   *
   * Of a log that was opened with `recoveryMode` `'readonly'` the backup is as the log was then, without a lock and without changing
   * the log, so that it can be made beside a writer in another process. Everything is copied. It is refused with `WAL_NOT_FOUND`,
   * `WAL_TRUNCATED` or `WAL_CORRUPT` when that writer removes or reuses a file meanwhile: open the log again, and repeat it.
   *
   * @param directory - a path or a `file:` URL: missing, empty, or with an earlier backup of this log
   * @returns what it consists of; durable
   * @throws `WAL_FOREIGN_DIRECTORY` with a `reason` when anything else is in the directory, with nothing changed;
   * `WAL_BAD_HEADER` when it is no directory, `WAL_LOCKED` when another process uses it, `WAL_ABORTED`, `WAL_CORRUPT` when a
   * segment that is copied cannot be read, `WAL_NO_SPACE`, `WAL_IO_FAILED`, `WAL_CLOSED`, the code of the first failure
   */
  backup(directory: string | URL, options: BackupOptions = {}): Promise<BackupReport> {
    return withCallers(this.#backup(directory, options));
  }

  /** Like {@link backup}, blocking the thread. @throws `WAL_STATE` inside `onProgress` of a backup of the log */
  backupSync(directory: string | URL, options: BackupOptions = {}): BackupReport {
    const backup = this.#backupOf(directory, options);
    return this.#calls.runBackupSync(() => backup.make());
  }

  /** The segments of the log, from the oldest to the newest. */
  listSegments(): readonly SegmentMeta[] {
    const { sealed, active } = this.#writer;
    const metas = sealed.toArray().map((segment) => metaOf(segment, 'sealed'));
    if (active !== undefined) metas.push(metaOf(active, 'active'));
    return metas;
  }

  /** Bytes of all segment files. */
  totalSizeBytes(): number {
    return this.#writer.chain.bytes;
  }

  /** Counters and sizes, as a frozen snapshot. */
  stats(): SegmentedWalStats {
    this.#truncations.refreshFollowers();
    return statsOf(this.#writer, this.io, this.#followers);
  }

  /**
   * Reads how far the followers with a name are, in any process. What cannot be read is `'unreadable'`, and no error.
   *
   * @throws `WAL_CLOSED`
   */
  followers(): Promise<readonly FollowerStats[]> {
    return withCallers(this.#truncations.followers());
  }

  /**
   * How far an LSN is behind the end of the log: the records from it on, and their bytes in the files, which are estimated by the
   * number of records inside a segment.
   *
   * @param lsn - any; one before the log counts as its first, one behind it as its next
   */
  lagOf(lsn: Lsn): Pick<FollowerStats, 'lagRecords' | 'lagBytes'> {
    return this.#followers.lagOf(checkInteger('lsn', lsn));
  }

  /** Like {@link followers}, blocking the thread. */
  followersSync(): readonly FollowerStats[] {
    return this.#truncations.followersSync();
  }

  /**
   * Removes a follower that will not come back, so that the log keeps nothing for it any more. Durable on return.
   *
   * @param name - its name
   * @returns whether there was one with this name
   * @throws `WAL_LOCKED` when a process has it open; `WAL_IO_FAILED` when its file cannot be removed
   */
  removeFollower(name: string): Promise<boolean> {
    return withCallers(this.#truncations.removeFollower(name));
  }

  /** Like {@link removeFollower}, blocking the thread. */
  removeFollowerSync(name: string): boolean {
    return this.#truncations.removeFollowerSync(name);
  }

  /**
   * Makes everything durable, writes the mark of a clean close, closes the file and releases the lock. Readings in progress
   * end with `WAL_CLOSED`. Idempotent. After a failure with which a call that writes has rejected it only closes and unlocks.
   *
   * @param options - `discard`: discard everything appended and not yet written. Default `false`.
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when the log fails during this call: then it is closed and unlocked, and not
   * everything appended may be durable
   */
  close(options: CloseOptions = {}): Promise<void> {
    return withCallers(this.#closing.close(options));
  }

  /** Like {@link close}, blocking the thread. If the log is closing already, it waits until it is closed. */
  closeSync(options: CloseOptions = {}): void {
    this.#closing.closeSync(options);
  }

  /** Closes the log: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the log: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What `console.log` shows: the directory, the state and the positions. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { directory, firstLsn, lastLsn, durableLsn, failure } = this;
    const { state } = this.#calls;
    const facts = { directory, state, firstLsn, lastLsn, durableLsn, failure: failure?.code };
    return inspected(this.constructor.name, facts, depth, options);
  }

  async #backup(directory: string | URL, options: BackupOptions): Promise<BackupReport> {
    const backup = this.#backupOf(directory, options);
    return backup.awaited(this.#calls.runBackup(() => backup.make()));
  }

  #backupOf(directory: string | URL, options: BackupOptions): Backup {
    return new Backup(
      {
        environment: this.#environment,
        settings: this.#settings,
        calls: this.#calls,
        writer: this.#writer,
        truncation: this.#truncation,
        madeBackups: this.#madeBackups,
      },
      checkBackup(directory, options),
    );
  }

  #cutOff(lastLsn: Lsn): void {
    this.#syncs.onCut();
    this.#reads.onCut(lastLsn);
    this.#cuts.notify(lastLsn);
  }

  #announceTruncation(result: TruncateResult): void {
    if (!channels.truncate.hasSubscribers) return;
    const { directory, firstLsn, lastLsn } = this;
    announce(channels.truncate, { directory, firstLsn, lastLsn, ...result });
  }

  /** Runs retention in the background. `failure` has its failure, and the next call rejects with it. */
  #retain(): void {
    if (this.#retaining || this.#calls.state !== 'open') return;
    if (!dropsAnything(this.#settings) && !this.#truncation.isStale) return;
    this.#retaining = true;
    this.#calls.maintenance
      .run(() => {
        this.#retaining = false;
        return this.#truncation.retain();
      })
      .catch(() => {});
  }

  #writeIdleMark(): void {
    // A failure is not lost: `failure` has it, and the next call rejects with it.
    this.#calls.writes.run(() => this.#writer.mark(MarkType.idle)).catch(() => {});
  }
}

function beginningOf({ start }: OpenedLog): Checkpoint {
  return start.checkpoint ?? { logId: start.logId, firstSegment: 1, checkpointLsn: 0, holds: {} };
}

import { resolve } from 'node:path';
import {
  type Checkpoint,
  type KeyRing,
  type Lsn,
  MarkType,
  META_BYTES_MAX,
  recordFrameBytes,
  WalError,
} from '@walstack/codec';
import { checkBoolean, checkInteger, checkLsn, checkOptions, invalidType, outOfRange } from '@walstack/codec/internal';
import type { LogTailOptions, ResumePoint } from '@walstack/mmap-reader';
import {
  lastReadBefore,
  lastReadIn,
  resumePointOf,
  type Segment,
  truncated,
  type WalRecord,
} from '@walstack/mmap-reader/internal';
import {
  CompletionRouter,
  drive,
  type IoRoutine,
  type Outcome,
  runAsync,
  runSync,
  type StorageIo,
} from '@walstack/storage-io';
import { afterStep, backendOf, RoutineQueue } from '@walstack/storage-io/internal';
import { Batch, markSpent, recordsOf, throwIfSpent } from './batch.js';
import { announce } from './diagnostics.js';
import type { Environment } from './environment.js';
import { announced, channels } from './log-diagnostics.js';
import {
  type CheckedConfig,
  checkConfig,
  checkKeyRing,
  environmentOf,
  type SegmentedWalConfig,
  type Settings,
  withoutCreating,
} from './options.js';
import { type CheckedReadOptions, checkReadOptions, LogReader, type ReadOptions } from './read/log-reader.js';
import { lsnBefore } from './read/position.js';
import { Replay, type ReplayPage, readOne, readPage } from './read/replay.js';
import { type OpenedLog, openLog } from './recovery/open-log.js';
import { firstListedLsn } from './recovery/readonly-log.js';
import type { RecoveryReport } from './recovery/recovery-report.js';
import { CheckpointStore } from './retention/checkpoint-store.js';
import { dropsAnything } from './retention/retention.js';
import { checkHoldName, type TruncateResult, Truncation } from './retention/truncation.js';
import { encryptionOf, refuseOtherKey, requireKey } from './segments/keys.js';
import { isEmpty, metaOf, type SegmentMeta } from './segments/segment.js';
import { writesSideBySide } from './segments/segment-file.js';
import { countWhile, type Segments } from './segments/segment-list.js';
import { IdleMarker } from './write/idle-marker.js';
import { type AppendOptions, NO_OPTIONS, type RecordBody, ReusedBody } from './write/record-body.js';
import { type LogEnd, SegmentWriter } from './write/segment-writer.js';
import { tooLarge } from './write/too-large.js';

/** Counters and sizes of a log since it was opened. A frozen snapshot. */
export interface SegmentedWalStats {
  /** Records appended. */
  readonly records: number;
  /** Groups of one or more records that were written for one flush or sync each. */
  readonly groups: number;
  /** Syncs of segment data, and durable writes. */
  readonly syncs: number;
  readonly marks: number;
  readonly rolls: number;
  /** Bytes of frames, marks and padding written. */
  readonly bytesWritten: number;
  /** Segments that were created in a freed file. */
  readonly recycled: number;
  /** Bytes appended and not yet written. */
  readonly pendingBytes: number;
  /** Whether the active segment is written with direct I/O. */
  readonly directIo: boolean;
  readonly segments: number;
  /** Name of the backend. */
  readonly backend: string;
}

/** The largest batch, in bytes: it is encoded and written in one piece. */
const BATCH_BYTES_MAX = 1024 * 1024 * 1024;

/** Reading options: all records, as copies. */
const ALL: CheckedReadOptions = { copy: true, to: Number.MAX_SAFE_INTEGER, matches: undefined };

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
  readonly #isReadonly: boolean;
  readonly #ownsIo: boolean;
  readonly #unlock: () => void;
  readonly #writer: SegmentWriter;
  readonly #body = new ReusedBody();
  readonly #truncation: Truncation;
  /** The write queue: routines that must not run concurrently with groups. */
  readonly #writeQueue: RoutineQueue;
  /** The maintenance queue: truncation, checkpoints and holds, concurrently with the write queue. */
  readonly #maintenanceQueue: RoutineQueue;
  readonly #idleMarker: IdleMarker;
  readonly #recovery: RecoveryReport;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #noSpace: WalError | undefined;
  #retrying = false;
  #retaining = false;
  /** The cuts in progress: for each, the LSN with which the log will continue. */
  readonly #cuts: Lsn[] = [];
  readonly #readers = new Set<LogReader>();
  readonly #cutListeners = new Set<(lastLsn: Lsn) => void>();
  #queuedSync: Promise<void> | undefined;
  /** The last LSN of the last sync submitted since the last cut; 0 for none. */
  #submittedLsn = 0;
  /** The error of a submitted sync that failed without failing the log; reported once. */
  #submitFailure: unknown;
  #closing: Promise<void> | undefined;
  /** Whether a call that writes has thrown or rejected with the failure of the log. */
  #failureIsReported = false;
  /** The same when the log was closed: a failure that no call has reported by then is reported by closing it. */
  #failureWasReported = false;

  private constructor(environment: Environment, settings: Settings, ownsIo: boolean, opened: OpenedLog) {
    this.#environment = environment;
    this.#settings = settings;
    this.#isReadonly = settings.recoveryMode === 'readonly';
    this.#ownsIo = ownsIo;
    this.#unlock = opened.unlock;
    this.#recovery = opened.report;
    this.#noSpace = opened.noSpace;
    this.#writer = new SegmentWriter(environment, settings, opened.start, () => this.#retain());
    this.#writeQueue = new RoutineQueue(environment.io);
    this.#maintenanceQueue = new RoutineQueue(environment.io);
    const { checkpointIsDurable = true } = opened.start;
    const store = new CheckpointStore(environment, settings, this.#writer, beginningOf(opened), checkpointIsDurable);
    this.#truncation = new Truncation(environment, settings, this.#writer, store, this.#writeQueue, {
      cut: (lastLsn) => this.#cutOff(lastLsn),
      truncated: (result) => this.#announceTruncation(result),
    });
    this.#idleMarker = new IdleMarker(environment.setTimer, settings.markAfterMs, {
      activity: () => this.#writer.nextLsn,
      wanted: () => this.#state === 'open' && this.#writer.failure === undefined && !this.#writer.endsWithMark,
      mark: () => this.#writeIdleMark(),
    });
  }

  /**
   * Opens and recovers the log of a directory, or creates a new one. All records that it contains are durable on return.
   *
   * @throws `WAL_LOCKED` when another writer holds it, `WAL_CORRUPT` when something acknowledged is lost (nothing is
   * changed), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`; `TypeError`
   * and `RangeError` for wrong options
   */
  static async open(config: SegmentedWalConfig): Promise<SegmentedWal> {
    const checked = checkConfig(config);
    const { io, owned } = backendOf(config.io, 'async');
    try {
      const settings = settingsFor(checked, io);
      const environment = environmentOf(config, io);
      return new SegmentedWal(
        environment,
        settings,
        owned,
        await runAsync(io, announced(environment, settings, openLog(environment, settings, false))),
      );
    } catch (error) {
      if (owned) await io.dispose();
      throw error;
    }
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot block */
  static openSync(config: SegmentedWalConfig): SegmentedWal {
    const checked = checkConfig(config);
    const { io, owned } = backendOf(config.io, 'wait');
    try {
      const settings = settingsFor(checked, io);
      const environment = environmentOf(config, io);
      return new SegmentedWal(
        environment,
        settings,
        owned,
        runSync(io, announced(environment, settings, openLog(environment, settings, true))),
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
   * @throws `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure; `TypeError`
   * or `RangeError` for wrong arguments. Nothing was appended then.
   */
  append(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): Lsn {
    this.#throwUnlessWritable();
    const body = this.#body.fill(payload, options);
    try {
      // Getters of the options may have closed the log, or started to cut it.
      if (options !== NO_OPTIONS) this.#throwUnlessWritable();
      this.#checkSizes(body.payloadBytes, body.metaBytes, body.scope !== undefined);
      return this.#writer.append(body);
    } catch (error) {
      throw this.#reported(error);
    } finally {
      body.clear();
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
    this.#throwUnlessWritable();
    if (!(batch instanceof Batch)) throw invalidType('batch', 'a Batch', batch);
    throwIfSpent(batch);
    const records = recordsOf(batch);
    if (records.length === 0) throw emptyBatch();
    this.#checkBatch(records, batch.sizeBytes);
    let lsn: Lsn;
    try {
      lsn = this.#writer.appendBatch(records);
    } catch (error) {
      throw this.#reported(error);
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
    this.#throwUnlessUnused();
    checkKeyRing('ring', ring);
    const newest = this.#writer.segments.findLast((segment) => !isEmpty(segment))?.header;
    const needed = newest?.encrypted === true ? [ring.currentId, newest.keyId] : [ring.currentId];
    ring.loadSync(needed);
    // Its callback may have appended, or closed the log.
    this.#throwUnlessUnused();
    for (const keyId of needed) requireKey(ring, keyId, 'the log needs it');
    if (newest !== undefined) refuseOtherKey(newest.keyId, ring, this.#writer.keyRing);
    // Setting a ring accepts the plaintext records so far; for a read-only log the segments have to prove their age.
    this.#writer.useKeyRing(ring, this.#isReadonly ? undefined : encryptionOf(this.#writer.segments));
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
  async rotateKey(id?: number): Promise<void> {
    const ring = this.#ringToRotate();
    const next = id === undefined ? ring.currentId : checkInteger('id', id, 1, 0xffff_ffff);
    await ring.load([next]);
    requireKey(ring, next, 'rotateKey needs it');
    await this.#run(() => this.#rotating(ring, next));
  }

  /**
   * Like {@link rotateKey}, blocking the thread.
   *
   * @throws `WAL_UNSUPPORTED` when the callback of the ring returns a promise
   */
  rotateKeySync(id?: number): void {
    const ring = this.#ringToRotate();
    const next = id === undefined ? ring.currentId : checkInteger('id', id, 1, 0xffff_ffff);
    ring.loadSync([next]);
    requireKey(ring, next, 'rotateKey needs it');
    this.#runSync(() => this.#rotating(ring, next));
  }

  /**
   * Checks whether an empty record could be appended, without appending it.
   *
   * @throws `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure
   */
  throwIfFull(): void {
    this.#throwUnlessWritable();
    this.#checkSizes(0, 0, false);
  }

  /** Writes everything appended so far to the operating system. Not durable on return. */
  flush(): Promise<void> {
    return this.#run(() => this.#flushing());
  }

  /** Like {@link flush}, blocking the thread. */
  flushSync(): void {
    this.#runSync(() => this.#flushing());
  }

  /**
   * Makes everything appended so far durable. Calls made during a sync share the next one.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: final, the log accepts nothing any more; `WAL_CLOSED`
   */
  sync(): Promise<void> {
    if (this.#queuedSync !== undefined) return this.#queuedSync;
    let started = false;
    const done = this.#inTurn(() => {
      started = true;
      this.#queuedSync = undefined;
      return this.#submitting();
    }).then((submitted) => this.#durable(submitted), this.#reject);
    if (!started) this.#queuedSync = done;
    return done;
  }

  /**
   * Like {@link sync}, with a callback instead of a promise.
   *
   * @param ended - called when everything appended before the call is durable, or with the error when it never will be:
   * perhaps before this call returns, else while completions are processed. It may call any method, blocking ones included;
   * as everywhere, {@link append} is rejected during a {@link truncateAfter} or {@link resetTo}. An error that it throws is
   * an uncaught exception.
   */
  startSync(ended: (failure: unknown) => void): void {
    const notify = (failure: unknown): void => afterStep(() => ended(this.#reported(failure)));
    const waiting = (submitted: Outcome<LogEnd>): void => {
      if ('error' in submitted) notify(submitted.error);
      else drive(CompletionRouter.for(this.#environment.io), this.#writer.untilDurable(submitted.value), durable);
    };
    const durable = (waited: Outcome<void>): void => {
      if ('error' in waited) {
        notify(waited.error);
        return;
      }
      this.#idleMarker.arm();
      notify(undefined);
    };
    if (this.#state === 'open') this.#writeQueue.start(() => this.#submitting(), waiting);
    else notify(this.#closedError());
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    const submitted = this.#runSync(() => this.#submitting());
    try {
      runSync(this.#environment.io, this.#writer.untilDurable(submitted));
    } catch (error) {
      throw this.#reported(error);
    }
    this.#idleMarker.arm();
  }

  /**
   * Starts a sync and returns at once; nothing is durable then. {@link checkCompletions} drives it without the event loop,
   * which would drive it too.
   *
   * @returns the last LSN that the sync makes durable
   * @throws `WAL_CLOSED`, the code of the first failure
   */
  submitSync(): Lsn {
    this.#throwUnlessOpen();
    this.#throwIfFailed();
    const { lastLsn } = this;
    this.#submittedLsn = lastLsn;
    // The error of an earlier submitted sync is obsolete: this one makes the same records durable.
    this.#submitFailure = undefined;
    this.#writeQueue.start(
      () => this.#submitting(),
      (ended) => {
        if ('error' in ended) this.#submitFailure = ended.error;
      },
    );
    return lastLsn;
  }

  /**
   * Processes the completions of the backend without waiting, and resumes what waited for them.
   *
   * @param lsn - the result of {@link submitSync}
   * @returns whether everything up to `lsn` is durable, or was durable before {@link truncateAfter} or {@link resetTo}
   * dropped it
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it never will be durable, `WAL_CLOSED`
   */
  checkCompletions(lsn: Lsn): boolean {
    this.#throwUnlessOpen();
    CompletionRouter.for(this.#environment.io).drain();
    if (this.durableLsn >= checkInteger('lsn', lsn)) {
      this.#idleMarker.arm();
      return true;
    }
    // A cut makes the records durable that it drops. But LSNs submitted since then belong to other records.
    if (lsn <= this.#writer.droppedLsn && lsn > this.#submittedLsn) return true;
    this.#throwIfFailed();
    const failure = this.#submitFailure;
    this.#submitFailure = undefined;
    if (failure !== undefined) throw failure;
    return false;
  }

  /**
   * Removes the segments whose records are all below `lsn` and below every {@link hold}. Durable on return. The active
   * segment is removed only with `lsn` = `nextLsn`, which rolls first and leaves an empty log whose LSNs continue. Groups do
   * not wait for it.
   *
   * @param lsn - the first LSN that is still needed, 1 to `nextLsn`
   * @throws `WAL_NO_SPACE` when the disk has no room to store the new beginning, with nothing changed
   */
  async truncateBefore(lsn: Lsn): Promise<TruncateResult> {
    this.#checkKept(lsn);
    return this.#runMaintenance(() => this.#truncating(this.#truncation.before(lsn)));
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: Lsn): TruncateResult {
    this.#checkKept(lsn);
    return this.#runMaintenanceSync(() => this.#truncating(this.#truncation.before(lsn)));
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
  async truncateAfter(lsn: Lsn): Promise<TruncateResult> {
    this.#checkAppended(lsn);
    this.#throwUnlessOwned();
    return this.#cutting(lsn + 1, () => this.#runMaintenance(() => this.#truncating(this.#truncation.after(lsn))));
  }

  /** Like {@link truncateAfter}, blocking the thread. */
  truncateAfterSync(lsn: Lsn): TruncateResult {
    this.#checkAppended(lsn);
    this.#throwUnlessOwned();
    return this.#cuttingSync(lsn + 1, () =>
      this.#runMaintenanceSync(() => this.#truncating(this.#truncation.after(lsn))),
    );
  }

  /**
   * Drops every record and continues with `lsn`, as after a snapshot was installed. Durable on return, and atomic. Until it
   * is done `append` throws `WAL_STATE`. A checkpoint that is ahead is lowered to `lsn` − 1, and every hold moves to `lsn`,
   * as the records it kept are gone.
   *
   * @param lsn - the LSN of the next record: any LSN
   * @throws `WAL_NO_SPACE` when the disk has no room for the new segment: then nothing is lost, and the log is still usable
   */
  async resetTo(lsn: Lsn): Promise<TruncateResult> {
    checkLsn('lsn', lsn);
    this.#throwUnlessOwned();
    return this.#cutting(lsn, () => this.#runMaintenance(() => this.#truncating(this.#truncation.resetTo(lsn))));
  }

  /** Like {@link resetTo}, blocking the thread. */
  resetToSync(lsn: Lsn): TruncateResult {
    checkLsn('lsn', lsn);
    this.#throwUnlessOwned();
    return this.#cuttingSync(lsn, () =>
      this.#runMaintenanceSync(() => this.#truncating(this.#truncation.resetTo(lsn))),
    );
  }

  /**
   * Stores that the application needs nothing up to `lsn` any more, for example because a snapshot contains it. Durable on
   * return; makes `lsn` durable first. It removes only what the retention options allow (`retainBytes`, `retainAgeMs`). An
   * LSN that is not behind the present checkpoint changes nothing.
   *
   * @param lsn - 0 to `lastLsn`
   * @throws `WAL_NO_SPACE` when the disk has no room to store it, with nothing changed
   */
  async checkpoint(lsn: Lsn): Promise<void> {
    this.#checkAppended(lsn);
    return this.#runMaintenance(() => this.#truncation.checkpoint(lsn));
  }

  /** Like {@link checkpoint}, blocking the thread. */
  checkpointSync(lsn: Lsn): void {
    this.#checkAppended(lsn);
    this.#runMaintenanceSync(() => this.#truncation.checkpoint(lsn));
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
  async hold(name: string, lsn: Lsn): Promise<void> {
    checkHoldName(name);
    this.#checkKept(lsn);
    return this.#runMaintenance(() => this.#truncation.hold(name, lsn));
  }

  /** Like {@link hold}, blocking the thread. */
  holdSync(name: string, lsn: Lsn): void {
    checkHoldName(name);
    this.#checkKept(lsn);
    this.#runMaintenanceSync(() => this.#truncation.hold(name, lsn));
  }

  /** Releases a hold. Durable on return. @returns whether there was one with this name */
  async releaseHold(name: string): Promise<boolean> {
    checkHoldName(name);
    return this.#runMaintenance(() => this.#truncation.releaseHold(name));
  }

  /** Like {@link releaseHold}, blocking the thread. */
  releaseHoldSync(name: string): boolean {
    checkHoldName(name);
    return this.#runMaintenanceSync(() => this.#truncation.releaseHold(name));
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
    // A wrapper, as two readers may pass the same function.
    const listener = (lastLsn: Lsn): void => cut(lastLsn);
    this.#cutListeners.add(listener);
    return () => {
      release();
      this.#cutListeners.delete(listener);
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
    const last = checkLsn('lsn', lsn) - 1;
    const { sealed, active, planned } = this.#writer;
    const first = sealed.first ?? active;
    if (first?.header.firstLsn === lsn) return resumePointOf(lastReadBefore(first));
    const isIn = ({ header, nextLsn }: Segment): boolean => header.firstLsn <= last && last < nextLsn;
    const begun = countWhile(sealed, ({ header }) => header.firstLsn <= last);
    const own = [planned, active, sealed.at(begun - 1)].find((segment) => segment !== undefined && isIn(segment));
    return own === undefined ? undefined : resumePointOf(lastReadIn(own, last));
  }

  /**
   * Reads one record. Flushes it first if it is still in memory.
   *
   * @param lsn - its LSN, at least 1
   * @returns `undefined` when the LSN was not assigned yet; after a failure, when the record is not known durable
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `WAL_CORRUPT`, `WAL_IO_FAILED`,
   * `WAL_BAD_KEY`, `WAL_CLOSED`
   */
  async read(lsn: Lsn): Promise<WalRecord | undefined> {
    if (!this.#isThere(lsn)) return undefined;
    const reader = await this.#inTurn(() => this.#beginReading(lsn, lsn, ALL, false, true));
    return runAsync(this.#environment.io, readOne(reader));
  }

  /** Like {@link read}, blocking the thread. */
  readSync(lsn: Lsn): WalRecord | undefined {
    if (!this.#isThere(lsn)) return undefined;
    const reader = this.#inTurnSync(() => this.#beginReading(lsn, lsn, ALL, true, true));
    return runSync(this.#environment.io, readOne(reader));
  }

  /** All records, in order: {@link replayFrom} from the first one on. */
  replay(options: ReadOptions = {}): Replay {
    this.#throwUnlessOpen();
    return this.#reading('first', options);
  }

  /**
   * The records from `lsn` on, in order, up to the last one appended when the iteration begins. Records that are still in
   * memory are flushed first. After a failure it ends with the last record that is known durable.
   *
   * @param lsn - the first LSN to read, at most `nextLsn`
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `RangeError` beyond `nextLsn`
   */
  replayFrom(lsn: Lsn, options: ReadOptions = {}): Replay {
    this.#throwUnlessOpen();
    this.#checkReachable(lsn);
    if (lsn < this.firstLsn) throw truncated(lsn, this.firstLsn);
    return this.#reading(lsn, options);
  }

  /**
   * Reads at most `limit` records from `lsn` on, and whether there are more.
   *
   * @param limit - at least 1
   * @throws like {@link replayFrom}
   */
  async replayFromLimit(lsn: Lsn, limit: number): Promise<ReplayPage> {
    this.#checkPage(lsn, limit);
    const to = this.lastLsn;
    const reader = await this.#inTurn(() => this.#beginReading(lsn, to, ALL, false));
    return runAsync(this.#environment.io, readPage(reader, limit));
  }

  /** Like {@link replayFromLimit}, blocking the thread. */
  replayFromLimitSync(lsn: Lsn, limit: number): ReplayPage {
    this.#checkPage(lsn, limit);
    const to = this.lastLsn;
    const reader = this.#inTurnSync(() => this.#beginReading(lsn, to, ALL, true));
    return runSync(this.#environment.io, readPage(reader, limit));
  }

  /**
   * Opens a reader of the records that {@link replayFrom} returns, for an I/O routine that reads several logs
   * concurrently. The caller has to close it.
   *
   * @param from - the first LSN to read, at most `nextLsn`; `'first'` is the first one in the log
   * @throws like {@link replayFrom}
   */
  async openReader(from: Lsn | 'first', options: ReadOptions = {}): Promise<LogReader> {
    const begin = this.#readingFrom(from, options, false);
    return this.#inTurn(begin);
  }

  /** Like {@link openReader}, blocking the thread. */
  openReaderSync(from: Lsn | 'first', options: ReadOptions = {}): LogReader {
    return this.#inTurnSync(this.#readingFrom(from, options, true));
  }

  /**
   * The LSN of the last record that ends at or before a position in the log; `firstLsn − 1` when none does. Records that are
   * still in memory are flushed first.
   *
   * @param position - an earlier value of {@link position}
   * @throws `WAL_RANGE` when it is past the end or inside a record, `WAL_TRUNCATED` when it was removed from the log
   */
  async lsnBefore(position: number): Promise<Lsn> {
    checkInteger('position', position);
    return this.#inTurn(() => this.#lsnBefore(position));
  }

  /** Like {@link lsnBefore}, blocking the thread. */
  lsnBeforeSync(position: number): Lsn {
    checkInteger('position', position);
    return this.#inTurnSync(() => this.#lsnBefore(position));
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
    return Object.freeze({
      ...this.#writer.counters,
      pendingBytes: this.#writer.pendingBytes,
      directIo: this.#writer.directIo,
      segments: this.#writer.chain.length,
      backend: this.#environment.io.name,
    });
  }

  /**
   * Makes everything durable, writes the mark of a clean close, closes the file and releases the lock. Readings in progress
   * end with `WAL_CLOSED`. Idempotent. After a failure with which a call that writes has rejected it only closes and unlocks.
   *
   * @param options - `discard`: discard everything appended and not yet written. Default `false`.
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when the log fails during this call: then it is closed and unlocked, and not
   * everything appended may be durable
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const discard = checkClose(options);
    this.#closing ??= this.#close(discard);
    await this.#closing;
  }

  /** Like {@link close}, blocking the thread. If the log is closing already, it waits until it is closed. */
  closeSync(options: CloseOptions = {}): void {
    const discard = checkClose(options);
    if (this.#state === 'closed') return;
    this.#writeQueue.requireTurn();
    this.#maintenanceQueue.requireTurn();
    if (this.#state === 'closing') {
      this.#maintenanceQueue.runSync(nothing);
      return;
    }
    this.#beginClosing();
    try {
      this.#maintenanceQueue.runSync(() => this.#writeQueue.join(() => this.#closeLog(discard)));
    } finally {
      this.#closing = this.#disposeBackend();
      // A later `close()` awaits this promise and reports its error.
      this.#closing.catch(() => {});
    }
  }

  /** Closes the log: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the log: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(discard: boolean): Promise<void> {
    this.#beginClosing();
    try {
      await this.#maintenanceQueue.run(() => this.#writeQueue.join(() => this.#closeLog(discard)));
    } finally {
      await this.#disposeBackend();
    }
  }

  #beginClosing(): void {
    this.#state = 'closing';
    this.#failureWasReported = this.#failureIsReported;
    this.#idleMarker.stop();
    for (const reader of this.#readers) reader.end();
  }

  *#closeLog(discard: boolean): IoRoutine<void> {
    try {
      if (this.#writer.failure !== undefined || this.#isReadonly) {
        yield* this.#writer.releaseFiles();
        if (!this.#failureWasReported) this.#throwIfOwed(discard);
        return;
      }
      yield* this.#writer.close(MarkType.closed, discard);
    } finally {
      this.#state = 'closed';
      this.#unlock();
    }
  }

  /** @throws a failure that no call has reported: of the background, or of a call that ended behind the one that closes */
  #throwIfOwed(discard: boolean): void {
    const { failure, durableLsn, writtenLsn, nextLsn } = this.#writer;
    if (failure !== undefined && durableLsn < (discard ? writtenLsn : nextLsn - 1)) throw failure;
  }

  /** Disposes of a backend that the log has opened, once all its completions were processed. */
  async #disposeBackend(): Promise<void> {
    if (!this.#ownsIo) return;
    await CompletionRouter.for(this.#environment.io).settled();
    await this.#environment.io.dispose();
  }

  *#flushing(): IoRoutine<void> {
    if (this.#isReadonly) return;
    yield* this.#beginIfDeferred();
    yield* this.#writer.flush();
  }

  /** Starts the writes that make everything appended so far durable. */
  *#submitting(): IoRoutine<LogEnd> {
    // A read-only log cannot make durable what another process has written.
    if (this.#isReadonly) return { ...this.#writer.appended, lastLsn: this.durableLsn };
    if (this.#noSpace !== undefined) yield* this.#beginIfDeferred();
    const submitted = this.#writer.appended;
    yield* this.#writer.submit();
    return submitted;
  }

  /** Waits until what was submitted is durable. */
  async #durable(submitted: LogEnd): Promise<void> {
    if (!this.#writer.isDurable(submitted)) {
      try {
        await runAsync(this.#environment.io, this.#writer.untilDurable(submitted));
      } catch (error) {
        throw this.#reported(error);
      }
    }
    this.#idleMarker.arm();
  }

  *#truncating(truncation: IoRoutine<TruncateResult>): IoRoutine<TruncateResult> {
    const result = yield* truncation;
    if (this.#noSpace !== undefined) yield* this.#writeQueue.join(() => this.#beginIfDeferred());
    return result;
  }

  #cutOff(lastLsn: Lsn): void {
    this.#submittedLsn = 0;
    for (const reader of this.#readers) reader.cutAfter(lastLsn);
    for (const listener of this.#cutListeners) {
      try {
        listener(lastLsn);
      } catch (error) {
        // The cut is done: an error of a listener becomes an uncaught exception and does not reject the cut.
        afterStep(() => {
          throw error;
        });
      }
    }
  }

  *#rotating(ring: KeyRing, keyId: number): IoRoutine<void> {
    ring.use(keyId);
    yield* this.#beginIfDeferred();
    yield* this.#writer.rotate();
  }

  #ringToRotate(): KeyRing {
    this.#throwUnlessWritable();
    const ring = this.encryptionRing;
    if (ring !== undefined) return ring;
    throw new WalError(
      'WAL_STATE',
      `the log in ${this.directory} has no key ring: open it with one, or set one first`,
      {
        path: this.directory,
        state: 'not-encrypted',
      },
    );
  }

  #announceTruncation(result: TruncateResult): void {
    if (!channels.truncate.hasSubscribers) return;
    const { directory, firstLsn, lastLsn } = this;
    announce(channels.truncate, { directory, firstLsn, lastLsn, ...result });
  }

  /** Rejects appends until a cut is done: their records would get LSNs that it drops. */
  async #cutting<T>(nextLsn: Lsn, cut: () => Promise<T>): Promise<T> {
    this.#cuts.push(nextLsn);
    try {
      return await cut();
    } finally {
      this.#cuts.splice(this.#cuts.indexOf(nextLsn), 1);
    }
  }

  /** The same for a blocking call, during which other routines may call functions of the application. */
  #cuttingSync<T>(nextLsn: Lsn, cut: () => T): T {
    this.#cuts.push(nextLsn);
    try {
      return cut();
    } finally {
      this.#cuts.splice(this.#cuts.indexOf(nextLsn), 1);
    }
  }

  /** Runs retention in the background. `failure` has its failure, and the next call rejects with it. */
  #retain(): void {
    if (this.#retaining || this.#state !== 'open' || !dropsAnything(this.#settings)) return;
    this.#retaining = true;
    this.#maintenanceQueue
      .run(() => {
        this.#retaining = false;
        return this.#truncation.retain();
      })
      .catch(() => {});
  }

  /** Creates the segment that was deferred, as the disk was full when the log was opened. */
  *#beginIfDeferred(): IoRoutine<void> {
    if (this.#noSpace === undefined) return;
    try {
      yield* this.#truncation.ensureCheckpointDurable();
      yield* this.#writer.begin();
      this.#noSpace = undefined;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#writer.failure !== undefined) throw error;
      this.#noSpace = error;
    }
  }

  #readingFrom(from: Lsn | 'first', options: ReadOptions, blocking: boolean): () => IoRoutine<LogReader> {
    const checked = checkReadOptions(options);
    if (from !== 'first') this.#checkReachable(from);
    const { lastLsn } = this;
    return () => this.#beginReading(from, lastLsn, checked, blocking);
  }

  *#lsnBefore(position: number): IoRoutine<Lsn> {
    // Read before the flush: records appended during it may not be in a file yet.
    const { position: end } = this.#writer;
    yield* this.#writer.flush();
    return yield* lsnBefore(this.#environment.io, this.#writer.chain, position, end);
  }

  #reading(from: Lsn | 'first', options: ReadOptions): Replay {
    const checked = checkReadOptions(options);
    // The last record is determined when an iteration begins, not when its routine starts to run.
    const begin = (to: Lsn, blocking: boolean) => () => this.#beginReading(from, to, checked, blocking);
    return new Replay(
      () => this.#inTurn(begin(this.lastLsn, false)),
      () => this.#inTurnSync(begin(this.lastLsn, true)),
    );
  }

  *#beginReading(
    from: Lsn | 'first',
    last: Lsn,
    { to, ...options }: CheckedReadOptions,
    blocking: boolean,
    /** Whether so little is read that a mapping would cost more than a read. */
    isBrief = false,
  ): IoRoutine<LogReader> {
    const failed = this.#writer.failure !== undefined;
    const isWritten = Math.min(last, to) <= this.#writer.writtenLsn;
    if (!isWritten && !failed && !this.#isReadonly) yield* this.#writer.flush();
    const { firstLsn } = this;
    const lsn = from === 'first' ? firstLsn : from;
    // A truncation may have run meanwhile.
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
    const { chain, sealed, active, durableLsn, writtenLsn } = this.#writer;
    const first = Math.max(0, countWhile(chain, (segment) => segment.header.firstLsn <= lsn) - 1);
    const reader = new LogReader(this.#environment.io, {
      segments: sealed.viewFrom(first, active),
      sealed: isBrief ? 0 : Math.max(0, this.#unwritten(sealed) - first),
      from: lsn,
      to: Math.min(last, to, failed ? durableLsn : writtenLsn),
      ...options,
      decoding: { ...this.decoding, keyRing: this.encryptionRing },
      blocking,
      firstLsn: () => (this.#isReadonly ? firstListedLsn(this.#environment.io, this.directory) : this.firstLsn),
      isBesideWriter: this.#isReadonly,
      onClose: (closed) => this.#readers.delete(closed),
    });
    this.#readers.add(reader);
    if (this.#state !== 'open') reader.end();
    return reader;
  }

  /**
   * The number of segments that are not written any more. In a read-only log another process may write the newest one.
   */
  #unwritten(sealed: Segments): number {
    return this.#isReadonly ? sealed.length - 1 : sealed.length;
  }

  /** The options that another reader of the log, such as a `LogTail`, needs to decode its records. */
  get decoding(): Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'> {
    const { allowPlaintext, maxPayloadBytes } = this.#settings;
    const encryptedFrom = (): Lsn | undefined => this.#writer.encryptedFrom;
    // A function, called for each segment: the ring of the log may be set after a tail has started.
    const keyRing = (): KeyRing | undefined => this.encryptionRing;
    return { keyRing, allowPlaintext, maxPayloadBytes, encryptedFrom };
  }

  #writeIdleMark(): void {
    // A failure is not lost: `failure` has it, and the next call rejects with it.
    this.#writeQueue.run(() => this.#writer.mark(MarkType.idle)).catch(() => {});
  }

  /** Tries in the background to create the deferred segment. */
  #retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#writeQueue
      .run(() => this.#beginIfDeferred())
      .catch(() => {})
      .finally(() => {
        this.#retrying = false;
      });
  }

  /** Runs a routine in the write queue, as a call that reads: it may reject with the failure, but does not report it. */
  #inTurn<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(this.#closedError());
    return this.#writeQueue.run(make);
  }

  #inTurnSync<T>(make: () => IoRoutine<T>): T {
    if (this.#state !== 'open') throw this.#closedError();
    return this.#writeQueue.runSync(make);
  }

  #run<T>(make: () => IoRoutine<T>): Promise<T> {
    return this.#inTurn(make).catch(this.#reject);
  }

  #runSync<T>(make: () => IoRoutine<T>): T {
    try {
      return this.#inTurnSync(make);
    } catch (error) {
      throw this.#reported(error);
    }
  }

  #runMaintenance<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(this.#closedError());
    if (this.#isReadonly) return Promise.reject(this.#readonlyError());
    return this.#maintenanceQueue.run(make).catch(this.#reject);
  }

  #runMaintenanceSync<T>(make: () => IoRoutine<T>): T {
    if (this.#state !== 'open') throw this.#closedError();
    if (this.#isReadonly) throw this.#readonlyError();
    // The routine may have to join the write queue.
    this.#writeQueue.requireTurn();
    try {
      return this.#maintenanceQueue.runSync(make);
    } catch (error) {
      throw this.#reported(error);
    }
  }

  /** Notes that a call that writes reports this error, which may be the failure of the log. @returns the error */
  #reported(error: unknown): unknown {
    const { failure } = this.#writer;
    if (failure !== undefined && (error === failure || (WalError.is(error) && error.cause === failure))) {
      this.#failureIsReported = true;
    }
    return error;
  }

  readonly #reject = (error: unknown): never => {
    throw this.#reported(error);
  };

  /** @throws the failure of the log, for a call that writes */
  #throwIfFailed(): void {
    if (this.#writer.failure === undefined) return;
    this.#failureIsReported = true;
    this.#writer.throwIfFailed();
  }

  /** @throws when the log is closed or read-only: checked before a cut is registered as in progress */
  #throwUnlessOwned(): void {
    this.#throwUnlessOpen();
    if (this.#isReadonly) throw this.#readonlyError();
  }

  /** @throws when the log accepts no records now */
  #throwUnlessWritable(): void {
    this.#throwUnlessOwned();
    if (this.#cuts.length > 0) throw this.#cutError();
  }

  /** @throws when something was appended, and a ring that is set now would come too late for it */
  #throwUnlessUnused(): void {
    this.#throwUnlessOpen();
    this.#throwIfFailed();
    if (this.#writer.counters.records > 0) throw tooLateForRing(this.directory);
  }

  #throwUnlessOpen(): void {
    if (this.#state !== 'open') throw this.#closedError();
  }

  #closedError(): WalError {
    return new WalError('WAL_CLOSED', `the log in ${this.directory} is ${this.#state}: open it again`, {
      path: this.directory,
      state: this.#state,
    });
  }

  #readonlyError(): WalError {
    const what = "was opened with recoveryMode 'readonly': nothing was changed; open it without that to write";
    return new WalError('WAL_STATE', `the log in ${this.directory} ${what}`, {
      path: this.directory,
      state: 'readonly',
    });
  }

  #cutError(): WalError {
    const what = 'a truncateAfter or resetTo is in progress: nothing was appended; await it first';
    return new WalError('WAL_STATE', what, { path: this.directory, state: 'truncating' });
  }

  #checkReachable(lsn: Lsn): void {
    if (checkLsn('lsn', lsn) > this.nextLsn) throw outOfRange('lsn', `at most ${this.nextLsn}, the next LSN`, lsn);
  }

  /**
   * The end of the LSNs that a call may name. A call runs after the cuts in progress: LSNs from the one on with which a cut
   * continues the log will belong to other records by then.
   */
  get #endOfKept(): Lsn {
    return Math.min(this.nextLsn, ...this.#cuts);
  }

  #checkKept(lsn: Lsn): void {
    const end = this.#endOfKept;
    if (checkLsn('lsn', lsn) > end) throw outOfRange('lsn', `at most ${end}, the next LSN`, lsn);
  }

  #checkAppended(lsn: Lsn): void {
    const last = this.#endOfKept - 1;
    if (checkInteger('lsn', lsn) > last) throw outOfRange('lsn', `at most ${last}, the last LSN`, lsn);
  }

  /** Whether an LSN was assigned to a record. @throws when that was removed, or the argument is not an LSN */
  #isThere(lsn: Lsn): boolean {
    this.#throwUnlessOpen();
    if (checkLsn('lsn', lsn) > this.lastLsn) return false;
    if (lsn < this.firstLsn) throw truncated(lsn, this.firstLsn);
    return true;
  }

  #checkPage(lsn: Lsn, limit: number): void {
    this.#throwUnlessOpen();
    this.#checkReachable(lsn);
    checkInteger('limit', limit, 1);
    if (lsn < this.firstLsn) throw truncated(lsn, this.firstLsn);
  }

  /** @throws when a record of this size cannot be appended now */
  #checkSizes(payload: number, meta: number, scoped: boolean): void {
    this.#throwIfFailed();
    const { maxPayloadBytes } = this.#settings;
    if (payload > maxPayloadBytes) throw tooLarge('payload', payload, maxPayloadBytes);
    if (meta > META_BYTES_MAX) throw tooLarge('meta', meta, META_BYTES_MAX);
    this.#checkRoom(recordFrameBytes(payload, meta, scoped));
  }

  /** @throws when a batch cannot be appended now */
  #checkBatch(records: readonly RecordBody[], sizeBytes: number): void {
    this.#throwIfFailed();
    const { maxPayloadBytes } = this.#settings;
    for (const { payload } of records) {
      if (payload.length > maxPayloadBytes) throw tooLarge('payload', payload.length, maxPayloadBytes);
    }
    if (sizeBytes > BATCH_BYTES_MAX) throw tooLarge('batch', sizeBytes, BATCH_BYTES_MAX);
    this.#checkRoom(sizeBytes);
  }

  /** @throws `WAL_NO_SPACE` while the disk is full, `WAL_BACKPRESSURE` when too many bytes would be pending */
  #checkRoom(bytes: number): void {
    if (this.#noSpace !== undefined) {
      this.#retry();
      throw this.#noSpace;
    }
    const pending = this.#writer.pendingBytes;
    const { maxPendingBytes } = this.#settings;
    if (pending === 0 || pending + bytes <= maxPendingBytes) return;
    throw new WalError(
      'WAL_BACKPRESSURE',
      `${pending} bytes are pending and maxPendingBytes is ${maxPendingBytes}: nothing was appended; sync or flush first`,
      { limit: maxPendingBytes, actual: pending + bytes },
    );
  }
}

/**
 * Applies the defaults that depend on the backend. For real files the path of the directory is made absolute, so that the
 * process may change its working directory.
 */
function settingsFor(config: CheckedConfig, io: StorageIo): Settings {
  const preallocate = config.preallocate ?? (writesSideBySide(io) ? 'write' : 'none');
  return {
    ...config,
    directory: io.capabilities.realFiles ? resolve(config.directory) : config.directory,
    preallocate,
    recycleSegments: config.recycleSegments ?? (preallocate === 'none' ? 0 : 1),
  };
}

/** How a log is closed. */
export interface CloseOptions {
  /** Discard everything appended and not yet written. Default `false`. */
  readonly discard?: boolean;
}

function checkClose(options: CloseOptions): boolean {
  const { discard = false } = checkOptions('options', options, ['discard']);
  return checkBoolean('discard', discard);
}

/** A routine that does nothing: running it in a queue waits for the routines before it. */
function* nothing(): IoRoutine<void> {}

function beginningOf({ start }: OpenedLog): Checkpoint {
  return start.checkpoint ?? { logId: start.logId, firstSegment: 1, checkpointLsn: 0, holds: {} };
}

function tooLateForRing(directory: string): WalError {
  return new WalError(
    'WAL_STATE',
    `something was appended to the log in ${directory} already: set the key ring before the first append, or open the ` +
      'log with it',
    { path: directory, state: 'appended' },
  );
}

function emptyBatch(): WalError {
  return new WalError('WAL_EMPTY_BATCH', 'the batch has no record: add one before appending it');
}

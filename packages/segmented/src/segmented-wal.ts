import { resolve } from 'node:path';
import {
  type Checkpoint,
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  invalidType,
  type KeyRing,
  type Lsn,
  MAXIMUM_META_BYTES,
  MarkType,
  outOfRange,
  recordFrameBytes,
  WalError,
} from '@walstack/codec';
import type { LogTailOptions, ResumePoint } from '@walstack/mmap-reader';
import {
  knownBefore,
  knownIn,
  resumePointOf,
  type Segment,
  truncated,
  type WalRecord,
} from '@walstack/mmap-reader/segments';
import {
  afterStep,
  CompletionRouter,
  drive,
  type Ended,
  type IoRoutine,
  openStorageIo,
  RoutineQueue,
  runAsync,
  runSync,
  type StorageIo,
} from '@walstack/storage-io';
import { Batch, markSpent, recordsOf, throwIfSpent } from './batch.js';
import { announce } from './diagnostics.js';
import type { Environment } from './environment.js';
import { announced, channels } from './log-diagnostics.js';
import {
  type CheckedConfig,
  checkConfig,
  checkKeyRing,
  type SegmentedWalConfig,
  type Settings,
  withoutCreating,
  worldOf,
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
  /** Physical writes of one or more records each, counted as one when they were written for one flush or sync. */
  readonly groups: number;
  /** Syncs of segment data, and durable writes. */
  readonly syncs: number;
  readonly marks: number;
  readonly rolls: number;
  /** Bytes of frames, marks and padding written. */
  readonly bytesWritten: number;
  /** Segments that were made of a freed file. */
  readonly recycled: number;
  /** Bytes appended and not yet written. */
  readonly pendingBytes: number;
  /** Whether the active segment is written around the page cache. */
  readonly directIo: boolean;
  readonly segments: number;
  /** Name of the backend. */
  readonly backend: string;
}

/** The largest batch, in bytes: it is encoded and written in one piece. */
const BATCH_BYTES_MOST = 1024 * 1024 * 1024;

/** Every record, as a copy. */
const ALL: CheckedReadOptions = { copy: true, to: Number.MAX_SAFE_INTEGER, matches: undefined };

/**
 * A write-ahead log in a directory of segment files.
 *
 * `append` encodes a record into memory and returns its LSN at once; `sync` makes everything appended before it durable.
 * Whatever waits for the disk has two forms: a promise, and a twin ending in `Sync` that blocks the thread and needs a
 * backend that can wait. What is wrong with a call, its arguments included, rejects the promise; only the twin throws it.
 *
 * One object writes a log at a time, whichever process or thread it is in: the directory is locked.
 */
export class SegmentedWal {
  readonly #world: Environment;
  readonly #settings: Settings;
  readonly #isReadonly: boolean;
  readonly #ownsIo: boolean;
  readonly #unlock: () => void;
  readonly #writer: SegmentWriter;
  readonly #body = new ReusedBody();
  readonly #truncation: Truncation;
  /** The lane of the groups: what must not interleave with writing. */
  readonly #queue: RoutineQueue;
  /** The lane of truncation, beside it. */
  readonly #maintenanceQueue: RoutineQueue;
  readonly #quietMark: IdleMarker;
  readonly #recovery: RecoveryReport;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #noSpace: WalError | undefined;
  #retrying = false;
  #retaining = false;
  /** Calls under way that change what the next LSN is: the LSN with which each has the log go on. */
  readonly #cuts: Lsn[] = [];
  readonly #readers = new Set<LogReader>();
  readonly #cutListeners = new Set<(lastLsn: Lsn) => void>();
  #queuedSync: Promise<void> | undefined;
  /** The last LSN of the last sync that was submitted since the end of the log was last cut off; 0 for none. */
  #submittedLsn = 0;
  /** Why a submitted sync failed that was no failure for good; told once. */
  #submitFailure: unknown;
  #closing: Promise<void> | undefined;
  /** Whether the log had failed when it was closed. */
  #hadFailed = false;

  private constructor(world: Environment, settings: Settings, ownsIo: boolean, opened: OpenedLog) {
    this.#world = world;
    this.#settings = settings;
    this.#isReadonly = settings.recoveryMode === 'readonly';
    this.#ownsIo = ownsIo;
    this.#unlock = opened.unlock;
    this.#recovery = opened.report;
    this.#noSpace = opened.noSpace;
    this.#writer = new SegmentWriter(world, settings, opened.start, () => this.#retain());
    this.#queue = new RoutineQueue(world.io);
    this.#maintenanceQueue = new RoutineQueue(world.io);
    const { checkpointIsDurable = true } = opened.start;
    const store = new CheckpointStore(world, settings, this.#writer, beginningOf(opened), checkpointIsDurable);
    this.#truncation = new Truncation(world, settings, this.#writer, store, this.#queue, {
      cut: (lastLsn) => this.#cutOff(lastLsn),
      truncated: (result) => this.#announceTruncation(result),
    });
    this.#quietMark = new IdleMarker(world.setTimer, settings.markAfterMs, {
      activity: () => this.#writer.nextLsn,
      wanted: () => this.#state === 'open' && this.#writer.failure === undefined && !this.#writer.endsWithMark,
      mark: () => this.#markQuiet(),
    });
  }

  /**
   * Opens the log of a directory, recovering it, or makes a new one. What is found is durable on return.
   *
   * @throws `WAL_LOCKED` when another writer holds it, `WAL_CORRUPT` when something acknowledged is lost (nothing is
   * changed), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`; `TypeError`
   * and `RangeError` for wrong options
   */
  static async open(config: SegmentedWalConfig): Promise<SegmentedWal> {
    const checked = checkConfig(config);
    const { io, owned } = backendOf(config, 'async');
    try {
      const settings = settle(checked, io);
      const world = worldOf(config, io);
      return new SegmentedWal(
        world,
        settings,
        owned,
        await runAsync(io, announced(world, settings, openLog(world, settings, false))),
      );
    } catch (error) {
      if (owned) await io.dispose();
      throw error;
    }
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(config: SegmentedWalConfig): SegmentedWal {
    const checked = checkConfig(config);
    const { io, owned } = backendOf(config, 'wait');
    try {
      const settings = settle(checked, io);
      const world = worldOf(config, io);
      return new SegmentedWal(
        world,
        settings,
        owned,
        runSync(io, announced(world, settings, openLog(world, settings, true))),
      );
    } catch (error) {
      // Nothing is in flight on a backend that completes before the thread goes on: there is nothing to wait for.
      if (owned) void io.dispose();
      throw error;
    }
  }

  /**
   * Opens a log that is there, closes it again, and tells what was found and done: with `recoveryMode` `'readonly'` nothing
   * is done, so that says whether a log is sound, and `'salvage'` repairs one that is not.
   *
   * @returns the report, with everything durable that it says was kept
   * @throws what {@link open} throws; `WAL_NOT_FOUND` where there is no log, which is not made
   */
  static async recover(config: SegmentedWalConfig): Promise<RecoveryReport> {
    const wal = await SegmentedWal.open(withoutCreating(config));
    await wal.close();
    return wal.recovery;
  }

  /** Like {@link recover}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static recoverSync(config: SegmentedWalConfig): RecoveryReport {
    const wal = SegmentedWal.openSync(withoutCreating(config));
    wal.closeSync();
    return wal.recovery;
  }

  /** The directory of the log. */
  get directory(): string {
    return this.#settings.directory;
  }

  /** The LSN that the next record gets. */
  get nextLsn(): Lsn {
    return this.#writer.nextLsn;
  }

  /** The last LSN given out; `firstLsn − 1` when the log has no record. */
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

  /** The last LSN that the application no longer needs, as the last {@link checkpoint} has it; 0 when there is none. */
  get checkpointLsn(): Lsn {
    return this.#truncation.checkpointLsn;
  }

  /** What the holds need: the first LSN that each keeps, by its name. A frozen snapshot. */
  get holds(): Readonly<Record<string, Lsn>> {
    return Object.freeze({ ...this.#truncation.holds });
  }

  /** First LSN of the active segment; the next LSN when there is none yet. */
  get activeSegmentFirstLsn(): Lsn {
    return this.#writer.activeFirstLsn;
  }

  /**
   * Where in the log, in bytes, the next record is looked for: behind everything appended, and what a group was filled up
   * with. It grows from segment to segment and goes on when the log is opened again.
   */
  get position(): number {
    return this.#writer.position;
  }

  /** Every byte of the log before this position survives a crash. */
  get durablePosition(): number {
    return this.#writer.durablePosition;
  }

  /** The core whose log this is; `undefined` for a log that belongs to none. */
  get coreId(): number | undefined {
    return this.#writer.coreId;
  }

  /** Bytes appended and not yet written. */
  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  /** How many groups may be under way side by side: 1 unless the backend can make writes durable side by side. */
  get maxInFlight(): number {
    return this.#writer.maxInFlight;
  }

  /** The failure after which nothing is accepted any more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#writer.failure;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get encryptionRing(): KeyRing | undefined {
    return this.#writer.keyRing;
  }

  /** What opening found and did. */
  get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /** The backend of the log. */
  get io(): StorageIo {
    return this.#world.io;
  }

  /**
   * Appends a record in memory. Neither written nor durable on return: see {@link flush} and {@link sync}.
   *
   * @param payload - bytes, copied before the call returns, or a string without lone surrogates, which is encoded as UTF-8; may be
   * empty
   * @returns its LSN
   * @throws `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure; `TypeError`
   * or `RangeError` for wrong arguments. Nothing was appended then.
   */
  append(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): Lsn {
    this.#throwUnlessWritable();
    const body = this.#body.fill(payload, options);
    try {
      // Getters among the options may have closed the log, or begun to cut it.
      if (options !== NO_OPTIONS) this.#throwUnlessWritable();
      this.#checkSizes(body.payloadBytes, body.metaBytes, body.scope !== undefined);
      return this.#writer.append(body);
    } finally {
      body.clear();
    }
  }

  /**
   * Appends the records of a batch in memory, one behind the other. Neither written nor durable on return: see
   * {@link flush} and {@link sync}. After any crash the log has all of them or none, and they become durable at once. They
   * lie in one segment, which is made as large as they need.
   *
   * @param batch - is spent on return, and only then
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
    const lsn = this.#writer.appendBatch(records);
    markSpent(batch);
    return lsn;
  }

  /**
   * Encrypts everything that is appended from now on, with the current key of a ring: for a log that was opened without
   * one, or with another. An empty segment is replaced by the first append. What the log held in the clear before stays as it
   * is, and the next segment says that it belongs to the log.
   *
   * @throws `WAL_STATE` when something was appended since the log was opened; `WAL_BAD_KEY` when the ring has not its current
   * key, or not that of the newest records, or another one in its place; `WAL_UNSUPPORTED` when its callback would answer later:
   * `await ring.load()` before; `WAL_CLOSED`, the code of the first failure; `TypeError`
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
    // What is in the clear so far is accepted by that; a log that is only read has to prove it.
    this.#writer.useKeyRing(ring, this.#isReadonly ? undefined : encryptionOf(this.#writer.segments));
  }

  /**
   * Goes over to another key: makes everything appended durable, and a new segment behind it, which is encrypted with the
   * current key of the ring. What is appended while this call waits may still be encrypted with the key before. Earlier
   * segments stay as they are, and need their keys as long as they are there.
   *
   * @param id - key to become the current one of the ring. Default: the one that is, as after `ring.use(id)`
   * @throws `WAL_BAD_KEY` when the ring has it not, with nothing changed; `WAL_STATE` when the log has no ring;
   * `WAL_NO_SPACE`: then the next segment is encrypted with it, once there is room; `WAL_IO_FAILED`, `WAL_CLOSED`
   */
  async rotateKey(id?: number): Promise<void> {
    const ring = this.#ringToRotate();
    const next = id === undefined ? ring.currentId : checkInteger('id', id, 1, 0xffff_ffff);
    await ring.load([next]);
    requireKey(ring, next, 'the log is to go over to it');
    await this.#run(() => this.#rotating(ring, next));
  }

  /** Like {@link rotateKey}, blocking the thread. @throws `WAL_UNSUPPORTED` when the key service would answer later */
  rotateKeySync(id?: number): void {
    const ring = this.#ringToRotate();
    const next = id === undefined ? ring.currentId : checkInteger('id', id, 1, 0xffff_ffff);
    ring.loadSync([next]);
    requireKey(ring, next, 'the log is to go over to it');
    this.#runSync(() => this.#rotating(ring, next));
  }

  /**
   * Does what {@link append} does of an empty record, but for appending it: throws when there is no room for one.
   *
   * @throws `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure
   */
  throwIfFull(): void {
    this.#throwUnlessWritable();
    this.#checkSizes(0, 0, false);
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  flush(): Promise<void> {
    return this.#run(() => this.#flushing());
  }

  /** Like {@link flush}, blocking the thread. */
  flushSync(): void {
    this.#runSync(() => this.#flushing());
  }

  /**
   * Makes everything appended so far durable. Calls that come while one is under way share the next one.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: final, the log accepts nothing any more; `WAL_CLOSED`
   */
  sync(): Promise<void> {
    if (this.#queuedSync !== undefined) return this.#queuedSync;
    let started = false;
    const done = this.#run(() => {
      started = true;
      this.#queuedSync = undefined;
      return this.#submitting();
    }).then((submitted) => this.#durable(submitted));
    if (!started) this.#queuedSync = done;
    return done;
  }

  /**
   * Does what {@link sync} does, without a promise for it.
   *
   * @param ended - told when everything appended before the call is durable, or why it never will be; perhaps before this
   * returns, and else while completions are handed out. It may call anything, calls that block included; while a
   * {@link truncateAfter} or {@link resetTo} is under way, {@link append} is refused there as elsewhere. What it throws is an
   * uncaught exception.
   */
  startSync(ended: (failure: unknown) => void): void {
    const tell = (failure: unknown): void => afterStep(() => ended(failure));
    const waiting = (submitted: Parameters<Ended<LogEnd>>[0]): void => {
      if ('error' in submitted) tell(submitted.error);
      else drive(CompletionRouter.for(this.#world.io), this.#writer.untilDurable(submitted.value), durable);
    };
    const durable = (waited: Parameters<Ended<void>>[0]): void => {
      if ('error' in waited) {
        tell(waited.error);
        return;
      }
      this.#quietMark.arm();
      tell(undefined);
    };
    if (this.#state === 'open') this.#queue.start(() => this.#submitting(), waiting);
    else tell(this.#closedError());
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    const submitted = this.#runSync(() => this.#submitting());
    runSync(this.#world.io, this.#writer.untilDurable(submitted));
    this.#quietMark.arm();
  }

  /**
   * Begins what {@link sync} does, and returns at once; nothing is durable then. {@link checkCompletions} drives it on
   * without the event loop, which would do it too.
   *
   * @returns the last LSN that it makes durable
   * @throws `WAL_CLOSED`, the code of the first failure
   */
  submitSync(): Lsn {
    this.#throwUnlessOpen();
    this.#writer.throwIfFailed();
    const { lastLsn } = this;
    this.#submittedLsn = lastLsn;
    // What kept an earlier one from it keeps nothing from this one, which makes the same durable.
    this.#submitFailure = undefined;
    this.#queue.start(
      () => this.#submitting(),
      (ended) => {
        if ('error' in ended) this.#submitFailure = ended.error;
      },
    );
    return lastLsn;
  }

  /**
   * Takes what the backend has completed, without waiting, and goes on with what waited for it.
   *
   * @param lsn - what {@link submitSync} returned
   * @returns whether everything up to `lsn` is durable, or was so before {@link truncateAfter} or {@link resetTo} dropped it
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it never will be, `WAL_CLOSED`
   */
  checkCompletions(lsn: Lsn): boolean {
    this.#throwUnlessOpen();
    CompletionRouter.for(this.#world.io).drain();
    if (this.durableLsn >= checkInteger('lsn', lsn)) {
      this.#quietMark.arm();
      return true;
    }
    // A cut makes durable what it drops. What was submitted since then has such an LSN for another record.
    if (lsn <= this.#writer.droppedLsn && lsn > this.#submittedLsn) return true;
    this.#writer.throwIfFailed();
    const failure = this.#submitFailure;
    this.#submitFailure = undefined;
    if (failure !== undefined) throw failure;
    return false;
  }

  /**
   * Removes the segments that hold nothing but records below `lsn`, and below every {@link hold}; that they are gone is
   * durable on return. The segment that is being written goes only with `lsn` = `nextLsn`, which rolls first and leaves
   * an empty log whose LSNs go on. Groups do not wait for it.
   *
   * @param lsn - the first LSN that is still needed, 1 to `nextLsn`
   * @throws `WAL_NO_SPACE` when there is no room to note the new beginning, with nothing changed
   */
  async truncateBefore(lsn: Lsn): Promise<TruncateResult> {
    this.#checkKept(lsn);
    return this.#runUpkeep(() => this.#truncating(this.#truncation.before(lsn)));
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: Lsn): TruncateResult {
    this.#checkKept(lsn);
    return this.#runUpkeepSync(() => this.#truncating(this.#truncation.before(lsn)));
  }

  /**
   * Drops every record behind `lsn`, as a consensus log does with a conflicting tail: the next record gets `lsn` + 1. Durable
   * on return, and never half done: after a crash the tail is there as a whole, or not. Everything appended before is made
   * durable first. Until it is done `append` throws `WAL_STATE`. A checkpoint and holds that are ahead of `lsn` go back to
   * it. Iterations under way that were to read further end with `WAL_TRUNCATED`.
   *
   * @param lsn - the last LSN that is kept: `firstLsn` − 1, which empties the log, to `lastLsn`, which changes nothing
   * @throws `WAL_TRUNCATED` when `lsn` is before the log's beginning; `WAL_NO_SPACE` when there is no room for the new
   * segment: then nothing is lost, and the log goes on; `RangeError` behind `lastLsn`
   */
  async truncateAfter(lsn: Lsn): Promise<TruncateResult> {
    this.#checkAppended(lsn);
    this.#throwUnlessOwned();
    return this.#cutting(lsn + 1, () => this.#runUpkeep(() => this.#truncating(this.#truncation.after(lsn))));
  }

  /** Like {@link truncateAfter}, blocking the thread. */
  truncateAfterSync(lsn: Lsn): TruncateResult {
    this.#checkAppended(lsn);
    this.#throwUnlessOwned();
    return this.#cuttingSync(lsn + 1, () => this.#runUpkeepSync(() => this.#truncating(this.#truncation.after(lsn))));
  }

  /**
   * Drops every record, and goes on with `lsn`, as a log does when a snapshot was installed. Durable on return, and never
   * half done. Until it is done `append` throws `WAL_STATE`. A checkpoint that is ahead goes back to `lsn` − 1, and every
   * hold goes to `lsn`: what it has kept is gone.
   *
   * @param lsn - the LSN of the next record, any
   * @throws `WAL_NO_SPACE` when there is no room for the new segment: then nothing is lost, and the log goes on
   */
  async resetTo(lsn: Lsn): Promise<TruncateResult> {
    checkLsn('lsn', lsn);
    this.#throwUnlessOwned();
    return this.#cutting(lsn, () => this.#runUpkeep(() => this.#truncating(this.#truncation.resetTo(lsn))));
  }

  /** Like {@link resetTo}, blocking the thread. */
  resetToSync(lsn: Lsn): TruncateResult {
    checkLsn('lsn', lsn);
    this.#throwUnlessOwned();
    return this.#cuttingSync(lsn, () => this.#runUpkeepSync(() => this.#truncating(this.#truncation.resetTo(lsn))));
  }

  /**
   * Notes that the application needs nothing up to `lsn` any more, say because a snapshot holds it: durable on return. Makes
   * `lsn` durable first. It removes nothing by itself but what retention drops (`retainBytes`, `retainAgeMs`). An LSN that
   * is not behind the present checkpoint changes nothing.
   *
   * @param lsn - 0 to `lastLsn`
   * @throws `WAL_NO_SPACE` when there is no room to note it, with nothing changed
   */
  async checkpoint(lsn: Lsn): Promise<void> {
    this.#checkAppended(lsn);
    return this.#runUpkeep(() => this.#truncation.checkpoint(lsn));
  }

  /** Like {@link checkpoint}, blocking the thread. */
  checkpointSync(lsn: Lsn): void {
    this.#checkAppended(lsn);
    this.#runUpkeepSync(() => this.#truncation.checkpoint(lsn));
  }

  /**
   * Keeps every record from `lsn` on, for a reader that comes back for it: neither {@link truncateBefore} nor retention
   * removes one, in this process or a later one, until the hold of this name moves or is released. Durable on return, and so
   * is every record before `lsn`.
   *
   * @param name - 1 to 128 characters; a hold of this name moves
   * @param lsn - `firstLsn` to `nextLsn`
   * @throws `WAL_TRUNCATED` with `firstLsn` when `lsn` is gone already; `WAL_TOO_LARGE` beyond 1024 holds; `WAL_NO_SPACE`
   * with nothing changed
   */
  async hold(name: string, lsn: Lsn): Promise<void> {
    checkHoldName(name);
    this.#checkKept(lsn);
    return this.#runUpkeep(() => this.#truncation.hold(name, lsn));
  }

  /** Like {@link hold}, blocking the thread. */
  holdSync(name: string, lsn: Lsn): void {
    checkHoldName(name);
    this.#checkKept(lsn);
    this.#runUpkeepSync(() => this.#truncation.hold(name, lsn));
  }

  /** Gives up a hold. Durable on return. @returns whether there was one of this name */
  async releaseHold(name: string): Promise<boolean> {
    checkHoldName(name);
    return this.#runUpkeep(() => this.#truncation.releaseHold(name));
  }

  /** Like {@link releaseHold}, blocking the thread. */
  releaseHoldSync(name: string): boolean {
    checkHoldName(name);
    return this.#runUpkeepSync(() => this.#truncation.releaseHold(name));
  }

  /**
   * Keeps records for a reader in this process, like {@link hold}, but without noting it on disk: neither
   * {@link truncateBefore} nor retention removes what it still needs.
   *
   * @param needed - asked at each truncation for the first LSN that the reader needs, also when it comes while one is under way; 0
   * is everything. Where it throws, or returns what is no LSN, everything is kept, and that is an uncaught exception.
   * @param cut - told of each cut at the end of the log, in the moment when it is done: the last LSN that is left, 0 when
   * there is none. What it throws is an uncaught exception.
   * @returns ends it
   */
  keepFor(needed: () => Lsn, cut?: (lastLsn: Lsn) => void): () => void {
    if (typeof needed !== 'function') throw invalidType('needed', 'a function', needed);
    if (cut !== undefined && typeof cut !== 'function') throw invalidType('cut', 'a function', cut);
    const release = this.#truncation.keepFor(needed);
    if (cut === undefined) return release;
    // Two readers may come with one function.
    const listener = (lastLsn: Lsn): void => cut(lastLsn);
    this.#cutListeners.add(listener);
    return () => {
      release();
      this.#cutListeners.delete(listener);
    };
  }

  /**
   * Where a reader goes on that has everything before an LSN as the log has it now: for a `LogTail`, which then says so when
   * any of that was cut off since.
   *
   * @param lsn - the first LSN that the reader has not
   * @returns `undefined` where that cannot be told: the record before is not in the log any more, or not yet
   */
  resumePointAt(lsn: Lsn): ResumePoint | undefined {
    const last = checkLsn('lsn', lsn) - 1;
    const { sealed, active, planned } = this.#writer;
    const first = sealed.first ?? active;
    if (first?.header.firstLsn === lsn) return resumePointOf(knownBefore(first));
    const isIn = ({ header, nextLsn }: Segment): boolean => header.firstLsn <= last && last < nextLsn;
    const begun = countWhile(sealed, ({ header }) => header.firstLsn <= last);
    const own = [planned, active, sealed.at(begun - 1)].find((segment) => segment !== undefined && isIn(segment));
    return own === undefined ? undefined : resumePointOf(knownIn(own, last));
  }

  /**
   * One record. What is still in memory is flushed first.
   *
   * @param lsn - its LSN, at least 1
   * @returns `undefined` when it was not given out yet; after a failure, when it is not known durable
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `WAL_CORRUPT`, `WAL_IO_FAILED`,
   * `WAL_BAD_KEY`, `WAL_CLOSED`
   */
  async read(lsn: Lsn): Promise<WalRecord | undefined> {
    if (!this.#isThere(lsn)) return undefined;
    const reader = await this.#run(() => this.#beginReading(lsn, lsn, ALL, false, true));
    return runAsync(this.#world.io, readOne(reader));
  }

  /** Like {@link read}, blocking the thread. */
  readSync(lsn: Lsn): WalRecord | undefined {
    if (!this.#isThere(lsn)) return undefined;
    const reader = this.#runSync(() => this.#beginReading(lsn, lsn, ALL, true, true));
    return runSync(this.#world.io, readOne(reader));
  }

  /** All records, in order: {@link replayFrom} the first. */
  replay(options: ReadOptions = {}): Replay {
    this.#throwUnlessOpen();
    return this.#reading('first', options);
  }

  /**
   * The records from `lsn` on, in order, up to what had been appended when the iteration begins. What is still in memory
   * is flushed first. After a failure: up to what is known durable.
   *
   * @param lsn - the first LSN wanted, at most `nextLsn`
   * @throws `WAL_TRUNCATED` with `firstLsn` when it is not in the log any more; `RangeError` beyond `nextLsn`
   */
  replayFrom(lsn: Lsn, options: ReadOptions = {}): Replay {
    this.#throwUnlessOpen();
    this.#checkReachable(lsn);
    if (lsn < this.firstLsn) throw truncated(lsn, this.firstLsn);
    return this.#reading(lsn, options);
  }

  /**
   * At most `limit` records from `lsn` on, and whether there are more.
   *
   * @param limit - at least 1
   * @throws like {@link replayFrom}
   */
  async replayFromLimit(lsn: Lsn, limit: number): Promise<ReplayPage> {
    this.#checkPage(lsn, limit);
    const to = this.lastLsn;
    const reader = await this.#run(() => this.#beginReading(lsn, to, ALL, false));
    return runAsync(this.#world.io, readPage(reader, limit));
  }

  /** Like {@link replayFromLimit}, blocking the thread. */
  replayFromLimitSync(lsn: Lsn, limit: number): ReplayPage {
    this.#checkPage(lsn, limit);
    const to = this.lastLsn;
    const reader = this.#runSync(() => this.#beginReading(lsn, to, ALL, true));
    return runSync(this.#world.io, readPage(reader, limit));
  }

  /**
   * Begins to read, for an I/O routine that reads several logs side by side: what is read is what
   * {@link replayFrom} reads. To be closed.
   *
   * @param from - the first LSN wanted, at most `nextLsn`; `'first'` is the first one there is
   * @throws like {@link replayFrom}
   */
  async openReader(from: Lsn | 'first', options: ReadOptions = {}): Promise<LogReader> {
    const begin = this.#readingFrom(from, options, false);
    return this.#run(begin);
  }

  /** Like {@link openReader}, blocking the thread. */
  openReaderSync(from: Lsn | 'first', options: ReadOptions = {}): LogReader {
    return this.#runSync(this.#readingFrom(from, options, true));
  }

  /**
   * The LSN of the last record that ends at or before a position in the log; `firstLsn − 1` when none does. What is still
   * in memory is flushed first.
   *
   * @param position - one that {@link position} was once
   * @throws `WAL_RANGE` when it is past the end or inside a record, `WAL_TRUNCATED` when it was removed from the log
   */
  async lsnBefore(position: number): Promise<Lsn> {
    checkInteger('position', position);
    return this.#run(() => this.#lsnBefore(position));
  }

  /** Like {@link lsnBefore}, blocking the thread. */
  lsnBeforeSync(position: number): Lsn {
    checkInteger('position', position);
    return this.#runSync(() => this.#lsnBefore(position));
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

  stats(): SegmentedWalStats {
    return Object.freeze({
      ...this.#writer.counters,
      pendingBytes: this.#writer.pendingBytes,
      directIo: this.#writer.directIo,
      segments: this.#writer.chain.length,
      backend: this.#world.io.name,
    });
  }

  /**
   * Makes everything durable, marks the log as closed cleanly, closes its file and gives up its lock. Who reads the log
   * gets `WAL_CLOSED`. Idempotent. After an earlier failure it only closes and unlocks.
   *
   * @param options - `discard`: drop what was appended and not yet handed to the operating system. Default `false`.
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` where the log fails behind this call: then it is closed and unlocked, and not all
   * of it may be durable
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const discard = checkClose(options);
    this.#closing ??= this.#close(discard);
    await this.#closing;
  }

  /** Like {@link close}, blocking the thread; when the log is closing already, until it is closed. */
  closeSync(options: CloseOptions = {}): void {
    const discard = checkClose(options);
    if (this.#state === 'closed') return;
    this.#queue.requireTurn();
    this.#maintenanceQueue.requireTurn();
    if (this.#state === 'closing') {
      this.#maintenanceQueue.runSync(nothing);
      return;
    }
    this.#beginClosing();
    try {
      this.#maintenanceQueue.runSync(() => this.#queue.join(() => this.#closeLog(discard)));
    } finally {
      this.#closing = this.#letGoOfBackend();
      // Whoever awaits `close()` later hears of it.
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
      await this.#maintenanceQueue.run(() => this.#queue.join(() => this.#closeLog(discard)));
    } finally {
      await this.#letGoOfBackend();
    }
  }

  #beginClosing(): void {
    this.#state = 'closing';
    this.#hadFailed = this.#writer.failure !== undefined;
    this.#quietMark.stop();
    for (const reader of this.#readers) reader.end();
  }

  *#closeLog(discard: boolean): IoRoutine<void> {
    try {
      if (this.#writer.failure !== undefined || this.#isReadonly) {
        yield* this.#writer.releaseFiles();
        if (!this.#hadFailed) this.#throwIfOwed(discard);
        return;
      }
      yield* this.#writer.close(MarkType.closed, discard);
    } finally {
      this.#state = 'closed';
      this.#unlock();
    }
  }

  /** @throws the failure that came while closing waited for its turn: one of the background is told to no other call */
  #throwIfOwed(discard: boolean): void {
    const { failure, durableLsn, writtenLsn, nextLsn } = this.#writer;
    if (failure !== undefined && durableLsn < (discard ? writtenLsn : nextLsn - 1)) throw failure;
  }

  /** Ends a backend that is the log's own, when nothing waits for an answer of it any more. */
  async #letGoOfBackend(): Promise<void> {
    if (!this.#ownsIo) return;
    await CompletionRouter.for(this.#world.io).settled();
    await this.#world.io.dispose();
  }

  *#flushing(): IoRoutine<void> {
    if (this.#isReadonly) return;
    yield* this.#beginIfPutOff();
    yield* this.#writer.flush();
  }

  /** Starts what makes everything appended so far durable. */
  *#submitting(): IoRoutine<LogEnd> {
    // What another process has written is not this one's to make durable.
    if (this.#isReadonly) return { ...this.#writer.appended, lastLsn: this.durableLsn };
    if (this.#noSpace !== undefined) yield* this.#beginIfPutOff();
    const submitted = this.#writer.appended;
    yield* this.#writer.submit();
    return submitted;
  }

  /** Waits until what was submitted is durable. */
  async #durable(submitted: LogEnd): Promise<void> {
    if (!this.#writer.isDurable(submitted)) await runAsync(this.#world.io, this.#writer.untilDurable(submitted));
    this.#quietMark.arm();
  }

  *#truncating(truncation: IoRoutine<TruncateResult>): IoRoutine<TruncateResult> {
    const result = yield* truncation;
    if (this.#noSpace !== undefined) yield* this.#queue.join(() => this.#beginIfPutOff());
    return result;
  }

  #cutOff(lastLsn: Lsn): void {
    this.#submittedLsn = 0;
    for (const reader of this.#readers) reader.cutAfter(lastLsn);
    for (const listener of this.#cutListeners) {
      try {
        listener(lastLsn);
      } catch (error) {
        // The cut is done, whatever a listener makes of it: an uncaught exception, and no rejection of the cut.
        afterStep(() => {
          throw error;
        });
      }
    }
  }

  *#rotating(ring: KeyRing, keyId: number): IoRoutine<void> {
    ring.use(keyId);
    yield* this.#beginIfPutOff();
    yield* this.#writer.rotate();
  }

  #ringToRotate(): KeyRing {
    this.#throwUnlessWritable();
    const ring = this.encryptionRing;
    if (ring !== undefined) return ring;
    throw new WalError(
      'WAL_STATE',
      `the log in ${this.directory} has no key ring: open it with one, or set one before`,
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

  /** Refuses records until a cut is done: they would get LSNs that it drops. */
  async #cutting<T>(nextLsn: Lsn, cut: () => Promise<T>): Promise<T> {
    this.#cuts.push(nextLsn);
    try {
      return await cut();
    } finally {
      this.#cuts.splice(this.#cuts.indexOf(nextLsn), 1);
    }
  }

  /** The same for a call that blocks: what it drives along may call functions of the application. */
  #cuttingSync<T>(nextLsn: Lsn, cut: () => T): T {
    this.#cuts.push(nextLsn);
    try {
      return cut();
    } finally {
      this.#cuts.splice(this.#cuts.indexOf(nextLsn), 1);
    }
  }

  /** Has retention look after the log in the background. A failure of it is in `failure`. */
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

  /** Makes the segment for which there was no room when the log was opened. */
  *#beginIfPutOff(): IoRoutine<void> {
    if (this.#noSpace === undefined) return;
    try {
      yield* this.#truncation.settleCheckpoint();
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
    // What is appended during the flush may be in no file yet.
    const { position: end } = this.#writer;
    yield* this.#writer.flush();
    return yield* lsnBefore(this.#world.io, this.#writer.chain, position, end);
  }

  #reading(from: Lsn | 'first', options: ReadOptions): Replay {
    const checked = checkReadOptions(options);
    // What is the last record is asked when an iteration begins, not when its turn comes.
    const begin = (to: Lsn, blocking: boolean) => () => this.#beginReading(from, to, checked, blocking);
    return new Replay(
      this.#world.io,
      () => this.#run(begin(this.lastLsn, false)),
      () => this.#runSync(begin(this.lastLsn, true)),
    );
  }

  *#beginReading(
    from: Lsn | 'first',
    last: Lsn,
    { to, ...options }: CheckedReadOptions,
    blocking: boolean,
    /** Little is read, so that a mapping would cost more than a read. */
    isBrief = false,
  ): IoRoutine<LogReader> {
    const failed = this.#writer.failure !== undefined;
    const isWritten = Math.min(last, to) <= this.#writer.writtenLsn;
    if (!isWritten && !failed && !this.#isReadonly) yield* this.#writer.flush();
    const { firstLsn } = this;
    const lsn = from === 'first' ? firstLsn : from;
    // A truncation may have come before.
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
    const { chain, sealed, active, durableLsn, writtenLsn } = this.#writer;
    const first = Math.max(0, countWhile(chain, (segment) => segment.header.firstLsn <= lsn) - 1);
    const reader = new LogReader(this.#world.io, {
      segments: sealed.viewFrom(first, active),
      sealed: isBrief ? 0 : Math.max(0, this.#unwritten(sealed) - first),
      from: lsn,
      to: Math.min(last, to, failed ? durableLsn : writtenLsn),
      ...options,
      decoding: { ...this.decoding, keyRing: this.encryptionRing },
      blocking,
      firstLsn: () => (this.#isReadonly ? firstListedLsn(this.#world.io, this.directory) : this.firstLsn),
      isBesideWriter: this.#isReadonly,
      onClose: (closed) => this.#readers.delete(closed),
    });
    this.#readers.add(reader);
    if (this.#state !== 'open') reader.end();
    return reader;
  }

  /** How many segments are not written to any more: the newest one may have its writer elsewhere. */
  #unwritten(sealed: Segments): number {
    return this.#isReadonly ? sealed.length - 1 : sealed.length;
  }

  /** What a reader beside the log needs to understand its records, such as a `LogTail`. */
  get decoding(): Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes' | 'encryptedFrom'> {
    const { allowPlaintext, maxPayloadBytes } = this.#settings;
    const encryptedFrom = (): Lsn | undefined => this.#writer.encryptedFrom;
    // It is asked for anew with each segment: the log may be given its ring after a tail has begun.
    const keyRing = (): KeyRing | undefined => this.encryptionRing;
    return { keyRing, allowPlaintext, maxPayloadBytes, encryptedFrom };
  }

  #markQuiet(): void {
    // A failure of it is not lost: it is in `failure`, and everything after it is refused.
    this.#queue.run(() => this.#writer.mark(MarkType.idle)).catch(() => {});
  }

  /** Tries again to make the segment for which there was no room; what is appended meanwhile is refused. */
  #retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#queue
      .run(() => this.#beginIfPutOff())
      .catch(() => {})
      .finally(() => {
        this.#retrying = false;
      });
  }

  #run<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(this.#closedError());
    return this.#queue.run(make);
  }

  #runSync<T>(make: () => IoRoutine<T>): T {
    if (this.#state !== 'open') throw this.#closedError();
    return this.#queue.runSync(make);
  }

  #runUpkeep<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(this.#closedError());
    if (this.#isReadonly) return Promise.reject(this.#readonlyError());
    return this.#maintenanceQueue.run(make);
  }

  #runUpkeepSync<T>(make: () => IoRoutine<T>): T {
    if (this.#state !== 'open') throw this.#closedError();
    if (this.#isReadonly) throw this.#readonlyError();
    // It may have to join the lane of the groups.
    this.#queue.requireTurn();
    return this.#maintenanceQueue.runSync(make);
  }

  /** @throws when the log is not to be changed: a cut that is refused for that is never under way */
  #throwUnlessOwned(): void {
    this.#throwUnlessOpen();
    if (this.#isReadonly) throw this.#readonlyError();
  }

  /** @throws when the log takes no records now */
  #throwUnlessWritable(): void {
    this.#throwUnlessOwned();
    if (this.#cuts.length > 0) throw this.#cutError();
  }

  /** @throws when records could be in the log that were appended without the ring that it is to have */
  #throwUnlessUnused(): void {
    this.#throwUnlessOpen();
    this.#writer.throwIfFailed();
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
    const what = 'a truncateAfter or resetTo is under way: nothing was appended; await it first';
    return new WalError('WAL_STATE', what, { path: this.directory, state: 'truncating' });
  }

  #checkReachable(lsn: Lsn): void {
    if (checkLsn('lsn', lsn) > this.nextLsn) throw outOfRange('lsn', `at most ${this.nextLsn}, the next LSN`, lsn);
  }

  /**
   * The first LSN that a call takes for no record that is there now. Behind where a cut under way leaves the log to go on the
   * LSNs are those of other records when the call has its turn, which is behind the cut's.
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

  /** Whether a record was given out. @throws when it is gone, or cannot be one */
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
    this.#writer.throwIfFailed();
    const { maxPayloadBytes } = this.#settings;
    if (payload > maxPayloadBytes) throw tooLarge('payload', payload, maxPayloadBytes);
    if (meta > MAXIMUM_META_BYTES) throw tooLarge('meta', meta, MAXIMUM_META_BYTES);
    this.#checkRoom(recordFrameBytes(payload, meta, scoped));
  }

  /** @throws when a batch cannot be appended now */
  #checkBatch(records: readonly RecordBody[], sizeBytes: number): void {
    this.#writer.throwIfFailed();
    const { maxPayloadBytes } = this.#settings;
    for (const { payload } of records) {
      if (payload.length > maxPayloadBytes) throw tooLarge('payload', payload.length, maxPayloadBytes);
    }
    if (sizeBytes > BATCH_BYTES_MOST) throw tooLarge('batch', sizeBytes, BATCH_BYTES_MOST);
    this.#checkRoom(sizeBytes);
  }

  /** @throws `WAL_NO_SPACE` or `WAL_BACKPRESSURE` when there is no room for so much, on the disk or in memory */
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

/** What depends on the backend. Real files stay where they are when the process changes its working directory. */
function settle(config: CheckedConfig, io: StorageIo): Settings {
  const preallocate = config.preallocate ?? (writesSideBySide(io) ? 'write' : 'none');
  return {
    ...config,
    directory: io.capabilities.realFiles ? resolve(config.directory) : config.directory,
    preallocate,
    recycleSegments: config.recycleSegments ?? (preallocate === 'none' ? 0 : 1),
  };
}

/** The backend that a configuration gives or names, and whether its life ends with the log's. */
function backendOf({ io = 'auto' }: SegmentedWalConfig, needs: 'async' | 'wait'): { io: StorageIo; owned: boolean } {
  if (typeof io === 'string') return { io: openStorageIo(io, { needs }), owned: true };
  if (typeof io?.submitWrite !== 'function') throw invalidType('io', 'a StorageIo or the name of a backend', io);
  return { io, owned: false };
}

/** How a log is closed. */
export interface CloseOptions {
  /** Drop what was appended and not yet handed to the operating system. Default `false`. */
  readonly discard?: boolean;
}

function checkClose(options: CloseOptions): boolean {
  const { discard = false } = checkOptions('options', options, ['discard']);
  return checkBoolean('discard', discard);
}

/** A routine that only waits for its turn. */
function* nothing(): IoRoutine<void> {}

function beginningOf({ start }: OpenedLog): Checkpoint {
  return start.checkpoint ?? { logId: start.logId, firstSegment: 1, checkpointLsn: 0, holds: {} };
}

function tooLateForRing(directory: string): WalError {
  return new WalError(
    'WAL_STATE',
    `something was appended to the log in ${directory} already: set the key ring before the first append, or open the log ` +
      'with it',
    { path: directory, state: 'appended' },
  );
}

function emptyBatch(): WalError {
  return new WalError('WAL_EMPTY_BATCH', 'the batch has no record: add one before it is appended');
}

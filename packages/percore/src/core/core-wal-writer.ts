import { WalError } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkMemory,
  checkOptions,
  checkPath,
  checkText,
  invalidType,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import {
  type Environment,
  type RecoveryReport,
  type SegmentedWal,
  type SegmentedWalConfig,
  systemEnvironment,
  type TruncateResult,
} from '@walstack/segmented';
import { checkKnown, checkRecoveryMode, type LogOptions, logConfigOf, type PerCoreRecoveryMode } from '../options.js';
import { readManifest, writeManifest } from '../recovery/manifest.js';
import { type Committed, checkCommit, encodeCommit, type Offsets } from './commit.js';
import { CommitLedger, type CommitPlaces, withCommitsSince } from './commit-ledger.js';
import { checkCoreId, coreDirectory } from './core-directory.js';
import { type CoreState, initialState } from './core-state.js';
import {
  closeQuietly,
  type DualModeRoutine,
  runDualModeAsync,
  runDualModeSync,
  wait,
  waitForIo,
} from './dual-mode-routine.js';
import { ENTRY_HEADER_BYTES, encodeBarrier, encodeCheckpointId, OperationCode, writeEntryHeader } from './entry.js';
import { checkEpochsLeft, EPOCH_MAX, halvesOf, SharedEpochs } from './epochs.js';
import { managedLog, openStandalone, type StandaloneLog } from './open-core-log.js';

/** How a {@link CoreWalWriter} is opened: the options of its segments, and the epochs that it shares with other writers. */
export interface CoreWalWriterOptions extends LogOptions, Pick<SegmentedWalConfig, 'create' | 'io' | 'salvageLsn'> {
  /** The epochs that all writers of a per-core log share. Default: epochs of its own, advanced by setting `epoch`. */
  readonly epochs?: SharedEpochs;
  /**
   * What to do when acknowledged entries are lost: `'strict'` rejects the log, `'salvage'` continues with what remains and
   * reports the loss in `recovery`. The log of a core that a manager has used is rejected in both modes: salvage the whole
   * per-core log instead, since the logs of other cores may have to drop entries, too. Default `'strict'`.
   */
  readonly recoveryMode?: PerCoreRecoveryMode;
}

const OPTIONS = optionNames<Omit<CoreWalWriterOptions, keyof LogOptions>>({
  create: true,
  io: true,
  epochs: true,
  recoveryMode: true,
  salvageLsn: true,
});

/** An entry to append. */
export type NewEntry =
  | { readonly operation: 'put'; readonly key: Uint8Array | string; readonly value: Uint8Array | string }
  | { readonly operation: 'delete'; readonly key: Uint8Array | string }
  | { readonly operation: 'checkpoint'; readonly checkpointId: number }
  | { readonly operation: 'epochBarrier'; readonly last?: boolean }
  | { readonly operation: 'commit'; readonly offsets: Offsets; readonly watermark?: number | bigint };

/** The end of an epoch in the log of one core. */
export interface Barrier {
  /** The epoch that ends with it. */
  readonly epoch: number;
  readonly lsn: number;
  /** The position after the barrier. */
  readonly position: number;
  /** When it was appended, microseconds since the Unix epoch. */
  readonly timestampUs: number;
  /** What was committed before it. */
  readonly committed: Committed;
}

/** A barrier, with the facts that only its manager needs. */
export interface KnownBarrier extends Barrier {
  readonly commitPlaces: CommitPlaces;
  /** It is the last barrier of the core. */
  readonly retired: boolean;
}

/** A submitted sync whose completion was not seen yet, and the end of what it covers. */
interface PendingSync {
  readonly lsn: number;
  readonly position: number;
}

/** The size of the memory in which entries are encoded; a longer entry, header included, gets a temporary buffer. */
const SCRATCH_BYTES = 64 * 1024;

/** The needs of a log that no manager has. */
const NOTHING_NEEDED: Pick<StandaloneNeeds, 'neededFrom' | 'inCheckpoint'> = {
  neededFrom: Number.POSITIVE_INFINITY,
  inCheckpoint: false,
};

/** A value that no upper half of an epoch has: the shared epoch was not read yet. */
const EPOCH_NOT_READ = -1;

const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

/** Makes a writer over an open log whose state is known. For this package only. */
export let writerOver: (log: SegmentedWal, coreId: number, state: CoreState, options: WriterOptions) => CoreWalWriter;

/**
 * Appends a barrier before an epoch, even if the log ends with one, and returns the state of the log after it. For this
 * package only.
 */
export let beginEpoch: (writer: CoreWalWriter, epoch: number, last: boolean) => CoreState;

/** The durable LSN of the log itself, which {@link CoreWalWriter.markSynced} does not move. For this package only. */
export let durableLsnOf: (writer: CoreWalWriter) => number;

/** Removes what was committed before the barrier with an LSN. For this package only. */
export let forgetCommitted: (writer: CoreWalWriter, lsn: number) => void;

/**
 * The barrier that ends an epoch in a log: the barrier of that epoch, or the last barrier of a core that appended it in that
 * epoch or an earlier one; `undefined` when there is neither. For this package only.
 */
export let barrierOf: (writer: CoreWalWriter, epoch: number) => KnownBarrier | undefined;

/** The log of a writer. For this package only. */
export let logOf: (writer: CoreWalWriter) => SegmentedWal;

/** The options of a writer over an open log. */
interface WriterOptions extends Pick<CoreWalWriterOptions, 'epochs' | 'now'> {
  /** It belongs to a manager, which decides what is truncated. */
  readonly managed?: boolean;
  /** It was opened without its manager: what the per-core log needs. */
  readonly standalone?: StandaloneNeeds;
}

/** What the per-core log needs of a writer that was opened without its manager. */
interface StandaloneNeeds extends Pick<StandaloneLog, 'neededFrom' | 'inCheckpoint'> {
  /** The directory of the per-core log. */
  readonly directory: string;
}

/**
 * The writer of one core. It has a log of its own in the directory `core-<id>`, so that threads which append at the same
 * time share nothing but the number of the current epoch.
 *
 * `append…` encodes into memory and returns the position after the entry; `sync` makes everything appended durable. A
 * writer never waits for another one.
 *
 * One thread owns a writer: it is opened and used in the thread that appends.
 */
export class CoreWalWriter {
  readonly coreId: number;
  readonly #log: SegmentedWal;
  readonly #epochs: SharedEpochs | undefined;
  readonly #now: Environment['now'];
  /** The epoch of the entries that are appended; every epoch before it has its barrier. */
  #epoch: number;
  /** The epoch that was set, or read from shared memory; it takes effect with the next entry. */
  #wantedEpoch: number;
  /** The halves of the shared epoch when it was last read. */
  #epochLow = 0;
  #epochHigh = EPOCH_NOT_READ;
  #timestampUs: number;
  readonly #ledger: CommitLedger;
  readonly #managed: boolean;
  readonly #standalone: StandaloneNeeds | undefined;
  /** The manifest was written again and synced: no crash can replace it with an earlier one. */
  #isManifestDurable = false;
  #barrier: KnownBarrier | undefined;
  #barrierBefore: KnownBarrier | undefined;
  #position: number;
  #syncedPosition: number;
  #syncedLsn: number;
  #pending: PendingSync | undefined;
  #tokens = 0;
  /** An entry is being encoded; the clock that it calls must not append. */
  #isAppending = false;
  /** This writer has appended its last barrier, and rejects further entries. */
  #retired = false;
  /** The LSN of the core's last barrier, which may stem from before this writer was opened. */
  #retiredAtLsn: number | undefined;
  /** The memory in which entries are encoded, header and value. */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  /** A view of the first bytes, as many as the last entry had: entries often have the length of the one before. */
  #scratchBytes = this.#scratch;
  /** One object, reused for every entry. */
  readonly #options = { type: 0, meta: NO_BYTES };

  private constructor(
    log: SegmentedWal,
    coreId: number,
    state: CoreState,
    { epochs, now = systemEnvironment.now, managed = false, standalone }: WriterOptions,
  ) {
    this.coreId = coreId;
    this.#log = log;
    this.#epochs = epochs;
    this.#now = now;
    // Entries after the last barrier belong to an epoch that has no barrier yet.
    this.#epoch = Math.max(state.epoch, state.barrierEpoch + 1);
    this.#wantedEpoch = this.#epoch;
    if (epochs !== undefined && epochs.current < this.#epoch) {
      throw outOfRange('epochs', `at epoch ${this.#epoch}, to which this log has come, or later`, epochs.current);
    }
    this.#timestampUs = state.timestampUs;
    this.#ledger = new CommitLedger(state.committed, state.commitPlaces);
    this.#managed = managed;
    this.#standalone = standalone;
    this.#retiredAtLsn = state.retired ? state.lsn : undefined;
    this.#position = log.position;
    this.#syncedPosition = log.position;
    this.#syncedLsn = log.lastLsn;
  }

  static {
    writerOver = (log, coreId, state, options) => new CoreWalWriter(log, coreId, state, options);
    beginEpoch = (writer, epoch, last) => {
      writer.#beginEpoch(epoch, last);
      writer.#wantedEpoch = epoch;
      return {
        ...initialState(writer.lastLsn),
        ...writer.#stateAtBarrier(),
        retired: last,
        retiredByManager: last,
        used: true,
      };
    };
    durableLsnOf = (writer) => writer.#log.durableLsn;
    forgetCommitted = (writer, lsn) => writer.#forgetCommitted(lsn);
    barrierOf = (writer, epoch) => writer.#barrierOf(epoch);
    logOf = (writer) => writer.#log;
  }

  /**
   * Opens and recovers the log of a core, or creates one. What it finds is durable on return.
   *
   * @param coreId - 0 to 2^32 − 2
   * @param directory - of the per-core log, which contains the directory `core-<id>` of the core
   * @throws what `SegmentedWal.open` throws; `WAL_BAD_HEADER` when the log belongs to another core; `WAL_CORRUPT` for
   * records that are not entries, and when the manifest of a manager shows that the log, or a part of it, is lost;
   * `RangeError` for shared epochs that are behind those of the log
   */
  static open(coreId: number, directory: string, options: CoreWalWriterOptions = {}): Promise<CoreWalWriter> {
    return runDualModeAsync(opening(coreId, directory, options));
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(coreId: number, directory: string, options: CoreWalWriterOptions = {}): CoreWalWriter {
    return runDualModeSync(opening(coreId, directory, options));
  }

  /**
   * Opens the log of a core and permanently drops everything after a position. The writer continues in a new segment:
   * {@link position} is the first position of that segment.
   *
   * @param position - 0, or one that an append has returned
   * @throws `WAL_RANGE` past the end or inside an entry, `WAL_TRUNCATED` when the log begins later, `WAL_STATE` when a
   * manager has ended an epoch after that position, since the epochs of all cores need that barrier to be complete. In
   * these cases nothing is dropped. Also what {@link open} throws
   */
  static openAt(
    coreId: number,
    directory: string,
    position: number,
    options: CoreWalWriterOptions = {},
  ): Promise<CoreWalWriter> {
    return runDualModeAsync(opening(coreId, directory, options, position));
  }

  /** Like {@link openAt}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openAtSync(
    coreId: number,
    directory: string,
    position: number,
    options: CoreWalWriterOptions = {},
  ): CoreWalWriter {
    return runDualModeSync(opening(coreId, directory, options, position));
  }

  /** The directory of this core's log. */
  get directory(): string {
    return this.#log.directory;
  }

  /** What opening the log found and did. */
  get recovery(): RecoveryReport {
    return this.#log.recovery;
  }

  /** The position after the last entry, in bytes of this core's log, durable or not. It never decreases. */
  get position(): number {
    return this.#position;
  }

  /**
   * Every entry before this position survives a crash, as established by a sync of this writer or by a call of
   * {@link markSynced}. This is the position to note in a manifest.
   */
  get syncedPosition(): number {
    return this.#syncedPosition;
  }

  /** The number of entries after {@link syncedPosition}, barriers included. */
  get entriesSinceSync(): number {
    return this.#log.lastLsn - this.#syncedLsn;
  }

  /** Whether a sync was submitted whose completion {@link checkCompletions} has not seen yet. */
  get isSyncPending(): boolean {
    return this.#pending !== undefined;
  }

  /** The LSN of the last entry; one less than that of the first when there is none. */
  get lastLsn(): number {
    return this.#log.lastLsn;
  }

  /** The last barrier that was appended since this writer was opened; `undefined` before the first. */
  get barrier(): Barrier | undefined {
    return this.#barrier;
  }

  /** What was committed last, by this writer or before the log was opened. */
  get committed(): Committed {
    return this.#ledger.committed;
  }

  /** The failure after which the writer accepts nothing more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#log.failure;
  }

  /** The epoch that the next entry belongs to. With shared epochs, the current epoch of all writers. */
  get epoch(): number {
    return this.#epochs?.current ?? this.#wantedEpoch;
  }

  /**
   * Begins a later epoch. The next entry is its first, and a barrier is appended before that entry.
   *
   * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for an earlier one; `WAL_STATE` with shared epochs, which only their
   * coordinator advances
   */
  set epoch(epoch: number) {
    if (this.#epochs !== undefined) {
      throw new WalError('WAL_STATE', 'the epochs of this writer are shared: only their coordinator advances them', {
        state: 'shared-epochs',
      });
    }
    if (typeof epoch !== 'number') throw invalidType('epoch', 'a number', epoch);
    if (!Number.isSafeInteger(epoch) || epoch < this.#wantedEpoch || epoch > EPOCH_MAX) {
      throw outOfRange('epoch', `an integer from ${this.#wantedEpoch}, the present epoch, to ${EPOCH_MAX}`, epoch);
    }
    this.#wantedEpoch = epoch;
  }

  /**
   * Sets the value of a key. Like every `append…`, not durable on return: see {@link sync}.
   *
   * @param key - at most 65,535 bytes; a string is UTF-8. May be empty.
   * @param value - copied before the call returns; may be empty
   * @returns the position after the entry
   * @throws `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure; `TypeError`.
   * Then the entry was not appended.
   */
  appendPut(key: Uint8Array | string, value: Uint8Array | string): number {
    const keyBytes = bytesOf('key', key);
    const valueBytes = bytesOf('value', value);
    this.#enterEpoch();
    return this.#append(OperationCode.put, keyBytes, valueBytes);
  }

  /** Removes a key. @returns the position after the entry @throws like {@link appendPut} */
  appendDelete(key: Uint8Array | string): number {
    const bytes = bytesOf('key', key);
    this.#enterEpoch();
    return this.#append(OperationCode.delete, bytes, NO_BYTES);
  }

  /**
   * Records a checkpoint of the application. The checkpoints of a manager are in its manifest instead.
   *
   * @param checkpointId - a safe integer of at least 0
   * @returns the position after the entry
   * @throws like {@link appendPut}
   */
  appendCheckpoint(checkpointId: number): number {
    if (typeof checkpointId !== 'number') throw invalidType('checkpointId', 'a number', checkpointId);
    if (!Number.isSafeInteger(checkpointId) || checkpointId < 0) {
      throw outOfRange('checkpointId', 'a safe integer of at least 0', checkpointId);
    }
    const value = encodeCheckpointId(checkpointId);
    this.#enterEpoch();
    return this.#append(OperationCode.checkpoint, NO_BYTES, value);
  }

  /**
   * Ends an epoch in this log: no later entry belongs to it or to an earlier epoch. With shared epochs, it ends the epoch
   * before the current one, and appends nothing when that has its barrier already. With epochs of its own, it ends the epoch
   * before {@link epoch} if that was set to a later one and nothing was appended since; otherwise it ends {@link epoch}
   * itself, and the next epoch begins.
   *
   * @param options - `last`: ends the current epoch, and declares that the core appends nothing more until it is opened
   * again, so that later epochs do not wait for it. Default `false`.
   * @returns the position after the last entry
   * @throws like {@link appendPut}
   */
  appendEpochBarrier(options: { readonly last?: boolean } = {}): number {
    const { last = false } = checkOptions('options', options, ['last']);
    checkBoolean('last', last);
    if (this.#retired) throw coreRetired(this.coreId);
    if (last) {
      // Append the barrier of the epoch before first if it is missing: the manager may be about to ask for it.
      if (this.#epochs !== undefined) this.#enterEpoch();
      // Based on the epoch entered above: the shared one may have advanced since.
      this.#beginEpoch(Math.max(this.#wantedEpoch, this.#epoch) + 1, true);
    } else {
      if (this.#epochs === undefined) {
        checkEpochsLeft(this.#epoch + 1);
        this.#wantedEpoch = Math.max(this.#wantedEpoch, this.#epoch + 1);
      }
      this.#enterEpoch();
    }
    return this.#position;
  }

  /**
   * Commits how far sources were read by the entries appended before. Recovery returns what was committed last.
   *
   * @param offsets - by the name of the source, at most 65,535 bytes of UTF-8; unsigned, 64 bits. Sources that are not
   * named keep their offsets.
   * @param watermark - signed, 64 bits. Default: unchanged.
   * @returns the position after the entry
   * @throws like {@link appendPut}; `RangeError`
   */
  appendCommit(offsets: Offsets, watermark?: number | bigint): number {
    const commit = checkCommit(offsets, watermark);
    const value = encodeCommit(commit);
    this.#enterEpoch();
    const position = this.#append(OperationCode.commit, NO_BYTES, value);
    this.#ledger.add(commit, this.#epoch, this.#log.lastLsn);
    return position;
  }

  /** Appends an entry of any kind, like the method for that kind. @throws what that method throws */
  append(entry: NewEntry): number {
    if (typeof entry !== 'object' || entry === null) throw invalidType('entry', 'an object', entry);
    switch (entry.operation) {
      case 'put':
        return this.appendPut(entry.key, entry.value);
      case 'delete':
        return this.appendDelete(entry.key);
      case 'checkpoint':
        return this.appendCheckpoint(entry.checkpointId);
      case 'epochBarrier':
        return this.appendEpochBarrier(entry.last === undefined ? {} : { last: entry.last });
      case 'commit':
        return this.appendCommit(entry.offsets, entry.watermark);
      default:
        throw outOfRange('entry.operation', "'put', 'delete', 'checkpoint', 'epochBarrier' or 'commit'", entry);
    }
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  flush(): Promise<void> {
    return this.#log.flush();
  }

  /** Like {@link flush}, blocking the thread. */
  flushSync(): void {
    this.#log.flushSync();
  }

  /**
   * Makes everything appended so far durable. Calls during a running sync share the next one.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: final, the writer accepts nothing more; `WAL_CLOSED`
   */
  async sync(): Promise<void> {
    const boundary = this.#boundary();
    await this.#log.sync();
    this.#synced(boundary);
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    const boundary = this.#boundary();
    this.#log.syncSync();
    this.#synced(boundary);
  }

  /**
   * Begins to make everything appended so far durable, and returns at once, with nothing durable yet. A backend that works
   * inside the call (`sync-fs`, `memory`) does the first step here. {@link checkCompletions} returns whether it is done.
   *
   * @returns a token, which increases with each call on this writer
   * @throws `WAL_STATE` while one is pending; `WAL_CLOSED`, the code of the first failure
   */
  submitSync(): number {
    if (this.#pending !== undefined) {
      throw new WalError('WAL_STATE', 'a sync is pending: call checkCompletions() until it is done', {
        state: 'sync-pending',
      });
    }
    const boundary = this.#boundary();
    this.#log.submitSync();
    this.#pending = boundary;
    return ++this.#tokens;
  }

  /**
   * Processes the completions of the backend without waiting, and checks whether the submitted sync is done. If it is,
   * {@link syncedPosition} becomes the {@link position} of when the sync was submitted. On a thread pool, completions
   * arrive only when the event loop turns.
   *
   * @returns whether a sync was pending and is done now
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it has failed: final, the writer accepts nothing more; `WAL_CLOSED`
   */
  checkCompletions(): boolean {
    const pending = this.#pending;
    try {
      const done = this.#log.checkCompletions(pending?.lsn ?? 0);
      if (pending === undefined || !done) return false;
    } catch (error) {
      this.#pending = undefined;
      throw error;
    }
    this.#pending = undefined;
    this.#synced(pending);
    return true;
  }

  /**
   * Treats everything appended so far as synced, because another writer has synced it. This moves {@link syncedPosition}
   * and nothing else: the durable LSN that the log records comes only from this writer's own syncs.
   */
  markSynced(): void {
    this.#synced(this.#boundary());
  }

  /**
   * Removes the segments whose entries are all below an LSN; the removal is durable on return. Offsets, watermark and epoch
   * that only the removed entries hold are appended again before, so that a later opening finds them. Entries with offsets
   * of ended epochs stay until the epoch in which those offsets are appended again has ended, too.
   *
   * @throws `WAL_STATE` for a log that a manager has open, or whose manager needs what would be removed, because of its last
   * checkpoint or because there is none; `WAL_NO_SPACE` when there is no space to record the new first LSN; what
   * {@link appendCommit} throws
   */
  truncateBefore(lsn: number): Promise<TruncateResult> {
    return runDualModeAsync(this.#truncating(lsn));
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: number): TruncateResult {
    return runDualModeSync(this.#truncating(lsn));
  }

  /** Makes everything durable, marks the log as closed cleanly and releases its lock. Idempotent. */
  async close(): Promise<void> {
    await this.#log.close();
  }

  /** Like {@link close}, blocking the thread. */
  closeSync(): void {
    this.#log.closeSync();
  }

  /** Closes the writer: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the writer: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  *#truncating(lsn: number): DualModeRoutine<TruncateResult> {
    const log = this.#log;
    const { before, appended } = this.#carryOver(lsn);
    if (appended || !this.#isRestatedFrom(before)) {
      yield* wait(
        () => log.syncSync(),
        () => log.sync(),
      );
    }
    if (this.#standalone?.inCheckpoint === true) yield* this.#makeManifestDurable(this.#standalone);
    else if (this.#removes(before)) {
      // An empty log with a checkpoint was not emptied by a manager, so no manifest is missing.
      yield* wait(
        () => log.checkpointSync(before - 1),
        () => log.checkpoint(before - 1),
      );
    }
    return yield* wait(
      () => log.truncateBeforeSync(before),
      () => log.truncateBefore(before),
    );
  }

  /** The sync after the manifest's rename may have failed: a crash could then restore a manifest that needs the entries. */
  *#makeManifestDurable({ directory }: StandaloneNeeds): DualModeRoutine<void> {
    if (this.#isManifestDurable) return;
    const { io } = this.#log;
    // No manager is open, as this writer has the log locked. Other writers may write the same manifest at the same time.
    const manifest = yield* waitForIo(io, () => readManifest(io, directory));
    const draft = `manifest-${this.coreId}.new`;
    if (manifest !== undefined) yield* waitForIo(io, () => writeManifest(io, directory, manifest, draft));
    this.#isManifestDurable = true;
  }

  /** Whether durable entries from an LSN on hold all commits, given that no sync may have covered the last entries yet. */
  #isRestatedFrom(lsn: number): boolean {
    const { durableLsn } = this.#log;
    return !this.#removes(lsn) || (durableLsn >= lsn && durableLsn >= this.#ledger.lastLsn);
  }

  /** Whether there is a segment whose entries are all below an LSN. */
  #removes(lsn: number): boolean {
    const log = this.#log;
    return log.firstLsn <= log.lastLsn && lsn <= log.nextLsn && (log.listSegments()[0]?.lastLsn ?? 0) < lsn;
  }

  /**
   * Appends again the commits that only the entries to be removed hold. Without space for that, these entries stay.
   *
   * @returns the LSN to truncate before, and whether a commit was appended
   */
  #carryOver(lsn: number): { readonly before: number; readonly appended: boolean } {
    checkLsn('lsn', lsn);
    if (this.#managed) throw managedLog(this.coreId, 'its manager truncates it with each checkpoint');
    const { neededFrom, inCheckpoint } = this.#standalone ?? NOTHING_NEEDED;
    if (lsn > neededFrom) {
      throw managedLog(this.coreId, `its manager needs the entries from LSN ${neededFrom} on`);
    }
    const log = this.#log;
    const ledger = this.#ledger;
    // The checkpoint holds what was committed before it.
    if (inCheckpoint || !this.#removes(lsn)) return { before: lsn, appended: false };
    const oldest = Math.min(ledger.neededFrom, log.lastLsn);
    // Recovery may drop the current epoch as incomplete: what was committed before it must remain in the log.
    const ended = ledger.endedFrom(this.#epoch);
    const before = Math.min(lsn, ended);
    if (lsn <= oldest) return { before, appended: false };
    // Nothing may follow the last barrier of a core: later epochs would wait for the core again.
    if (this.#retiredAtLsn === log.lastLsn) return { before: Math.min(oldest, ended), appended: false };
    try {
      this.#append(OperationCode.commit, NO_BYTES, encodeCommit(ledger.committed));
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return { before: Math.min(oldest, ended), appended: false };
    }
    ledger.add(ledger.committed, this.#epoch, log.lastLsn);
    return { before, appended: true };
  }

  /** Appends the barrier that precedes the first entry of an epoch, when a new epoch has begun. */
  #enterEpoch(): void {
    if (this.#retired) throw coreRetired(this.coreId);
    const epochs = this.#epochs;
    if (epochs !== undefined) {
      if (epochs.isAt(this.#epochLow, this.#epochHigh)) return;
      this.#wantedEpoch = epochs.current;
      if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
      [this.#epochLow, this.#epochHigh] = halvesOf(this.#wantedEpoch);
    } else if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
  }

  /** Appends the barrier before an epoch. The barrier belongs to the epoch that it ends. */
  #beginEpoch(epoch: number, last: boolean): void {
    const value = encodeBarrier(last, this.#managed);
    const position = this.#append(OperationCode.epochBarrier, NO_BYTES, value, epoch - 1);
    this.#epoch = epoch;
    this.#retired = last;
    const { lastLsn: lsn } = this.#log;
    if (last) this.#retiredAtLsn = lsn;
    const { committed, places: commitPlaces } = this.#ledger;
    this.#barrierBefore = this.#barrier;
    this.#barrier = {
      epoch: epoch - 1,
      lsn,
      position,
      timestampUs: this.#timestampUs,
      committed,
      commitPlaces,
      retired: last,
    };
    if (last) this.#ledger.markRetired();
  }

  #forgetCommitted(lsn: number): void {
    this.#ledger.forgetBefore(lsn);
    this.#barrier &&= withCommitsSince(this.#barrier, lsn);
    this.#barrierBefore &&= withCommitsSince(this.#barrierBefore, lsn);
  }

  #barrierOf(epoch: number): KnownBarrier | undefined {
    const last = this.#barrier;
    if (last === undefined) return undefined;
    if (last.epoch === epoch || (last.retired && last.epoch < epoch)) return last;
    // The core appended its last barrier in the epoch after this one: this barrier is the one before it.
    return this.#barrierBefore?.epoch === epoch ? this.#barrierBefore : undefined;
  }

  #append(operation: number, key: Uint8Array, value: Uint8Array, epoch = this.#epoch): number {
    // An entry appended by the clock would overwrite the epoch and the memory of the entry being encoded.
    if (this.#isAppending) throw appendWithinAppend(this.coreId);
    this.#isAppending = true;
    try {
      return this.#encode(operation, key, value, epoch);
    } finally {
      this.#isAppending = false;
    }
  }

  #encode(operation: number, key: Uint8Array, value: Uint8Array, epoch: number): number {
    const bytes = this.#scratchFor(ENTRY_HEADER_BYTES + value.length);
    const view = bytes === this.#scratchBytes ? this.#scratchView : new DataView(bytes.buffer);
    const timestampUs = this.#time();
    writeEntryHeader(view, operation, this.coreId, epoch, this.#log.nextLsn, timestampUs);
    bytes.set(value, ENTRY_HEADER_BYTES);
    this.#options.type = operation;
    this.#options.meta = key;
    try {
      this.#log.append(bytes, this.#options);
    } catch (error) {
      throw withoutHeader(error, bytes.length);
    }
    this.#timestampUs = timestampUs;
    this.#position = this.#log.position;
    return this.#position;
  }

  /** Never decreases, and stays within what an entry can hold: for an invalid time of the clock, the last time is repeated. */
  #time(): number {
    const time = Math.floor(this.#now() * 1000);
    return time > this.#timestampUs ? Math.min(time, Number.MAX_SAFE_INTEGER) : this.#timestampUs;
  }

  #scratchFor(length: number): Uint8Array<ArrayBuffer> {
    if (length > SCRATCH_BYTES) return new Uint8Array(length);
    if (length !== this.#scratchBytes.length) this.#scratchBytes = new Uint8Array(this.#scratch.buffer, 0, length);
    return this.#scratchBytes;
  }

  #stateAtBarrier(): Pick<CoreState, 'epoch' | 'barrierEpoch' | 'timestampUs' | 'committed' | 'commitPlaces'> {
    const ended = this.#epoch - 1;
    const { committed, places: commitPlaces } = this.#ledger;
    return { epoch: ended, barrierEpoch: ended, timestampUs: this.#timestampUs, committed, commitPlaces };
  }

  #boundary(): PendingSync {
    return { lsn: this.#log.lastLsn, position: this.#position };
  }

  #synced({ lsn, position }: PendingSync): void {
    this.#syncedLsn = Math.max(this.#syncedLsn, lsn);
    this.#syncedPosition = Math.max(this.#syncedPosition, position);
  }
}

/** Expresses the size limit in bytes of the value; the error of the log counts the entry's header, too. */
function withoutHeader(error: unknown, bytes: number): unknown {
  if (!WalError.is(error, 'WAL_TOO_LARGE') || error.actual !== bytes || error.limit === undefined) return error;
  const [actual, limit] = [bytes - ENTRY_HEADER_BYTES, error.limit - ENTRY_HEADER_BYTES];
  const message = `a value of ${actual} bytes is over the limit of ${limit}: nothing was appended`;
  return new WalError('WAL_TOO_LARGE', message, { actual, limit }, { cause: error });
}

function appendWithinAppend(coreId: number): WalError {
  const message = `the clock of core ${coreId} cannot append: it was called for the time of another entry; nothing was appended`;
  return new WalError('WAL_STATE', message, { state: 'appending' });
}

function coreRetired(coreId: number): WalError {
  return new WalError('WAL_STATE', `core ${coreId} has appended its last barrier: open it again to append more`, {
    state: 'left',
  });
}

function* opening(
  coreId: number,
  directory: string,
  options: CoreWalWriterOptions,
  position?: number,
): DualModeRoutine<CoreWalWriter> {
  const { config, own } = configOf(coreId, directory, options);
  if (position !== undefined) checkInteger('position', position);
  const { log, state, ...needs } = yield* openStandalone(coreId, directory, config, position);
  try {
    return writerOver(log, coreId, state, { ...own, standalone: { directory, ...needs } });
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

/** The configuration of a core's log, and the options of the writer itself. */
function configOf(coreId: number, directory: string, options: CoreWalWriterOptions) {
  checkCoreId('coreId', coreId);
  checkPath('directory', directory);
  const { epochs, ...rest } = checkKnown('options', options, OPTIONS);
  checkRecoveryMode(rest.recoveryMode ?? 'strict');
  if (epochs !== undefined && !(epochs instanceof SharedEpochs)) throw invalidType('epochs', 'SharedEpochs', epochs);
  const config: SegmentedWalConfig = { ...logConfigOf(rest), directory: coreDirectory(directory, coreId), coreId };
  const own = { ...(epochs === undefined ? {} : { epochs }), ...(rest.now === undefined ? {} : { now: rest.now }) };
  return { config, own };
}

function bytesOf(name: string, value: Uint8Array | string): Uint8Array {
  if (typeof value === 'string') return encoder.encode(checkText(name, value));
  return checkMemory(name, value, 'a Uint8Array or a string');
}

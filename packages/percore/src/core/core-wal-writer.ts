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
  WalError,
} from '@walstack/codec';
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
import { closeQuietly, type Steps, stepsAsync, stepsSync, wait, waitFor } from './dual-mode-routine.js';
import { ENTRY_HEADER_BYTES, encodeBarrier, encodeCheckpointId, OperationCode, writeEntryHeader } from './entry.js';
import { checkEpochsLeft, halvesOf, LAST_EPOCH, SharedEpochs } from './epochs.js';
import { type LogAlone, managedLog, openAlone } from './open-core-log.js';

/** How a {@link CoreWalWriter} is opened: what its segments take, and the epochs that it shares with others. */
export interface CoreWalWriterOptions extends LogOptions, Pick<SegmentedWalConfig, 'create' | 'io' | 'salvageLsn'> {
  /** The epochs that all writers of a per-core log share. Default: this writer's own, moved by hand. */
  readonly epochs?: SharedEpochs;
  /**
   * What to do where something acknowledged is lost: `'strict'` refuses the log, `'salvage'` goes on with what is left and
   * says in `recovery` what is gone. The log of a core that a manager has had is refused all the same: salvage the whole, as
   * others may have to drop something, too. Default `'strict'`.
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

/** An entry that is to be appended. */
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
  /** Behind it. */
  readonly position: number;
  /** As of an entry. */
  readonly timestampUs: number;
  /** What had been committed before it. */
  readonly committed: Committed;
}

/** A barrier, and what else its manager needs to know. */
export interface KnownBarrier extends Barrier {
  readonly commitPlaces: CommitPlaces;
  /** It is the last one of the core. */
  readonly left: boolean;
}

/** A sync that was submitted and not yet found to be done. */
interface PendingSync {
  readonly lsn: number;
  readonly position: number;
}

/** Entries that are longer, header included, get memory of their own for a moment. */
const SCRATCH_BYTES = 64 * 1024;

/** No manager has the log. */
const NOT_NEEDED: Pick<Alone, 'neededFrom' | 'inCheckpoint'> = {
  neededFrom: Number.POSITIVE_INFINITY,
  inCheckpoint: false,
};

/** No upper half of an epoch. */
const NOT_LOOKED_AT = -1;

const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

/** Opens a writer over a log that is open, and of which everything is known. For this package only. */
export let writerOver: (log: SegmentedWal, coreId: number, state: CoreState, options: WriterOptions) => CoreWalWriter;

/**
 * Puts a barrier before an epoch by hand, also where one stands there already, and returns what is known of the log then.
 * For this package only.
 */
export let beginEpoch: (writer: CoreWalWriter, epoch: number, last: boolean) => CoreState;

/** Everything up to it is durable, whatever was told to {@link CoreWalWriter.markSynced}. For this package only. */
export let durableLsnOf: (writer: CoreWalWriter) => number;

/** Forgets what was committed before the barrier with an LSN. For this package only. */
export let forgetCommitted: (writer: CoreWalWriter, lsn: number) => void;

/**
 * The barrier with which an epoch ends in a log: its own, or the last one of a core that has appended that in it or
 * before; `undefined` when there is neither. For this package only.
 */
export let barrierOf: (writer: CoreWalWriter, epoch: number) => KnownBarrier | undefined;

/** The log of a writer. For this package only. */
export let logOf: (writer: CoreWalWriter) => SegmentedWal;

/** What a writer takes besides its log. */
interface WriterOptions extends Pick<CoreWalWriterOptions, 'epochs' | 'now'> {
  /** It belongs to a manager, which says what is needed no more. */
  readonly managed?: boolean;
  /** It was opened without its manager. */
  readonly alone?: Alone;
}

/** What a writer that was opened without its manager knows of the per-core log. */
interface Alone extends Pick<LogAlone, 'neededFrom' | 'inCheckpoint'> {
  /** Of the per-core log. */
  readonly directory: string;
}

/**
 * The writer of one core: a log of its own in the directory `core-<id>`, so that threads which append at the same time have
 * nothing in common but the number of the present epoch.
 *
 * `append…` encodes into memory and returns the position behind the entry; `sync` makes everything appended durable. A
 * writer never waits for another one.
 *
 * One thread owns a writer. It is made and used in the worker thread that appends.
 */
export class CoreWalWriter {
  readonly coreId: number;
  readonly #log: SegmentedWal;
  readonly #epochs: SharedEpochs | undefined;
  readonly #now: Environment['now'];
  /** The epoch that entries are appended in, whose predecessors have their barrier. */
  #epoch: number;
  /** What was set by hand, or seen, and takes effect with the next entry. */
  #wantedEpoch: number;
  /** The shared epoch as it was looked at last, in halves. */
  #epochLow = 0;
  #epochHigh = NOT_LOOKED_AT;
  #timestampUs: number;
  readonly #ledger: CommitLedger;
  readonly #managed: boolean;
  readonly #alone: Alone | undefined;
  /** No crash takes back the manifest that says what is needed. */
  #isManifestSure = false;
  #barrier: KnownBarrier | undefined;
  #barrierBefore: KnownBarrier | undefined;
  #position: number;
  #syncedPosition: number;
  #syncedLsn: number;
  #pending: PendingSync | undefined;
  #tokens = 0;
  /** An entry is being encoded, for which the clock is asked. */
  #isAppending = false;
  /** The core has said that it appends nothing more. */
  #left = false;
  /** The LSN of the last barrier of the core, which it may have appended before it was opened. */
  #leftAt: number | undefined;
  /** Header and value of an entry, one behind the other. */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  /** The first bytes of it, as many as the last entry had: entries are often as long as those before them. */
  #scratchBytes = this.#scratch;
  /** The same object for every entry. */
  readonly #options = { type: 0, meta: NO_BYTES };

  private constructor(
    log: SegmentedWal,
    coreId: number,
    state: CoreState,
    { epochs, now = systemEnvironment.now, managed = false, alone }: WriterOptions,
  ) {
    this.coreId = coreId;
    this.#log = log;
    this.#epochs = epochs;
    this.#now = now;
    // What stands behind the last barrier belongs to an epoch that has none yet.
    this.#epoch = Math.max(state.epoch, state.barrierEpoch + 1);
    this.#wantedEpoch = this.#epoch;
    if (epochs !== undefined && epochs.current < this.#epoch) {
      throw outOfRange('epochs', `at epoch ${this.#epoch}, to which this log has come, or later`, epochs.current);
    }
    this.#timestampUs = state.timestampUs;
    this.#ledger = new CommitLedger(state.committed, state.commitPlaces);
    this.#managed = managed;
    this.#alone = alone;
    this.#leftAt = state.left ? state.lsn : undefined;
    this.#position = log.position;
    this.#syncedPosition = log.position;
    this.#syncedLsn = log.lastLsn;
  }

  static {
    writerOver = (log, coreId, state, options) => new CoreWalWriter(log, coreId, state, options);
    beginEpoch = (writer, epoch, last) => {
      writer.#beginEpoch(epoch, last);
      writer.#wantedEpoch = epoch;
      return { ...initialState(writer.lastLsn), ...writer.#known(), left: last, leftManager: last, joined: true };
    };
    durableLsnOf = (writer) => writer.#log.durableLsn;
    forgetCommitted = (writer, lsn) => writer.#forgetCommitted(lsn);
    barrierOf = (writer, epoch) => writer.#barrierOf(epoch);
    logOf = (writer) => writer.#log;
  }

  /**
   * Opens the log of a core, recovering it, or makes a new one. What is found is durable on return.
   *
   * @param coreId - 0 to 2^32 − 2
   * @param directory - of the per-core log, in which the core has the directory `core-<id>`
   * @throws what `SegmentedWal.open` throws; `WAL_BAD_HEADER` when the log is another core's; `WAL_CORRUPT` for records
   * that are no entries, and where the manifest of a manager says that the log, or a part of it, is lost; `RangeError` for epochs behind those of the log
   */
  static open(coreId: number, directory: string, options: CoreWalWriterOptions = {}): Promise<CoreWalWriter> {
    return stepsAsync(opening(coreId, directory, options));
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(coreId: number, directory: string, options: CoreWalWriterOptions = {}): CoreWalWriter {
    return stepsSync(opening(coreId, directory, options));
  }

  /**
   * Opens the log of a core and drops everything behind a position, for good. The writer goes on in a new segment:
   * {@link position} is the first position of that one.
   *
   * @param position - 0, or one that an append has returned
   * @throws `WAL_RANGE` past the end or inside an entry, `WAL_TRUNCATED` where the log begins later, `WAL_STATE` where a
   * manager has ended an epoch behind it, which epochs of all cores need to be complete: nothing is dropped then; what
   * {@link open} throws
   */
  static openAt(
    coreId: number,
    directory: string,
    position: number,
    options: CoreWalWriterOptions = {},
  ): Promise<CoreWalWriter> {
    return stepsAsync(opening(coreId, directory, options, position));
  }

  /** Like {@link openAt}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openAtSync(
    coreId: number,
    directory: string,
    position: number,
    options: CoreWalWriterOptions = {},
  ): CoreWalWriter {
    return stepsSync(opening(coreId, directory, options, position));
  }

  /** The directory of this core's log. */
  get directory(): string {
    return this.#log.directory;
  }

  /** What opening the log has found and done. */
  get recovery(): RecoveryReport {
    return this.#log.recovery;
  }

  /** The position behind the last entry, in bytes of this core's log, durable or not. It never goes back. */
  get position(): number {
    return this.#position;
  }

  /**
   * Every entry before this position survives a crash: as a sync has found, or as {@link markSynced} was told. It is what
   * belongs in a manifest.
   */
  get syncedPosition(): number {
    return this.#syncedPosition;
  }

  /** Entries behind {@link syncedPosition}, barriers included. */
  get entriesSinceSync(): number {
    return this.#log.lastLsn - this.#syncedLsn;
  }

  /** Whether a sync was submitted that {@link checkCompletions} has not found to be done. */
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

  /** What was committed last, in this life of the log or in earlier ones. */
  get committed(): Committed {
    return this.#ledger.committed;
  }

  /** The failure after which nothing is accepted any more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#log.failure;
  }

  /** The epoch that the next entry belongs to. With shared epochs, the one that all writers share now. */
  get epoch(): number {
    return this.#epochs?.current ?? this.#wantedEpoch;
  }

  /**
   * Goes to a later epoch. The entry that is appended next is its first, and a barrier stands before it.
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
    if (!Number.isSafeInteger(epoch) || epoch < this.#wantedEpoch || epoch > LAST_EPOCH) {
      throw outOfRange('epoch', `an integer from ${this.#wantedEpoch}, the present epoch, to ${LAST_EPOCH}`, epoch);
    }
    this.#wantedEpoch = epoch;
  }

  /**
   * Gives a key a value. Not durable on return: see {@link sync}. So with every `append…`.
   *
   * @param key - at most 65,535 bytes; a string is UTF-8. May be empty.
   * @param value - copied before the call returns; may be empty
   * @returns the position behind the entry
   * @throws `WAL_TOO_LARGE`, `WAL_BACKPRESSURE`, `WAL_NO_SPACE`, `WAL_CLOSED`, the code of the first failure; `TypeError`.
   * The entry was not appended then.
   */
  appendPut(key: Uint8Array | string, value: Uint8Array | string): number {
    const keyBytes = bytesOf('key', key);
    const valueBytes = bytesOf('value', value);
    this.#enterEpoch();
    return this.#append(OperationCode.put, keyBytes, valueBytes);
  }

  /** Removes a key. @returns the position behind the entry @throws like {@link appendPut} */
  appendDelete(key: Uint8Array | string): number {
    const bytes = bytesOf('key', key);
    this.#enterEpoch();
    return this.#append(OperationCode.delete, bytes, NO_BYTES);
  }

  /**
   * Notes that the application has made a checkpoint of its own. Those of a manager are in its manifest.
   *
   * @param checkpointId - a safe integer of at least 0
   * @returns the position behind the entry
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
   * Ends an epoch in this log: nothing that is appended later belongs to it, or to one before it. With shared epochs that
   * is the one before the present epoch; nothing is appended when it has its barrier. Else it is the one before
   * {@link epoch} where that was set to a later one and nothing was appended since, or {@link epoch} itself, and the next
   * one begins.
   *
   * @param options - `last`: ends the present epoch, and says that the core appends nothing more until it is opened again:
   * later epochs do not wait for it. Default `false`.
   * @returns the position behind the last entry
   * @throws like {@link appendPut}
   */
  appendEpochBarrier(options: { readonly last?: boolean } = {}): number {
    const { last = false } = checkOptions('options', options, ['last']);
    checkBoolean('last', last);
    if (this.#left) throw hasLeft(this.coreId);
    if (last) {
      // The barrier before it, where that is missing: its manager may be about to ask for it.
      if (this.#epochs !== undefined) this.#enterEpoch();
      // The epoch that was entered: the shared one may have been advanced since.
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
   * Commits how far sources were read by what was appended before. Recovery gives back what was committed last.
   *
   * @param offsets - by the name of the source, at most 65,535 bytes of UTF-8; unsigned, 64 bits. Sources that are not
   * named stay where they are.
   * @param watermark - signed, 64 bits. Default: as it was.
   * @returns the position behind the entry
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

  /** Appends an entry of any kind: what the method of its name does. @throws like that one */
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
   * Makes everything appended so far durable. Calls that come while one is under way share the next one.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: final, the writer accepts nothing any more; `WAL_CLOSED`
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
   * Begins to make everything appended so far durable, and returns at once: nothing is durable then. A backend that does
   * its work inside a call (`sync-fs`, `memory`) does the first step of it. {@link checkCompletions} tells when it is done.
   *
   * @returns a token of this writer's own, each higher than the one before
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
   * Takes what the backend has completed, without waiting, and looks whether the submitted sync is done. Then
   * {@link syncedPosition} is what {@link position} was when it was submitted. On a thread pool completions come only when
   * the event loop turns.
   *
   * @returns whether it was pending and is done now
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it has failed: final, the writer accepts nothing any more; `WAL_CLOSED`
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
   * Takes everything appended so far for durable, where another writer has synced it: {@link syncedPosition} moves, and
   * nothing else. What is written to the log as durable stays what this writer has found.
   */
  markSynced(): void {
    this.#synced(this.#boundary());
  }

  /**
   * Removes segments that hold nothing but entries below an LSN; that they are gone is durable on return. What they say of
   * offsets, watermark and epoch is appended again before, so that it is there when the log is opened; offsets of epochs that
   * have ended stay where they are until the epoch in which they are appended again has ended, too.
   *
   * @throws `WAL_STATE` for a log that a manager has, or that a manager has had and that needs what would be removed, with
   * its last checkpoint or for want of one; `WAL_NO_SPACE` when there is no room to note the new beginning; what {@link appendCommit} throws
   */
  truncateBefore(lsn: number): Promise<TruncateResult> {
    return stepsAsync(this.#truncating(lsn));
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: number): TruncateResult {
    return stepsSync(this.#truncating(lsn));
  }

  /** Makes everything durable, marks the log as closed cleanly and gives up its lock. Idempotent. */
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

  *#truncating(lsn: number): Steps<TruncateResult> {
    const log = this.#log;
    const { before, appended } = this.#carryOver(lsn);
    if (appended || !this.#isKnownWithout(before)) {
      yield* wait(
        () => log.syncSync(),
        () => log.sync(),
      );
    }
    if (this.#alone?.inCheckpoint === true) yield* this.#makeManifestSure(this.#alone);
    else if (this.#removes(before)) {
      // An empty log then tells that no manager has emptied it, whose manifest would be missing.
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

  /** The sync behind its rename may have failed: a crash would take back what says that something is needed no more. */
  *#makeManifestSure({ directory }: Alone): Steps<void> {
    if (this.#isManifestSure) return;
    const { io } = this.#log;
    // No manager is there, as this writer has the log. Other writers may do the same, with the same manifest.
    const manifest = yield* waitFor(io, () => readManifest(io, directory));
    const draft = `manifest-${this.coreId}.new`;
    if (manifest !== undefined) yield* waitFor(io, () => writeManifest(io, directory, manifest, draft));
    this.#isManifestSure = true;
  }

  /** Whether durable entries from an LSN on say what those before it do: no sync may have covered the last ones yet. */
  #isKnownWithout(lsn: number): boolean {
    const { durableLsn } = this.#log;
    return !this.#removes(lsn) || (durableLsn >= lsn && durableLsn >= this.#ledger.lastLsn);
  }

  /** Whether there is a segment that holds nothing but entries below an LSN. */
  #removes(lsn: number): boolean {
    const log = this.#log;
    return log.firstLsn <= log.lastLsn && lsn <= log.nextLsn && (log.listSegments()[0]?.lastLsn ?? 0) < lsn;
  }

  /**
   * Appends again what only entries say that are about to go. Where there is no room for that, those stay.
   *
   * @returns the LSN to truncate before, and whether something was appended
   */
  #carryOver(lsn: number): { readonly before: number; readonly appended: boolean } {
    checkLsn('lsn', lsn);
    if (this.#managed) throw managedLog(this.coreId, 'its manager truncates it with each checkpoint');
    const { neededFrom, inCheckpoint } = this.#alone ?? NOT_NEEDED;
    if (lsn > neededFrom) {
      throw managedLog(this.coreId, `its manager needs what stands from LSN ${neededFrom} on`);
    }
    const log = this.#log;
    const ledger = this.#ledger;
    // The checkpoint says what was committed before it.
    if (inCheckpoint || !this.#removes(lsn)) return { before: lsn, appended: false };
    const oldest = Math.min(ledger.neededFrom, log.lastLsn);
    // Were the present epoch dropped, as one that is not complete, what was committed before it would have to be there.
    const ended = ledger.endedFrom(this.#epoch);
    const before = Math.min(lsn, ended);
    if (lsn <= oldest) return { before, appended: false };
    // Behind the last barrier of a core nothing is to stand: epochs would wait for it.
    if (this.#leftAt === log.lastLsn) return { before: Math.min(oldest, ended), appended: false };
    try {
      this.#append(OperationCode.commit, NO_BYTES, encodeCommit(ledger.committed));
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return { before: Math.min(oldest, ended), appended: false };
    }
    ledger.add(ledger.committed, this.#epoch, log.lastLsn);
    return { before, appended: true };
  }

  /** Puts a barrier before the first entry of an epoch. */
  #enterEpoch(): void {
    if (this.#left) throw hasLeft(this.coreId);
    const epochs = this.#epochs;
    if (epochs !== undefined) {
      if (epochs.isAt(this.#epochLow, this.#epochHigh)) return;
      this.#wantedEpoch = epochs.current;
      if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
      [this.#epochLow, this.#epochHigh] = halvesOf(this.#wantedEpoch);
    } else if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
  }

  /** A barrier belongs to the epoch that it ends. */
  #beginEpoch(epoch: number, last: boolean): void {
    const value = encodeBarrier(last, this.#managed);
    const position = this.#append(OperationCode.epochBarrier, NO_BYTES, value, epoch - 1);
    this.#epoch = epoch;
    this.#left = last;
    const { lastLsn: lsn } = this.#log;
    if (last) this.#leftAt = lsn;
    const { committed, places: commitPlaces } = this.#ledger;
    this.#barrierBefore = this.#barrier;
    this.#barrier = {
      epoch: epoch - 1,
      lsn,
      position,
      timestampUs: this.#timestampUs,
      committed,
      commitPlaces,
      left: last,
    };
    if (last) this.#ledger.noteLeft();
  }

  #forgetCommitted(lsn: number): void {
    this.#ledger.forgetBefore(lsn);
    this.#barrier &&= withCommitsSince(this.#barrier, lsn);
    this.#barrierBefore &&= withCommitsSince(this.#barrierBefore, lsn);
  }

  #barrierOf(epoch: number): KnownBarrier | undefined {
    const last = this.#barrier;
    if (last === undefined) return undefined;
    if (last.epoch === epoch || (last.left && last.epoch < epoch)) return last;
    // The last one of the core came in the epoch after it.
    return this.#barrierBefore?.epoch === epoch ? this.#barrierBefore : undefined;
  }

  #append(operation: number, key: Uint8Array, value: Uint8Array, epoch = this.#epoch): number {
    // The epoch and the memory of the entry outside would be those of the one that its clock appends.
    if (this.#isAppending) throw withinAppend(this.coreId);
    this.#isAppending = true;
    try {
      return this.#encode(operation, key, value, epoch);
    } finally {
      this.#isAppending = false;
    }
  }

  #encode(operation: number, key: Uint8Array, value: Uint8Array, epoch: number): number {
    const bytes = this.#room(ENTRY_HEADER_BYTES + value.length);
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

  /** Never back, and no more than can be written: a clock that gives no such time repeats the last one. */
  #time(): number {
    const time = Math.floor(this.#now() * 1000);
    return time > this.#timestampUs ? Math.min(time, Number.MAX_SAFE_INTEGER) : this.#timestampUs;
  }

  #room(length: number): Uint8Array<ArrayBuffer> {
    if (length > SCRATCH_BYTES) return new Uint8Array(length);
    if (length !== this.#scratchBytes.length) this.#scratchBytes = new Uint8Array(this.#scratch.buffer, 0, length);
    return this.#scratchBytes;
  }

  #known(): Pick<CoreState, 'epoch' | 'barrierEpoch' | 'timestampUs' | 'committed' | 'commitPlaces'> {
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

/** The longest value is what is asked for, which the log knows with its header. */
function withoutHeader(error: unknown, bytes: number): unknown {
  if (!WalError.is(error, 'WAL_TOO_LARGE') || error.actual !== bytes || error.limit === undefined) return error;
  const [actual, limit] = [bytes - ENTRY_HEADER_BYTES, error.limit - ENTRY_HEADER_BYTES];
  const message = `a value of ${actual} bytes is over the limit of ${limit}: nothing was appended`;
  return new WalError('WAL_TOO_LARGE', message, { actual, limit }, { cause: error });
}

function withinAppend(coreId: number): WalError {
  const message = `the clock of core ${coreId} cannot append: it is asked for the time of another entry; nothing was appended`;
  return new WalError('WAL_STATE', message, { state: 'appending' });
}

function hasLeft(coreId: number): WalError {
  return new WalError('WAL_STATE', `core ${coreId} has appended its last barrier: open it again to append more`, {
    state: 'left',
  });
}

function* opening(
  coreId: number,
  directory: string,
  options: CoreWalWriterOptions,
  position?: number,
): Steps<CoreWalWriter> {
  const { config, own } = configOf(coreId, directory, options);
  if (position !== undefined) checkInteger('position', position);
  const { log, state, ...needed } = yield* openAlone(coreId, directory, config, position);
  try {
    return writerOver(log, coreId, state, { ...own, alone: { directory, ...needed } });
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

/** The configuration of a core's log, and what is the writer's own. */
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

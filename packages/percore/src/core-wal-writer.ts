import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPath,
  invalidType,
  outOfRange,
  WalError,
} from '@walstack/codec';
import { realWorld, SegmentedWal, type SegmentedWalConfig, type TruncateResult, type World } from '@walstack/segmented';
import {
  type Committed,
  checkCommit,
  committedAfter,
  encodeCommit,
  NOTHING_COMMITTED,
  type Offsets,
} from './commit.js';
import { checkCoreId, coreDirectory } from './core-directory.js';
import { type CoreState, initialState, survey } from './core-state.js';
import { ENTRY_HEADER_BYTES, encodeBarrier, encodeCheckpointId, OperationCode, writeEntryHeader } from './entry.js';
import { EntryReader } from './entry-reader.js';
import { SharedEpochs } from './epochs.js';
import type { LogOptions } from './options.js';
import { type Steps, stepsAsync, stepsSync, wait, waitFor } from './waiting.js';

/** How a {@link CoreWalWriter} is opened: what its segments take, and the epochs that it shares with others. */
export interface CoreWalWriterOptions extends LogOptions, Pick<SegmentedWalConfig, 'create' | 'io'> {
  /** The epochs that all writers of a per-core log share. Default: this writer's own, moved by hand. */
  readonly epochs?: SharedEpochs;
}

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

/** A sync that was submitted and not yet found to be done. */
interface PendingSync {
  readonly lsn: number;
  readonly position: number;
}

/** Entries that are longer, header included, get memory of their own for a moment. */
const SCRATCH_BYTES = 64 * 1024;

const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

/** Opens a writer over a log that is open, and of which everything is known. For this package only. */
export let writerOver: (
  log: SegmentedWal,
  coreId: number,
  state: CoreState,
  options: Pick<CoreWalWriterOptions, 'epochs' | 'now'>,
) => CoreWalWriter;

/**
 * Puts a barrier before an epoch by hand, also where one stands there already, and returns what is known of the log then.
 * For this package only.
 */
export let beginEpoch: (writer: CoreWalWriter, epoch: number, last: boolean) => CoreState;

/** Everything up to it is durable, whatever was told to {@link CoreWalWriter.markSynced}. For this package only. */
export let durableLsnOf: (writer: CoreWalWriter) => number;

/** Forgets what was committed before the last barrier. For this package only. */
export let forgetCommitted: (writer: CoreWalWriter) => void;

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
  readonly #now: World['now'];
  /** The epoch that entries are appended in, whose predecessors have their barrier. */
  #epoch: number;
  /** What was set by hand, or seen, and takes effect with the next entry. */
  #wantedEpoch: number;
  #epochMark: number;
  #timestampUs: number;
  #committed: Committed;
  /** What of it was committed behind the last barrier. */
  #committedSince: Committed = NOTHING_COMMITTED;
  #barrier: Barrier | undefined;
  #position: number;
  #syncedPosition: number;
  #syncedLsn: number;
  #pending: PendingSync | undefined;
  #tokens = 0;
  /** The core has said that it appends nothing more. */
  #left = false;
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
    { epochs, now = realWorld.now }: Pick<CoreWalWriterOptions, 'epochs' | 'now'>,
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
    // Not the present mark: the first entry looks at the epoch.
    this.#epochMark = epochs === undefined ? 0 : ~epochs.mark;
    this.#timestampUs = state.timestampUs;
    this.#committed = state.committed;
    this.#position = log.position;
    this.#syncedPosition = log.position;
    this.#syncedLsn = log.lastLsn;
  }

  static {
    writerOver = (log, coreId, state, options) => new CoreWalWriter(log, coreId, state, options);
    beginEpoch = (writer, epoch, last) => {
      writer.#beginEpoch(epoch, last);
      writer.#wantedEpoch = epoch;
      return { ...initialState(writer.lastLsn), ...writer.#known(), left: last, joined: true };
    };
    durableLsnOf = (writer) => writer.#log.durableLsn;
    forgetCommitted = (writer) => {
      writer.#committed = writer.#committedSince;
    };
  }

  /**
   * Opens the log of a core, recovering it, or makes a new one. What is found is durable on return.
   *
   * @param coreId - 0 to 2^32 − 2
   * @param directory - of the per-core log, in which the core has the directory `core-<id>`
   * @throws what `SegmentedWal.open` throws; `WAL_BAD_HEADER` when the log is another core's; `WAL_CORRUPT` for records
   * that are no entries; `RangeError` for epochs behind those of the log
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
   * @throws `WAL_RANGE` past the end or inside an entry, `WAL_TRUNCATED` where the log begins later, and nothing is dropped
   * then; what {@link open} throws
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
    return this.#committed;
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
    if (!Number.isSafeInteger(epoch) || epoch < this.#wantedEpoch) {
      throw outOfRange('epoch', `an integer of at least ${this.#wantedEpoch}, the present epoch`, epoch);
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
    if (last) this.#beginEpoch(Math.max(this.epoch, this.#epoch) + 1, true);
    else {
      if (this.#epochs === undefined) this.#wantedEpoch = Math.max(this.#wantedEpoch, this.#epoch + 1);
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
    this.#committed = committedAfter(this.#committed, commit);
    this.#committedSince = committedAfter(this.#committedSince, commit);
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
   * Takes everything appended so far for durable, where somebody else has synced it: {@link syncedPosition} moves, and
   * nothing else. What is written to the log as durable stays what this writer has found.
   */
  markSynced(): void {
    this.#synced(this.#boundary());
  }

  /**
   * Removes segments that hold nothing but entries below an LSN; that they are gone is durable on return.
   *
   * @throws `WAL_NO_SPACE` when there is no room to note the new beginning
   */
  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.#log.truncateBefore(lsn);
  }

  /** Like {@link truncateBefore}, blocking the thread. */
  truncateBeforeSync(lsn: number): TruncateResult {
    return this.#log.truncateBeforeSync(lsn);
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

  /** Puts a barrier before the first entry of an epoch. */
  #enterEpoch(): void {
    if (this.#left) throw hasLeft(this.coreId);
    const epochs = this.#epochs;
    if (epochs !== undefined) {
      const { mark } = epochs;
      if (mark === this.#epochMark) return;
      this.#wantedEpoch = epochs.current;
      if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
      this.#epochMark = mark;
    } else if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);
  }

  /** A barrier belongs to the epoch that it ends. */
  #beginEpoch(epoch: number, last: boolean): void {
    const position = this.#append(OperationCode.epochBarrier, NO_BYTES, encodeBarrier(last), epoch - 1);
    this.#epoch = epoch;
    this.#left = last;
    const { lastLsn: lsn } = this.#log;
    this.#barrier = { epoch: epoch - 1, lsn, position, timestampUs: this.#timestampUs, committed: this.#committed };
    this.#committedSince = NOTHING_COMMITTED;
  }

  #append(operation: number, key: Uint8Array, value: Uint8Array, epoch = this.#epoch): number {
    const bytes = this.#room(ENTRY_HEADER_BYTES + value.length);
    const view = bytes === this.#scratchBytes ? this.#scratchView : new DataView(bytes.buffer);
    const timestampUs = Math.max(this.#timestampUs, Math.floor(this.#now() * 1000));
    writeEntryHeader(view, operation, this.coreId, epoch, this.#log.nextLsn, timestampUs);
    bytes.set(value, ENTRY_HEADER_BYTES);
    this.#options.type = operation;
    this.#options.meta = key;
    this.#log.append(bytes, this.#options);
    this.#timestampUs = timestampUs;
    this.#position = this.#log.position;
    return this.#position;
  }

  #room(length: number): Uint8Array<ArrayBuffer> {
    if (length > SCRATCH_BYTES) return new Uint8Array(length);
    if (length !== this.#scratchBytes.length) this.#scratchBytes = new Uint8Array(this.#scratch.buffer, 0, length);
    return this.#scratchBytes;
  }

  #known(): Pick<CoreState, 'epoch' | 'barrierEpoch' | 'timestampUs' | 'committed'> {
    const ended = this.#epoch - 1;
    return { epoch: ended, barrierEpoch: ended, timestampUs: this.#timestampUs, committed: this.#committed };
  }

  #boundary(): PendingSync {
    return { lsn: this.#log.lastLsn, position: this.#position };
  }

  #synced({ lsn, position }: PendingSync): void {
    this.#syncedLsn = Math.max(this.#syncedLsn, lsn);
    this.#syncedPosition = Math.max(this.#syncedPosition, position);
  }
}

const VIEWS = { copy: false } as const;

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
  const log = yield* wait(
    () => SegmentedWal.openSync(config),
    () => SegmentedWal.open(config),
  );
  try {
    if (position !== undefined) yield* dropBehind(log, position);
    const reader = yield* wait(
      () => log.openReaderSync('first', VIEWS),
      () => log.openReader('first', VIEWS),
    );
    const entries = new EntryReader(reader, coreId, log.directory, Number.POSITIVE_INFINITY);
    const state = yield* waitFor(log.io, () => survey(entries, initialState(log.firstLsn - 1)));
    return writerOver(log, coreId, state, own);
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

function* dropBehind(log: SegmentedWal, position: number): Steps<void> {
  const lsn = yield* wait(
    () => log.lsnBeforeSync(position),
    () => log.lsnBefore(position),
  );
  yield* wait(
    () => log.truncateAfterSync(lsn),
    () => log.truncateAfter(lsn),
  );
}

/** Lets go of a log that is of no use; why it is of none is thrown already. */
function* closeQuietly(log: SegmentedWal): Steps<void> {
  try {
    yield* wait(
      () => log.closeSync(),
      () => log.close(),
    );
  } catch {
    // Its own failure is the lesser news.
  }
}

/** The configuration of a core's log, and what is the writer's own. */
function configOf(coreId: number, directory: string, options: CoreWalWriterOptions) {
  checkCoreId('coreId', coreId);
  checkPath('directory', directory);
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options);
  const { epochs, ...rest } = options;
  if (epochs !== undefined && !(epochs instanceof SharedEpochs)) throw invalidType('epochs', 'SharedEpochs', epochs);
  const config: SegmentedWalConfig = { ...rest, directory: coreDirectory(directory, coreId), coreId };
  const own = { ...(epochs === undefined ? {} : { epochs }), ...(rest.now === undefined ? {} : { now: rest.now }) };
  return { config, own };
}

function bytesOf(name: string, value: Uint8Array | string): Uint8Array {
  if (typeof value === 'string') return encoder.encode(value);
  if (!(value instanceof Uint8Array)) throw invalidType(name, 'a Uint8Array or a string', value);
  return value;
}

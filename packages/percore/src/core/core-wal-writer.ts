import { type InspectOptions, inspect } from 'node:util';
import type { WalError } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkMemory,
  checkOptions,
  checkText,
  inspected,
  invalidType,
  notConstructible,
  outOfRange,
} from '@walstack/codec/internal';
import type { RecoveryReport, TruncateResult } from '@walstack/segmented';
import { type Committed, checkCommit, type Offsets } from '../commits/commit.js';
import { modesOf } from '../options.js';
import { CoreLog } from './core-log.js';
import { type CoreWalWriterOptions, checkWriterOptions } from './core-writer-options.js';
import { closeQuietly, type DualModeRoutine, runDualModeAsync, runDualModeSync } from './dual-mode-routine.js';
import { encodeCheckpointId, OperationCode } from './entries/entry.js';
import type { Barrier } from './epochs/barrier-history.js';
import { managedLog, openStandalone } from './open-core-log.js';
import { type StandaloneNeeds, StandaloneTruncation } from './standalone-truncation.js';
import { SyncTracker } from './sync-tracker.js';

/** An entry to append. */
export type NewEntry =
  | { readonly operation: 'put'; readonly key: Uint8Array | string; readonly value: Uint8Array | string }
  | { readonly operation: 'delete'; readonly key: Uint8Array | string }
  | { readonly operation: 'checkpoint'; readonly checkpointId: number }
  | { readonly operation: 'epochBarrier'; readonly last?: boolean }
  | { readonly operation: 'commit'; readonly offsets: Offsets; readonly watermark?: number | bigint };

const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

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
  readonly #core: CoreLog;
  readonly #syncs: SyncTracker;
  /** `undefined` for the log of a manager, which decides what is truncated. */
  readonly #truncation: StandaloneTruncation | undefined;

  private constructor(core: CoreLog, needs?: StandaloneNeeds) {
    if (!(core instanceof CoreLog))
      throw notConstructible('CoreWalWriter', 'use await CoreWalWriter.open(coreId, directory)');
    this.coreId = core.coreId;
    this.#core = core;
    this.#syncs = new SyncTracker(core);
    this.#truncation = needs && new StandaloneTruncation(core, needs);
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeWriter` uses it.
  private static make(core: CoreLog, needs?: StandaloneNeeds): CoreWalWriter {
    return new CoreWalWriter(core, needs);
  }

  /**
   * Opens and recovers the log of a core, or creates one. What it finds is durable on return.
   *
   * @param coreId - 0 to 2^32 − 2
   * @param directory - of the per-core log, which contains the directory `core-<id>` of the core: a path or a `file:` URL
   * @throws what `SegmentedWal.open` throws; `WAL_BAD_HEADER` when the log belongs to another core; `WAL_CORRUPT` for
   * records that are not entries, and when the manifest of a manager shows that the log, or a part of it, is lost;
   * `RangeError` for shared epochs that are behind those of the log
   */
  static open(coreId: number, directory: string | URL, options: CoreWalWriterOptions = {}): Promise<CoreWalWriter> {
    return runDualModeAsync(opening(coreId, directory, options));
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(coreId: number, directory: string | URL, options: CoreWalWriterOptions = {}): CoreWalWriter {
    return runDualModeSync(opening(coreId, directory, options));
  }

  /**
   * Opens the log of a core and permanently drops everything after a position. The writer continues in a new segment:
   * `position` is the first position of that segment.
   *
   * @param position - 0, or one that an append has returned
   * @throws `WAL_RANGE` past the end or inside an entry, `WAL_TRUNCATED` when the log begins later, `WAL_STATE` when a
   * manager has ended an epoch after that position, since the epochs of all cores need that barrier to be complete. In
   * these cases nothing is dropped. Also what {@link open} throws
   */
  static openAt(
    coreId: number,
    directory: string | URL,
    position: number,
    options: CoreWalWriterOptions = {},
  ): Promise<CoreWalWriter> {
    return runDualModeAsync(opening(coreId, directory, options, position));
  }

  /** Like {@link openAt}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openAtSync(
    coreId: number,
    directory: string | URL,
    position: number,
    options: CoreWalWriterOptions = {},
  ): CoreWalWriter {
    return runDualModeSync(opening(coreId, directory, options, position));
  }

  /** The directory of this core's log. */
  get directory(): string {
    return this.#core.log.directory;
  }

  /** What opening the log found and did. */
  get recovery(): RecoveryReport {
    return this.#core.log.recovery;
  }

  /** The position after the last entry, in bytes of this core's log, durable or not. It never decreases. */
  get position(): number {
    return this.#core.position;
  }

  /**
   * Every entry before this position survives a crash, as established by a sync of this writer or by a call of
   * {@link markSynced}. This is the position to note in a manifest.
   */
  get syncedPosition(): number {
    return this.#syncs.syncedPosition;
  }

  /** The number of entries after {@link syncedPosition}, barriers included. */
  get entriesSinceSync(): number {
    return this.#syncs.entriesSinceSync;
  }

  /** Whether a sync was submitted whose completion {@link checkCompletions} has not seen yet. */
  get isSyncPending(): boolean {
    return this.#syncs.isPending;
  }

  /** The LSN of the last entry; one less than that of the first when there is none. */
  get lastLsn(): number {
    return this.#core.log.lastLsn;
  }

  /** The last barrier that was appended since this writer was opened; `undefined` before the first. */
  get barrier(): Barrier | undefined {
    return this.#core.barriers.last;
  }

  /** What was committed last, by this writer or before the log was opened. */
  get committed(): Committed {
    return this.#core.ledger.committed;
  }

  /** The failure after which the writer accepts nothing more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#core.log.failure;
  }

  /** The epoch that the next entry belongs to. With shared epochs, the current epoch of all writers. */
  get epoch(): number {
    return this.#core.epochs.current;
  }

  /**
   * Begins a later epoch. The next entry is its first, and a barrier is appended before that entry.
   *
   * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for an earlier one; `WAL_STATE` with shared epochs, which only their
   * coordinator advances
   */
  set epoch(epoch: number) {
    this.#core.epochs.set(epoch);
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
    return this.#core.append(OperationCode.put, keyBytes, valueBytes);
  }

  /** Removes a key. @returns the position after the entry @throws like {@link appendPut} */
  appendDelete(key: Uint8Array | string): number {
    return this.#core.append(OperationCode.delete, bytesOf('key', key), NO_BYTES);
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
    return this.#core.append(OperationCode.checkpoint, NO_BYTES, encodeCheckpointId(checkpointId));
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
    return this.#core.appendBarrier(last);
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
    return this.#core.appendCommit(checkCommit(offsets, watermark));
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
    return this.#core.log.flush();
  }

  /** Like {@link flush}, blocking the thread. */
  flushSync(): void {
    this.#core.log.flushSync();
  }

  /**
   * Makes everything appended so far durable. Calls during a running sync share the next one.
   *
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`: final, the writer accepts nothing more; `WAL_CLOSED`
   */
  sync(): Promise<void> {
    return this.#syncs.sync();
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    this.#syncs.syncSync();
  }

  /**
   * Begins to make everything appended so far durable, and returns at once, with nothing durable yet. A backend that works
   * inside the call (`sync-fs`, `memory`) does the first step here. {@link checkCompletions} returns whether it is done.
   *
   * @returns a token, which increases with each call on this writer
   * @throws `WAL_STATE` while one is pending; `WAL_CLOSED`, the code of the first failure
   */
  submitSync(): number {
    return this.#syncs.submit();
  }

  /**
   * Processes the completions of the backend without waiting, and checks whether the submitted sync is done. If it is,
   * {@link syncedPosition} becomes the `position` of when the sync was submitted. On a thread pool, completions
   * arrive only when the event loop turns.
   *
   * @returns whether a sync was pending and is done now
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` when it has failed: final, the writer accepts nothing more; `WAL_CLOSED`
   */
  checkCompletions(): boolean {
    return this.#syncs.check();
  }

  /**
   * Treats everything appended so far as synced, because another writer has synced it. This moves {@link syncedPosition}
   * and nothing else: the durable LSN that the log records comes only from this writer's own syncs.
   */
  markSynced(): void {
    this.#syncs.markSynced();
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
    await this.#core.log.close();
  }

  /** Like {@link close}, blocking the thread. */
  closeSync(): void {
    this.#core.log.closeSync();
  }

  /** Closes the writer: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the writer: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What `console.log` shows: the core, the directory and the positions. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { coreId, directory, epoch, lastLsn, position, syncedPosition, failure } = this;
    const facts = { coreId, directory, epoch, lastLsn, position, syncedPosition, failure: failure?.code };
    return inspected(this.constructor.name, facts, depth, options);
  }

  *#truncating(lsn: number): DualModeRoutine<TruncateResult> {
    checkLsn('lsn', lsn);
    if (this.#truncation !== undefined) return yield* this.#truncation.before(lsn);
    throw managedLog(this.coreId, 'its manager truncates it with each checkpoint');
  }
}

/**
 * Makes the writer of an open log.
 *
 * @param needs - what the per-core log needs of a log that was opened without its manager
 */
export const makeWriter: (core: CoreLog, needs?: StandaloneNeeds) => CoreWalWriter = CoreWalWriter['make'];

function* opening(
  coreId: number,
  given: string | URL,
  options: CoreWalWriterOptions,
  position?: number,
): DualModeRoutine<CoreWalWriter> {
  const { config, own, directory, watch } = checkWriterOptions(coreId, given, options);
  if (position !== undefined) checkInteger('position', position);
  const { log, state, ...needs } = yield* openStandalone(coreId, directory, config, position, watch);
  try {
    return makeWriter(new CoreLog(log, coreId, state, own), { directory, ...needs, ...modesOf(config) });
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

function bytesOf(name: string, value: Uint8Array | string): Uint8Array {
  if (typeof value === 'string') return encoder.encode(checkText(name, value));
  return checkMemory(name, value, 'a Uint8Array or a string');
}

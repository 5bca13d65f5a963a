import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { checkOneOf, checkOptions, notConstructible } from '@walstack/codec/internal';
import type { LongCallOptions } from '@walstack/mmap-reader';
import { checkLongCall, LONG_CALL_OPTIONS } from '@walstack/mmap-reader/internal';
import type { StorageIo } from '@walstack/storage-io';
import { backendOf } from '@walstack/storage-io/internal';
import { type Committed, committedByAll } from '../commits/commit.js';
import { type DualModeRoutine, runDualModeAsync, runDualModeSync } from '../core/dual-mode-routine.js';
import { EntryReader } from '../core/entries/entry-reader.js';
import { checkRecovery, type PerCoreRecoveryOptions, type RecoverySettings } from '../options.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import { type MergedEntries, mergeEntries } from './entries-of-all-cores.js';
import { hasLog, type PerCoreCheckpoint } from './manifest.js';
import { closeAllQuietly, closeLogs, type RecoveredCore, type RecoveredLogs, recoverLogs } from './recovered-logs.js';
import { type CoreStatistics, statisticsOf } from './statistics.js';

/** Which entries are read. */
export interface EntriesOptions extends LongCallOptions {
  /**
   * `'checkpoint'`: the entries after the last checkpoint, or all of them when there is none. `'first'`: all entries that
   * are still in the logs, which may begin in the middle of an epoch. Default `'checkpoint'`.
   */
  readonly from?: 'checkpoint' | 'first';
}

const ENTRIES_OPTIONS = ['from', ...LONG_CALL_OPTIONS] as const;

/** The resources that are released when a recovery is closed. */
export interface HeldResources {
  /** Closes the logs, and releases lock and backend. */
  close(): Promise<void>;
  closeSync(): void;
}

/**
 * The content of a per-core log after a crash or a clean close: the last checkpoint, and the entries of all cores after it,
 * in one order. Opening it recovers the log of every core: torn tails are cut off, and the remaining entries are durable.
 */
export class PerCoreRecovery {
  /** The directory of the per-core log. */
  readonly directory: string;
  /** What was taken from the log of each core. */
  readonly statistics: readonly CoreStatistics[];
  readonly #io: StorageIo;
  readonly #logs: RecoveredLogs;
  readonly #resources: HeldResources;
  readonly #committed: Committed;
  #closing: Promise<void> | undefined;
  #closed = false;

  private constructor(io: StorageIo, directory: string, logs: RecoveredLogs, resources: HeldResources) {
    if (logs === undefined) throw notConstructible('PerCoreRecovery', 'use await PerCoreRecovery.open(options)');
    this.#io = io;
    this.directory = directory;
    this.#logs = logs;
    this.#resources = resources;
    this.statistics = Object.freeze(logs.cores.map(statisticsOf));
    this.#committed = committedBy(logs.cores);
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeRecovery` uses it.
  private static make(
    io: StorageIo,
    directory: string,
    logs: RecoveredLogs,
    resources: HeldResources,
  ): PerCoreRecovery {
    return new PerCoreRecovery(io, directory, logs, resources);
  }

  /**
   * Recovers the logs of all cores. Nothing else may have the per-core log open. Close the recovery afterwards.
   *
   * @throws `WAL_NOT_FOUND`, `WAL_LOCKED`, `WAL_CORRUPT` when acknowledged entries are lost, `WAL_TRUNCATED` when
   * `toEpoch` is before the last checkpoint, `WAL_ABORTED`, what opening a log throws; `TypeError`, `RangeError` for wrong options
   */
  static async open(options: PerCoreRecoveryOptions): Promise<PerCoreRecovery> {
    const checked = checkRecovery(options);
    const { io, owned } = backendOf(options.io, 'async');
    try {
      return await runDualModeAsync(opening({ ...checked, io }, owned));
    } catch (error) {
      if (owned) await io.dispose();
      throw error;
    }
  }

  /** Like {@link open}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  static openSync(options: PerCoreRecoveryOptions): PerCoreRecovery {
    const checked = checkRecovery(options);
    const { io, owned } = backendOf(options.io, 'wait');
    try {
      return runDualModeSync(opening({ ...checked, io }, owned));
    } catch (error) {
      // Nothing is in flight after a blocking call: there is nothing to wait for.
      if (owned) void io.dispose();
      throw error;
    }
  }

  /** The last checkpoint whose snapshot is complete; `undefined` when there is none. */
  get checkpoint(): PerCoreCheckpoint | undefined {
    return this.#logs.manifest.checkpoint;
  }

  /** A checkpoint whose snapshot was begun and never recorded as complete: the snapshot is not usable. */
  get pendingCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#logs.manifest.pending;
  }

  /** What was lost, with `recoveryMode: 'salvage'`; `undefined` when nothing was lost. */
  get salvage(): PerCoreSalvage | undefined {
    return this.#logs.salvage;
  }

  /** The last complete epoch: its barrier is in the log of every core that takes part in it. */
  get completeEpoch(): number {
    return this.#logs.completeEpoch;
  }

  /** The highest epoch of any entry, complete or not. */
  get lastEpoch(): number {
    return this.#logs.lastEpoch;
  }

  /** How far each source was read by the taken entries and the checkpoint: where a consumer resumes. */
  get offsets(): ReadonlyMap<string, bigint> {
    return this.#committed.offsets;
  }

  /** The lowest of the last watermarks of all cores; `undefined` when none was given. */
  get watermark(): bigint | undefined {
    return this.#committed.watermark;
  }

  /**
   * The entries of all cores in one order: by epoch, time, core and sequence. They are streamed: memory grows with the
   * number of cores, and not with the size of the logs.
   *
   * @throws `WAL_CLOSED`
   */
  entries(options: EntriesOptions = {}): MergedEntries {
    const { from = 'checkpoint', signal, onProgress } = checkOptions('options', options, ENTRIES_OPTIONS);
    const call = checkLongCall(signal, onProgress);
    checkOneOf('from', from, ['checkpoint', 'first']);
    this.#throwIfClosed();
    const lsnOf = ({ before, log }: RecoveredCore): number => (from === 'first' ? log.firstLsn : before.lsn + 1);
    return mergeEntries(
      this.#io,
      () => this.#read(async (core) => readerOf(core, await core.log.openReader(lsnOf(core)))),
      () => this.#readSync((core) => readerOf(core, core.log.openReaderSync(lsnOf(core)))),
      call,
    );
  }

  /** Closes the logs, and releases the lock. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#resources.close();
    return this.#closing;
  }

  /** Like {@link close}, blocking the thread. */
  closeSync(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing = Promise.resolve();
    this.#resources.closeSync();
  }

  /** Closes it: {@link closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes it: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(open: (core: RecoveredCore) => Promise<EntryReader>): Promise<readonly EntryReader[]> {
    this.#throwIfClosed();
    const readers: EntryReader[] = [];
    try {
      for (const core of this.#logs.cores) readers.push(await open(core));
      return readers;
    } catch (error) {
      for (const reader of readers) reader.close();
      throw error;
    }
  }

  #readSync(open: (core: RecoveredCore) => EntryReader): readonly EntryReader[] {
    this.#throwIfClosed();
    const readers: EntryReader[] = [];
    try {
      for (const core of this.#logs.cores) readers.push(open(core));
      return readers;
    } catch (error) {
      for (const reader of readers) reader.close();
      throw error;
    }
  }

  #throwIfClosed(): void {
    if (!this.#closed) return;
    throw new WalError('WAL_CLOSED', `the recovery of ${this.directory} is closed: open it again`, {
      path: this.directory,
      state: 'closed',
    });
  }
}

/** Makes a recovery of logs that are open. */
export const makeRecovery: (
  io: StorageIo,
  directory: string,
  logs: RecoveredLogs,
  resources: HeldResources,
) => PerCoreRecovery = PerCoreRecovery['make'];

type OpenReader = ConstructorParameters<typeof EntryReader>[0];

const readerOf = ({ coreId, log, limit }: RecoveredCore, reader: OpenReader): EntryReader =>
  new EntryReader(reader, coreId, log.directory, limit);

/** What all cores have committed. The watermark of a retired core counts only when no other core has committed anything. */
function committedBy(cores: readonly RecoveredCore[]): Committed {
  const used = cores.filter(({ taken }) => taken.used);
  const present = used.filter(({ taken }) => !taken.retired && hasCommitted(taken.committed));
  const { offsets } = committedByAll(used.map(({ taken }) => taken.committed));
  const { watermark } = committedByAll((present.length > 0 ? present : used).map(({ taken }) => taken.committed));
  return { offsets, watermark };
}

const hasCommitted = ({ offsets, watermark }: Committed): boolean => offsets.size > 0 || watermark !== undefined;

/** Ends the salvage: a recovery changes nothing more after it was returned. */
function* endSalvage({ endSalvage, cores }: RecoveredLogs): DualModeRoutine<void> {
  try {
    yield* endSalvage();
  } catch (error) {
    yield* closeAllQuietly(cores.map(({ log }) => log));
    throw error;
  }
}

/** Locks the directory and recovers the logs in it. */
function* opening(settings: RecoverySettings, owned: boolean): DualModeRoutine<PerCoreRecovery> {
  const { io, directory } = settings;
  const unlock = lockExisting(settings);
  let recovered: RecoveredLogs;
  try {
    recovered = yield* recoverLogs(settings);
    yield* endSalvage(recovered);
  } catch (error) {
    unlock();
    throw error;
  }
  const logs = recovered.cores.map(({ log }) => log);
  return makeRecovery(io, directory, recovered, {
    close: async () => {
      try {
        await runDualModeAsync(closeLogs(logs));
      } finally {
        unlock();
        if (owned) await io.dispose();
      }
    },
    closeSync: () => {
      try {
        runDualModeSync(closeLogs(logs));
      } finally {
        unlock();
        if (owned) void io.dispose();
      }
    },
  });
}

/** @throws `WAL_NOT_FOUND` when there is no per-core log; nothing is created */
function lockExisting({ io, directory, fileMode }: RecoverySettings): () => void {
  if (!hasLog(io, directory)) {
    throw new WalError('WAL_NOT_FOUND', `no per-core log at ${directory}: nothing was created`, { path: directory });
  }
  return io.lock(join(directory, FileName.lock), fileMode);
}

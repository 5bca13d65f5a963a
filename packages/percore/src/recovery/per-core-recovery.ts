import { join } from 'node:path';
import { checkOneOf, checkOptions, FileName, WalError } from '@walstack/codec';
import type { StorageIo } from '@walstack/storage-io';
import { type Committed, committedByAll } from '../core/commit.js';
import { type Steps, stepsAsync, stepsSync } from '../core/dual-mode-routine.js';
import { EntryReader } from '../core/entry-reader.js';
import { backendOf, checkRecovery, type PerCoreRecoveryOptions, type RecoverySettings } from '../options.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import { hasLog, type PerCoreCheckpoint } from './manifest.js';
import { MergedEntries } from './merged-entries.js';
import { closeAllQuietly, closeLogs, type RecoveredCore, type RecoveredLogs, recoverLogs } from './recovered-logs.js';
import { type CoreStatistics, statisticsOf } from './statistics.js';

/** Where entries are read from. */
export interface EntriesOptions {
  /**
   * `'checkpoint'`: what stands behind the last checkpoint, or everything when there is none. `'first'`: everything that
   * is still there, which may begin in the middle of an epoch. Default `'checkpoint'`.
   */
  readonly from?: 'checkpoint' | 'first';
}

/** What is closed and unlocked when a recovery ends. */
export interface Holdings {
  /** Closes the logs, and gives back lock and backend. */
  close(): Promise<void>;
  closeSync(): void;
}

/** A recovery over logs that are open. For this package only. */
export let recoveryOver: (io: StorageIo, directory: string, logs: RecoveredLogs, holdings: Holdings) => PerCoreRecovery;

/**
 * What a per-core log holds, found after a crash or a clean close: the last checkpoint, and behind it the entries of all
 * cores in one order. Opening it recovers the log of every core: torn tails are cut off, what is found is durable.
 */
export class PerCoreRecovery {
  /** The directory of the per-core log. */
  readonly directory: string;
  /** What was taken of the logs of the cores. */
  readonly statistics: readonly CoreStatistics[];
  readonly #io: StorageIo;
  readonly #logs: RecoveredLogs;
  readonly #holdings: Holdings;
  readonly #committed: Committed;
  #closing: Promise<void> | undefined;
  #closed = false;

  private constructor(io: StorageIo, directory: string, logs: RecoveredLogs, holdings: Holdings) {
    this.#io = io;
    this.directory = directory;
    this.#logs = logs;
    this.#holdings = holdings;
    this.statistics = Object.freeze(logs.cores.map(statisticsOf));
    this.#committed = committedBy(logs.cores);
  }

  static {
    recoveryOver = (io, directory, logs, holdings) => new PerCoreRecovery(io, directory, logs, holdings);
  }

  /**
   * Recovers the logs of all cores. Nothing else may have the per-core log open. To be closed.
   *
   * @throws `WAL_NOT_FOUND`, `WAL_LOCKED`, `WAL_CORRUPT` when something acknowledged is lost, `WAL_TRUNCATED` when
   * `toEpoch` is before the last checkpoint, what opening a log throws; `TypeError`, `RangeError` for wrong options
   */
  static async open(options: PerCoreRecoveryOptions): Promise<PerCoreRecovery> {
    const checked = checkRecovery(options);
    const { io, owned } = backendOf(options.io, 'async');
    try {
      return await stepsAsync(opening({ ...checked, io }, owned));
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
      return stepsSync(opening({ ...checked, io }, owned));
    } catch (error) {
      // Nothing is in flight when the thread goes on: there is nothing to wait for.
      if (owned) void io.dispose();
      throw error;
    }
  }

  /** The last checkpoint whose snapshot is complete; `undefined` when there is none. */
  get checkpoint(): PerCoreCheckpoint | undefined {
    return this.#logs.manifest.checkpoint;
  }

  /** A checkpoint whose snapshot was begun and not noted as complete: what there is of it is of no use. */
  get pendingCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#logs.manifest.pending;
  }

  /** What was lost, with `recoveryMode: 'salvage'`; `undefined` where nothing was. */
  get salvage(): PerCoreSalvage | undefined {
    return this.#logs.salvage;
  }

  /** The last epoch that is complete: its barrier is in the log of every core that was to have one. */
  get completeEpoch(): number {
    return this.#logs.completeEpoch;
  }

  /** The highest epoch of any entry, complete or not. */
  get lastEpoch(): number {
    return this.#logs.lastEpoch;
  }

  /** How far each source had been read by what is taken, checkpoint included: where a consumer goes on. */
  get offsets(): ReadonlyMap<string, bigint> {
    return this.#committed.offsets;
  }

  /** The lowest of the last watermarks of all cores; `undefined` when none was given. */
  get watermark(): bigint | undefined {
    return this.#committed.watermark;
  }

  /**
   * The entries of all cores in one order: by epoch, time, core and sequence. A stream: memory grows with the number of
   * cores, and not with the logs.
   *
   * @throws `WAL_CLOSED`
   */
  entries(options: EntriesOptions = {}): MergedEntries {
    const { from = 'checkpoint' } = checkOptions('options', options, ['from']);
    checkOneOf('from', from, ['checkpoint', 'first']);
    this.#throwIfClosed();
    const lsnOf = ({ before, log }: RecoveredCore): number => (from === 'first' ? log.firstLsn : before.lsn + 1);
    return new MergedEntries(
      this.#io,
      () => this.#read(async (core) => readerOf(core, await core.log.openReader(lsnOf(core)))),
      () => this.#readSync((core) => readerOf(core, core.log.openReaderSync(lsnOf(core)))),
    );
  }

  /** Closes the logs, and gives up the lock. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#holdings.close();
    return this.#closing;
  }

  /** Like {@link close}, blocking the thread. */
  closeSync(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing = Promise.resolve();
    this.#holdings.closeSync();
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

type OpenReader = ConstructorParameters<typeof EntryReader>[0];

const readerOf = ({ coreId, log, limit }: RecoveredCore, reader: OpenReader): EntryReader =>
  new EntryReader(reader, coreId, log.directory, limit);

/** What is committed by all cores. One that has left holds no watermark back, unless no other has committed anything. */
function committedBy(cores: readonly RecoveredCore[]): Committed {
  const used = cores.filter(({ taken }) => taken.joined);
  const present = used.filter(({ taken }) => !taken.left && hasCommitted(taken.committed));
  const { offsets } = committedByAll(used.map(({ taken }) => taken.committed));
  const { watermark } = committedByAll((present.length > 0 ? present : used).map(({ taken }) => taken.committed));
  return { offsets, watermark };
}

const hasCommitted = ({ offsets, watermark }: Committed): boolean => offsets.size > 0 || watermark !== undefined;

/** What is handed out is all that is to be done. */
function* endSalvage({ endSalvage, cores }: RecoveredLogs): Steps<void> {
  try {
    yield* endSalvage();
  } catch (error) {
    yield* closeAllQuietly(cores.map(({ log }) => log));
    throw error;
  }
}

/** Locks the directory and recovers what is in it. */
function* opening(settings: RecoverySettings, owned: boolean): Steps<PerCoreRecovery> {
  const { io, directory } = settings;
  const unlock = lockExisting(io, directory);
  let recovered: RecoveredLogs;
  try {
    recovered = yield* recoverLogs(settings);
    yield* endSalvage(recovered);
  } catch (error) {
    unlock();
    throw error;
  }
  const logs = recovered.cores.map(({ log }) => log);
  return recoveryOver(io, directory, recovered, {
    close: async () => {
      try {
        await stepsAsync(closeLogs(logs));
      } finally {
        unlock();
        if (owned) await io.dispose();
      }
    },
    closeSync: () => {
      try {
        stepsSync(closeLogs(logs));
      } finally {
        unlock();
        if (owned) void io.dispose();
      }
    },
  });
}

/** @throws `WAL_NOT_FOUND` when no core has a directory there; nothing is made */
function lockExisting(io: StorageIo, directory: string): () => void {
  if (!hasLog(io, directory)) {
    throw new WalError('WAL_NOT_FOUND', `no per-core log at ${directory}: nothing was made`, { path: directory });
  }
  return io.lock(join(directory, FileName.lock));
}

import { type InspectOptions, inspect } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import { WalError } from '@walstack/codec';
import { inspected, notConstructible } from '@walstack/codec/internal';
import type { StorageIo } from '@walstack/storage-io';
import { backendOf } from '@walstack/storage-io/internal';
import type { CorePlace } from '../core/core-handle.js';
import type { CoreWalWriter } from '../core/core-wal-writer.js';
import type { SharedEpochs } from '../core/epochs/epochs.js';
import { clockOf } from '../options.js';
import type { PerCoreCheckpoint } from '../recovery/manifest.js';
import type { CoreStatistics } from '../recovery/statistics.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import {
  type CheckpointCoordinator,
  makeCoordinator,
  type TakeSnapshot,
  type TruncatedLogs,
} from './checkpoint-coordinator.js';
import { LocalCore, type RetiredCore } from './local-core.js';
import { checkConfig, type PerCoreWalConfig } from './manager-config.js';
import { type OpenedManager, openManager } from './open-manager.js';
import { WorkerCore } from './worker-core.js';

/**
 * A log with one writer for each core: opens and recovers their logs together, ends epochs, makes checkpoints.
 *
 * Writers are in this thread, or each in a worker thread with a backend of its own. They share only the number of the
 * current epoch, in shared memory. An append sends nothing between threads.
 */
export class PerCoreWalManager {
  /** The directory of the per-core log. */
  readonly directory: string;
  /** What opening found in the existing logs. */
  readonly statistics: readonly CoreStatistics[];
  /** What was lost, with `recoveryMode: 'salvage'`; `undefined` when nothing was lost. */
  readonly salvage: PerCoreSalvage | undefined;
  readonly #io: StorageIo;
  readonly #ownsIo: boolean;
  readonly #unlock: () => void;
  readonly #epochs: SharedEpochs;
  readonly #cores: readonly (LocalCore | WorkerCore)[];
  readonly #retired: readonly RetiredCore[];
  readonly #coordinator: CheckpointCoordinator;
  #closing: Promise<void> | undefined;

  private constructor(opened: OpenedManager) {
    if (opened?.settings === undefined)
      throw notConstructible('PerCoreWalManager', 'use await PerCoreWalManager.open(config)');
    this.directory = opened.settings.directory;
    this.statistics = opened.statistics;
    this.salvage = opened.salvage;
    this.#io = opened.settings.io;
    this.#ownsIo = opened.ownsIo;
    this.#unlock = opened.unlock;
    this.#epochs = opened.epochs;
    this.#cores = opened.cores;
    this.#retired = opened.retired;
    const { config } = opened.settings;
    const environment = { ...opened.settings, now: clockOf(config) };
    const { epochs, cores, retired, manifest, manifestMayBeLost } = opened;
    this.#coordinator = makeCoordinator(environment, epochs, cores, retired, manifest, manifestMayBeLost);
  }

  /**
   * Opens and recovers the logs of all cores, or creates them. What it finds is durable on return. The entries of cores that
   * no longer take part stay until a checkpoint covers them.
   *
   * @throws `WAL_LOCKED`, `WAL_CORRUPT` when acknowledged entries are lost, `WAL_NOT_FOUND`, what opening a log throws;
   * what `recover` throws; `TypeError`, `RangeError` for wrong options
   */
  static async open(config: PerCoreWalConfig): Promise<PerCoreWalManager> {
    const checked = checkConfig(config);
    const { io, owned } = backendOf(config.io, 'async');
    try {
      return new PerCoreWalManager(await openManager({ ...checked, io }, owned));
    } catch (error) {
      if (owned) await io.dispose();
      throw error;
    }
  }

  /** The ids of the cores that take part. */
  get coreIds(): readonly number[] {
    return this.#cores.map(({ coreId }) => coreId);
  }

  /** The current epoch. */
  get epoch(): number {
    return this.#epochs.current;
  }

  /** The last complete checkpoint; `undefined` when there is none. */
  get lastCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#coordinator.lastCheckpoint;
  }

  /**
   * The writer of a core, in this thread.
   *
   * @throws `WAL_STATE` when writers are in worker threads, where the programs use them; `RangeError` for another core
   */
  writer(coreId: number): CoreWalWriter {
    const core = this.#coreOf(coreId);
    if (core instanceof LocalCore) return core.writer;
    throw new WalError('WAL_STATE', `the writer of core ${coreId} is in its worker thread: append there`, {
      state: 'in-worker',
    });
  }

  /**
   * A channel to the program of a worker: the other end of its `port`.
   *
   * @throws `WAL_STATE` when writers are in this thread
   */
  port(coreId: number): MessagePort {
    return this.#workerOf(coreId).port;
  }

  /**
   * Resolves with the result of a worker's program. Rejects with what it throws, or when its thread ends before.
   *
   * @throws `WAL_STATE` when writers are in this thread
   */
  finished(coreId: number): Promise<unknown> {
    return this.#workerOf(coreId).finished;
  }

  /**
   * Ends the current epoch. It is complete when this resolves: its barrier and all its entries are durable in every log, and
   * so is everything before it, and all of that survives a crash.
   *
   * @returns the epoch that has ended
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`, `WAL_CLOSED`; `WAL_STATE` when the thread of a worker has ended
   */
  async endEpoch(): Promise<number> {
    this.#throwIfClosed();
    return this.#coordinator.endEpoch();
  }

  /**
   * Makes a checkpoint: ends the epoch, awaits the snapshot, records durably that the snapshot covers everything up to the end
   * of the epoch, and then removes the segments that are no longer needed. Writers continue meanwhile, and so do
   * {@link endEpoch}, {@link truncate} and {@link close}, which do not wait for the snapshot. After a crash, recovery begins
   * from this checkpoint, or from the one before as if this one had not been begun.
   *
   * @param takeSnapshot - awaited; the snapshot must be durable then. The checkpoint's `id` is never used twice, so that it
   * can name the snapshot.
   * @throws what `takeSnapshot` throws, and then the previous checkpoint is still the last; what {@link endEpoch} throws;
   * `WAL_STATE` during another checkpoint, also inside `takeSnapshot`; `WAL_CLOSED` when the manager was closed meanwhile.
   * With the `reason` `'outcome-unknown'` a crash leaves either this checkpoint or the one before: keep both snapshots until
   * the next checkpoint. If only the removal of segments fails, {@link lastCheckpoint} is the new one already.
   */
  async checkpoint(takeSnapshot: TakeSnapshot): Promise<PerCoreCheckpoint> {
    this.#throwIfClosed();
    return this.#coordinator.checkpoint(takeSnapshot);
  }

  /** Makes everything appended so far durable, on every core. @returns the positions of each core then */
  async syncAll(): Promise<readonly CorePlace[]> {
    this.#throwIfClosed();
    return Promise.all(this.#cores.map((core) => core.sync()));
  }

  /** The positions and LSNs that the log of each core has reached. */
  async positions(): Promise<readonly CorePlace[]> {
    this.#throwIfClosed();
    return Promise.all(this.#cores.map((core) => core.place()));
  }

  /** Removes the segments that the last checkpoint covers and that could not be removed with it. */
  async truncate(): Promise<TruncatedLogs> {
    this.#throwIfClosed();
    return this.#coordinator.truncate();
  }

  /**
   * Discards every entry up to now, and everything that was committed; durable on return. Epochs and LSNs continue. The last
   * checkpoint is then one without a snapshot.
   *
   * @throws `WAL_STATE` during a checkpoint, also inside `takeSnapshot`; what {@link checkpoint} throws
   */
  async reset(): Promise<TruncatedLogs> {
    this.#throwIfClosed();
    return this.#coordinator.reset();
  }

  /**
   * Aborts the `signal` of the programs in workers and waits for them; ends the epoch, so that everything in the logs is
   * complete; and closes the logs. Idempotent. It does not wait for the snapshot of a running checkpoint, which rejects
   * with `WAL_CLOSED` while the previous one stays the last.
   *
   * @throws the first failure, after everything was closed and unlocked
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What `console.log` shows: the directory, the cores and the epoch. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { directory, coreIds, epoch } = this;
    const state = this.#closing === undefined ? 'open' : 'closed';
    return inspected(this.constructor.name, { directory, state, coreIds, epoch }, depth, options);
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (task: () => Promise<unknown>): Promise<void> => {
      try {
        await task();
      } catch (error) {
        failures.push(error);
      }
    };
    const workers = this.#cores.filter((core) => core instanceof WorkerCore);
    await Promise.all(workers.map((worker) => attempt(() => worker.stop())));
    await attempt(() => this.#coordinator.close());
    await Promise.all([...this.#cores, ...this.#retired].map((core) => attempt(() => core.close())));
    this.#unlock();
    if (this.#ownsIo) await attempt(() => this.#io.dispose());
    if (failures.length > 0) throw failures[0];
  }

  #workerOf(coreId: number): WorkerCore {
    const core = this.#coreOf(coreId);
    if (core instanceof WorkerCore) return core;
    throw new WalError('WAL_STATE', `core ${coreId} has no worker thread: its writer is in this thread`, {
      state: 'in-thread',
    });
  }

  #coreOf(coreId: number): LocalCore | WorkerCore {
    const core = this.#cores.find((each) => each.coreId === coreId);
    if (core !== undefined) return core;
    const error = new RangeError(`"coreId" must be one of ${this.coreIds.join(', ')}, received ${String(coreId)}`);
    throw Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
  }

  #throwIfClosed(): void {
    if (this.#closing === undefined) return;
    throw new WalError('WAL_CLOSED', `the per-core log in ${this.directory} is closed: open it again`, {
      path: this.directory,
      state: 'closed',
    });
  }
}

import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { checkBoolean, checkOptions, FileName, invalidType, optionNames, WalError } from '@walstack/codec';
import { makeDirectories, type StorageIo, type StorageIoName } from '@walstack/storage-io';
import type { Core, CorePlace } from '../core/core-handle.js';
import { type CoreWalWriter, writerOver } from '../core/core-wal-writer.js';
import { stepsAsync } from '../core/dual-mode-routine.js';
import { SharedEpochs } from '../core/epochs.js';
import {
  backendOf,
  checkCores,
  checkKnown,
  checkModuleReference,
  checkRecovery,
  clockOf,
  type LogOptions,
  type ModuleReference,
  type PerCoreRecoveryOptions,
  type RecoverySettings,
} from '../options.js';
import { type Settled, settle } from '../recovery/finalize-recovery.js';
import { hasLog, type PerCoreCheckpoint } from '../recovery/manifest.js';
import { type PerCoreRecovery, recoveryOver } from '../recovery/per-core-recovery.js';
import { closeAllQuietly, closeLogs, type RecoveredLogs, recoverLogs } from '../recovery/recovered-logs.js';
import type { CoreStatistics } from '../recovery/statistics.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import { CheckpointCoordinator, type TakeSnapshot, type TruncatedLogs } from './checkpoint-coordinator.js';
import { LocalCore, RetiredCore } from './local-core.js';
import { contentOf } from './worker.js';
import { WorkerCore } from './worker-core.js';
import type { LogContent } from './worker-protocol.js';

/** How the writers of a per-core log run in worker threads of their own. */
export interface CoreWorkers {
  /** What appends: a `CoreProgram`, called once in each worker. */
  readonly run: ModuleReference;
  /**
   * Makes what cannot be sent to another thread: a `ConfigureCore`, called in each worker before its log is opened. What
   * it returns goes before the options of the manager. Needed when these hold a backend, a callback or keys.
   */
  readonly configure?: ModuleReference;
}

/** How a {@link PerCoreWalManager} is opened. */
export interface PerCoreWalConfig extends Omit<PerCoreRecoveryOptions, 'toEpoch'> {
  /** How many cores, with the ids 0, 1, 2 …, or their ids. They may be others than the last time. */
  readonly cores: number | readonly number[];
  /** Make a new log where there is none. Default `true`; with `false`, `WAL_NOT_FOUND` and nothing is made. */
  readonly create?: boolean;
  /**
   * Given what is found, before anything is appended or dropped: the place to load the snapshot of the last checkpoint and
   * to go over the entries behind it. Awaited; what it throws is thrown by `open`, and nothing was dropped.
   */
  readonly recover?: (recovery: PerCoreRecovery) => unknown;
  /** Writers in worker threads. Default: in this thread, see {@link PerCoreWalManager.writer}. */
  readonly workers?: CoreWorkers;
}

/** Besides those of the logs. What recovery could leave out is not among them: here it would be dropped for good. */
const OPTIONS = optionNames<Omit<PerCoreWalConfig, keyof LogOptions>>({
  directory: true,
  io: true,
  incomplete: true,
  cores: true,
  create: true,
  recover: true,
  workers: true,
  recoveryMode: true,
  salvageLsn: true,
});

const KNOWN_OF_WORKERS = optionNames<CoreWorkers>({ run: true, configure: true });

/** What cannot be sent to another thread. */
const OF_ONE_THREAD: readonly (keyof LogOptions)[] = ['now', 'setTimer', 'randomBytes', 'onFailure', 'keyRing'];

/**
 * A log with one writer for each core: opens and recovers them together, ends epochs, makes checkpoints.
 *
 * Writers are in this thread, or each is in a worker thread of its own, with a backend of its own. What they share is the
 * number of the present epoch, in shared memory. To append, nothing is sent from thread to thread.
 */
export class PerCoreWalManager {
  /** The directory of the per-core log. */
  readonly directory: string;
  /** What opening found in the logs that were there. */
  readonly statistics: readonly CoreStatistics[];
  /** What was lost, with `recoveryMode: 'salvage'`; `undefined` where nothing was. */
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
    this.directory = opened.settings.directory;
    this.statistics = opened.statistics;
    this.salvage = opened.salvage;
    this.#io = opened.settings.io;
    this.#ownsIo = opened.ownsIo;
    this.#unlock = opened.unlock;
    this.#epochs = opened.epochs;
    this.#cores = opened.cores;
    this.#retired = opened.retired;
    const { io, config } = opened.settings;
    const world = { io, now: clockOf(config) };
    const all: readonly Core[] = [...opened.cores, ...opened.retired];
    const { manifest, manifestUnsure } = opened;
    this.#coordinator = new CheckpointCoordinator(world, this.directory, opened.epochs, all, manifest, manifestUnsure);
  }

  /**
   * Opens the logs of all cores, recovering them, or makes new ones. What is found is durable on return. Where cores are
   * fewer than the last time, the entries of the others stay until a checkpoint has them.
   *
   * @throws `WAL_LOCKED`, `WAL_CORRUPT` when something acknowledged is lost, `WAL_NOT_FOUND`, what opening a log throws;
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

  /** The present epoch. */
  get epoch(): number {
    return this.#epochs.current;
  }

  /** The last checkpoint that is complete; `undefined` when there is none. */
  get lastCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#coordinator.lastCheckpoint;
  }

  /**
   * The writer of a core, in this thread.
   *
   * @throws `WAL_STATE` when writers are in worker threads, whose programs have them; `RangeError` for another core
   */
  writer(coreId: number): CoreWalWriter {
    const core = this.#coreOf(coreId);
    if (core instanceof LocalCore) return core.writer;
    throw new WalError('WAL_STATE', `the writer of core ${coreId} is in its worker thread: append there`, {
      state: 'in-worker',
    });
  }

  /**
   * For talking with the program of a worker: the other end of its `port`.
   *
   * @throws `WAL_STATE` when writers are in this thread
   */
  port(coreId: number): MessagePort {
    return this.#workerOf(coreId).port;
  }

  /**
   * What the program of a worker returns. Rejects with what it throws, and when its thread ends before.
   *
   * @throws `WAL_STATE` when writers are in this thread
   */
  finished(coreId: number): Promise<unknown> {
    return this.#workerOf(coreId).finished;
  }

  /**
   * Ends the present epoch. When this resolves it is complete: its barrier is durable in every log, and so is everything in
   * it. After a crash, it is there with everything that came before it in any log.
   *
   * @returns the epoch that has ended
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`, `WAL_CLOSED`; `WAL_STATE` when the thread of a worker has ended
   */
  async endEpoch(): Promise<number> {
    this.#throwIfClosed();
    return this.#coordinator.endEpoch();
  }

  /**
   * Makes a checkpoint: ends the epoch, has the snapshot taken, notes durably that the snapshot stands for everything up to
   * the end of the epoch, and then removes the segments that are not needed any more. Writers go on meanwhile, and so do
   * {@link endEpoch}, {@link truncate} and {@link close}, which do not wait for the snapshot. After a crash, recovery begins
   * from this checkpoint, or from the one before as if this one had not been begun.
   *
   * @param takeSnapshot - awaited; the snapshot has to be durable then. The checkpoint's `id` is never used twice, so that
   * it can name the snapshot.
   * @throws what `takeSnapshot` throws, and then the checkpoint before it is still the last; what {@link endEpoch} throws;
   * `WAL_STATE` while another checkpoint is being made, also inside `takeSnapshot`; `WAL_CLOSED` when the manager was closed
   * meanwhile. With the `reason` `'outcome-unknown'` a crash leaves this checkpoint or the one before: keep both snapshots
   * until the next checkpoint. Where only removing segments fails, {@link lastCheckpoint} is the new one already.
   */
  async checkpoint(takeSnapshot: TakeSnapshot): Promise<PerCoreCheckpoint> {
    this.#throwIfClosed();
    return this.#coordinator.checkpoint(takeSnapshot);
  }

  /** Makes everything durable that was appended so far, on every core. @returns where each stands then */
  async syncAll(): Promise<readonly CorePlace[]> {
    this.#throwIfClosed();
    return Promise.all(this.#cores.map((core) => core.sync()));
  }

  /** Where the log of each core stands. */
  async positions(): Promise<readonly CorePlace[]> {
    this.#throwIfClosed();
    return Promise.all(this.#cores.map((core) => core.place()));
  }

  /** Drops the segments that the last checkpoint has made superfluous, and that were not dropped with it. */
  async truncate(): Promise<TruncatedLogs> {
    this.#throwIfClosed();
    return this.#coordinator.truncate();
  }

  /**
   * Forgets every entry up to now, and everything that was committed; durable on return. Epochs and LSNs go on. The last
   * checkpoint is then one without a snapshot.
   *
   * @throws `WAL_STATE` while a checkpoint is being made, also inside `takeSnapshot`; what {@link checkpoint} throws
   */
  async reset(): Promise<TruncatedLogs> {
    this.#throwIfClosed();
    return this.#coordinator.reset();
  }

  /**
   * Ends the programs of workers, whose `signal` is aborted, and waits for them; ends the epoch, so that everything in the
   * logs is complete; and closes them. Idempotent. A checkpoint whose snapshot is being taken is not waited for: it rejects
   * with `WAL_CLOSED`, and the one before stays the last.
   *
   * @throws the first failure, when everything was closed and unlocked
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
    throw new WalError('WAL_STATE', `core ${coreId} has no worker thread: its writer is in this one`, {
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

/** A configuration that was checked, as far as the logs do not check it. */
interface ManagerSettings extends RecoverySettings {
  readonly cores: readonly number[];
  readonly create: boolean;
  readonly recover: ((recovery: PerCoreRecovery) => unknown) | undefined;
  readonly workers: CheckedWorkers | undefined;
}

interface CheckedWorkers {
  readonly run: Required<ModuleReference>;
  readonly configure: Required<ModuleReference> | undefined;
  /** The backend of each worker. */
  readonly io: StorageIoName;
}

interface OpenedManager {
  readonly settings: ManagerSettings;
  readonly ownsIo: boolean;
  readonly unlock: () => void;
  readonly epochs: SharedEpochs;
  readonly cores: readonly (LocalCore | WorkerCore)[];
  readonly retired: readonly RetiredCore[];
  readonly manifest: Settled['manifest'];
  readonly manifestUnsure: boolean;
  readonly statistics: readonly CoreStatistics[];
  readonly salvage: PerCoreSalvage | undefined;
}

function checkConfig(config: PerCoreWalConfig): Omit<ManagerSettings, 'io'> {
  const { cores, create = true, recover, workers, ...recovery } = checkKnown('config', config, OPTIONS);
  if (recover !== undefined && typeof recover !== 'function') throw invalidType('recover', 'a function', recover);
  return {
    ...checkRecovery(recovery),
    cores: checkCores(cores),
    create: checkBoolean('create', create),
    recover,
    workers: workers === undefined ? undefined : checkWorkers(workers, recovery.io, recovery),
  };
}

function checkWorkers(workers: CoreWorkers, io: PerCoreWalConfig['io'], logs: LogOptions): CheckedWorkers {
  const { run, configure } = checkOptions('workers', workers, KNOWN_OF_WORKERS);
  const stuck = OF_ONE_THREAD.find((name) => logs[name] !== undefined);
  if (configure === undefined && (stuck !== undefined || typeof io === 'object')) {
    const error = new TypeError(
      `"${stuck ?? 'io'}" cannot be sent to a worker thread: name a function that makes it there, as "workers.configure"`,
    );
    throw Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
  }
  return {
    run: checkModuleReference('workers.run', run),
    configure: configure === undefined ? undefined : checkModuleReference('workers.configure', configure),
    io: typeof io === 'string' ? io : 'auto',
  };
}

async function openManager(settings: ManagerSettings, ownsIo: boolean): Promise<OpenedManager> {
  const { io, directory, create } = settings;
  if (!hasLog(io, directory)) {
    if (!create)
      throw new WalError('WAL_NOT_FOUND', `no per-core log at ${directory}: nothing was made`, { path: directory });
    makeDirectories(io, directory);
  }
  const unlock = io.lock(join(directory, FileName.lock));
  try {
    const recovered = await stepsAsync(recoverLogs(settings));
    return { ...(await settleAndStart(settings, recovered)), settings, ownsIo, unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

type Started = Omit<OpenedManager, 'settings' | 'ownsIo' | 'unlock'>;

async function settleAndStart(settings: ManagerSettings, recovered: RecoveredLogs): Promise<Started> {
  const { io, directory, recover, config } = settings;
  const started: WorkerCore[] = [];
  let logs = recovered.cores.map(({ log }) => log);
  try {
    const recovery = recoveryOver(io, directory, recovered, NOTHING_HELD);
    const { statistics } = recovery;
    await recover?.(recovery);
    await recovery.close();
    const settled = await stepsAsync(settle(settings, recovered, settings.cores));
    logs = [...settled.members.map(({ log }) => log), ...logs];
    const epochs = SharedEpochs.create(settled.epoch);
    const retired = settled.retired.map(({ writer, barrier }) => new RetiredCore(writer, barrier));
    const { manifest, manifestUnsure } = settled;
    const now = config.now === undefined ? {} : { now: config.now };
    const found = { retired, manifest, manifestUnsure, statistics, salvage: recovered.salvage };
    if (settings.workers === undefined) {
      const cores = settled.members.map(
        ({ log, coreId, state }) => new LocalCore(writerOver(log, coreId, state, { epochs, managed: true, ...now })),
      );
      return { ...found, epochs, cores };
    }
    // Each log is opened again in its thread, with the backend of that.
    const contents = new Map(settled.members.map(({ coreId, log }) => [coreId, contentOf(log)]));
    await stepsAsync(closeLogs(settled.members.map(({ log }) => log)));
    const workers = { ...settings.workers, directory, config: clonable(config), epochs: epochs.buffer };
    const starting = settled.members.map(async ({ coreId, state }) => {
      const content = contents.get(coreId) as LogContent;
      const core = await WorkerCore.start({ ...workers, coreId, state, content });
      started.push(core);
      return core;
    });
    await Promise.allSettled(starting);
    return { ...found, epochs, cores: await Promise.all(starting) };
  } catch (error) {
    await Promise.allSettled(started.map(endWorker));
    await stepsAsync(closeAllQuietly([...new Set(logs)]));
    throw error;
  }
}

async function endWorker(core: WorkerCore): Promise<void> {
  await core.stop();
  await core.close();
}

/** What of the options of logs can be sent to another thread; the rest is made there. */
function clonable(config: LogOptions): LogOptions {
  return Object.fromEntries(Object.entries(config).filter(([name]) => !OF_ONE_THREAD.some((each) => each === name)));
}

/** The logs go on with the manager when its recovery ends. */
const NOTHING_HELD = { close: async () => {}, closeSync: () => {} };

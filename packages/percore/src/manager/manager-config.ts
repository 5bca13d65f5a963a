import { checkBoolean, checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { StorageIoName } from '@walstack/storage-io';
import {
  checkCores,
  checkModuleReference,
  checkRecovery,
  LOG_NAMES,
  type LogOptions,
  type ModuleReference,
  type PerCoreRecoveryOptions,
  type RecoverySettings,
} from '../options.js';
import type { PerCoreRecovery } from '../recovery/per-core-recovery.js';

/** How the writers of a per-core log run in worker threads of their own. */
export interface CoreWorkers {
  /** The function that appends: a `CoreProgram`, called once in each worker. */
  readonly run: ModuleReference;
  /**
   * Makes the options that cannot be sent to another thread: a `ConfigureCore`, called in each worker before its log is
   * opened. Its result overrides the options of the manager. Needed when these contain a backend, a callback or keys.
   */
  readonly configure?: ModuleReference;
}

/** How a `PerCoreWalManager` is opened. */
export interface PerCoreWalConfig extends Omit<PerCoreRecoveryOptions, 'toEpoch'> {
  /** The number of cores, with the ids 0, 1, 2 …, or their ids. They may differ from those of the last opening. */
  readonly cores: number | readonly number[];
  /** Create a log when there is none. Default `true`; with `false`, `WAL_NOT_FOUND` and nothing is created. */
  readonly create?: boolean;
  /**
   * Called with the recovered content before anything is appended or dropped, to load the snapshot of the last checkpoint
   * and apply the entries after it. Awaited; `open` throws what it throws, with nothing dropped.
   */
  readonly recover?: (recovery: PerCoreRecovery) => unknown;
  /** Writers in worker threads. Default: in this thread, see `PerCoreWalManager.writer`. */
  readonly workers?: CoreWorkers;
}

/** Options besides those of the logs. `toEpoch` is not among them: here, later epochs would be dropped for good. */
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
  signal: true,
  onProgress: true,
});

/** The names of all options, those of the logs first. */
export const CONFIG_NAMES: readonly (keyof PerCoreWalConfig)[] = [...LOG_NAMES, ...OPTIONS];

const WORKER_OPTIONS = optionNames<CoreWorkers>({ run: true, configure: true });

/** Options whose values cannot be sent to another thread. */
const THREAD_BOUND_OPTIONS: readonly (keyof LogOptions)[] = ['now', 'setTimer', 'randomBytes', 'onFailure', 'keyRing'];

/** A checked configuration; the logs check their own options. */
export interface ManagerSettings extends RecoverySettings {
  readonly cores: readonly number[];
  readonly create: boolean;
  readonly recover: ((recovery: PerCoreRecovery) => unknown) | undefined;
  readonly workers: CheckedWorkers | undefined;
}

export interface CheckedWorkers {
  readonly run: Required<ModuleReference>;
  readonly configure: Required<ModuleReference> | undefined;
  /** The backend of each worker. */
  readonly io: StorageIoName;
}

/** The checked configuration, without its backend. @throws `TypeError`, `RangeError` with Node's codes */
export function checkConfig(config: PerCoreWalConfig): Omit<ManagerSettings, 'io'> {
  const { cores, create = true, recover, workers, ...recovery } = checkOptions('config', config, CONFIG_NAMES);
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
  const { run, configure } = checkOptions('workers', workers, WORKER_OPTIONS);
  const threadBound = THREAD_BOUND_OPTIONS.find((name) => logs[name] !== undefined);
  if (configure === undefined && (threadBound !== undefined || typeof io === 'object')) {
    const error = new TypeError(
      `"${threadBound ?? 'io'}" cannot be sent to a worker thread: name a function that makes it there, as "workers.configure"`,
    );
    throw Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
  }
  return {
    run: checkModuleReference('workers.run', run),
    configure: configure === undefined ? undefined : checkModuleReference('workers.configure', configure),
    io: typeof io === 'string' ? io : 'auto',
  };
}

/** The options of logs that can be sent to another thread; the others are made there. */
export function cloneableOptions(config: LogOptions): LogOptions {
  return Object.fromEntries(
    Object.entries(config).filter(([name]) => !THREAD_BOUND_OPTIONS.some((each) => each === name)),
  );
}

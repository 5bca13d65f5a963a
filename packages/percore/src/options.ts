import {
  checkInteger,
  checkLsn,
  checkOneOf,
  checkOptions,
  checkPath,
  checkPathText,
  invalidType,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import type { LongCallOptions, WalProgress } from '@walstack/mmap-reader';
import { checkLongCall, PAYLOAD_BYTES_MAX } from '@walstack/mmap-reader/internal';
import { type Environment, type SegmentedWalConfig, systemEnvironment } from '@walstack/segmented';
import { LOG_OPTION_NAMES, LOG_OPTIONS } from '@walstack/segmented/internal';
import type { StorageIo } from '@walstack/storage-io';
import { checkCoreId } from './core/core-directory.js';
import { ENTRY_HEADER_BYTES } from './core/entries/entry.js';
import { RecoveryWatch } from './recovery/recovery-watch.js';

/** Options of a log that a per-core log decides: retention is a matter of checkpoints. Cores accept all others. */
const DECIDED_HERE = [
  'directory',
  'create',
  'io',
  'firstLsn',
  'coreId',
  'retainBytes',
  'retainAgeMs',
  'retainUntilCheckpoint',
  'followerExpiryMs',
  'recoveryMode',
  'salvageLsn',
  'lockTimeoutMs',
  'signal',
  'onProgress',
] as const satisfies readonly (keyof SegmentedWalConfig)[];

/** Options that apply to the log of every core. */
export type LogOptions = Omit<SegmentedWalConfig, (typeof DECIDED_HERE)[number]>;

/** The names of the options that apply to the log of every core. */
export const LOG_NAMES: readonly (keyof LogOptions)[] = LOG_OPTION_NAMES.filter(
  (name): name is keyof LogOptions => !DECIDED_HERE.some((each) => each === name),
);

/**
 * Returns `options` when each of them is an option of the logs or among `more`.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) for an unknown option, so that a misspelt one is not ignored
 */
export function checkKnown<T extends LogOptions>(name: string, options: T, more: readonly (keyof T & string)[]): T {
  return checkOptions(name, options, [...LOG_NAMES, ...more]);
}

/** Whether recovery takes the entries of incomplete epochs at the end of the logs, or leaves them out. */
export type Incomplete = 'take' | 'leave';

/** How recovery treats damage, see {@link PerCoreRecoveryOptions.recoveryMode}. */
export type PerCoreRecoveryMode = 'strict' | 'salvage';

/** The checked settings of a recovery. */
export interface RecoverySettings extends LogDirectory {
  readonly incomplete: Incomplete;
  /** The last epoch that is read; `Infinity` for all. */
  readonly toEpoch: number;
  readonly recoveryMode: PerCoreRecoveryMode;
  /** LSNs by the id of a core. */
  readonly salvageLsn: Readonly<Record<number, number>>;
  /** The options of each log, besides directory, core and backend. */
  readonly config: LogOptions;
  readonly watch: RecoveryWatch;
}

/** The directory of a per-core log, and with which permissions files and directories are made there. */
export interface LogDirectory {
  readonly io: StorageIo;
  readonly directory: string;
  readonly fileMode: number;
  readonly directoryMode: number;
}

/** How a per-core log is recovered. */
export interface PerCoreRecoveryOptions extends LogOptions, LongCallOptions {
  /** The directory of the per-core log, which holds the directories of the cores: a path or a `file:` URL. */
  readonly directory: string | URL;
  /**
   * The backend of the logs, as an instance or a name. An instance stays open afterwards; a backend opened by name is
   * disposed with the recovery. Default `'auto'`.
   */
  readonly io?: SegmentedWalConfig['io'];
  /**
   * What to do with entries at the end whose epochs are not complete because a crash came before their barrier was durable
   * in every log: `'take'` takes all entries that are there; `'leave'` takes only complete epochs, so that no entry is
   * taken without the entries that came before it in other logs. Default `'take'`.
   */
  readonly incomplete?: Incomplete;
  /** The last epoch that is read, at least that of the last checkpoint. Default: all. */
  readonly toEpoch?: number;
  /**
   * What to do when acknowledged entries are lost. Default `'strict'`: opening fails with `WAL_CORRUPT`, and changes
   * nothing, except that torn tails of logs that are sound by themselves may be cut off. `'salvage'` continues with what
   * remains of each core's log, keeps what it discards in `quarantine/`, and reports the loss in `salvage`; when nothing
   * is lost, it does the same as `'strict'`.
   */
  readonly recoveryMode?: PerCoreRecoveryMode;
  /** With `'salvage'`, for logs whose error asks for one: by the core's id, the LSN that the log continues with. */
  readonly salvageLsn?: Readonly<Record<number, number>>;
  /**
   * Ends the opening while it reads the logs: it rejects with `WAL_ABORTED`, and all locks are released. The logs that were
   * recovered by then stay so; nothing else was changed. From the first change that a salvage makes on it is not seen.
   */
  readonly signal?: AbortSignal;
  /**
   * Called while opening reads the logs, each of them twice: at most once in each turn of the event loop, and when
   * everything was read. An error that it throws ends the opening as `signal` does, and the call rejects with it.
   */
  readonly onProgress?: (progress: WalProgress) => void;
}

/** A function in a module that another thread can import. */
export interface ModuleReference {
  /** The argument of `import()`: a `file:` URL, an absolute path or the name of a package. */
  readonly module: string;
  /** The name of the export. Default `'default'`. */
  readonly export?: string;
  /** Passed to the function; anything that can be cloned for another thread. */
  readonly options?: unknown;
}

const MODULE_REFERENCE = optionNames<ModuleReference>({ module: true, export: true, options: true });

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkModuleReference(name: string, reference: unknown): Required<ModuleReference> {
  if (typeof reference !== 'object' || reference === null) throw invalidType(name, 'an object', reference);
  const known = checkOptions(name, reference as Partial<ModuleReference>, MODULE_REFERENCE);
  const { module, export: exported = 'default', options } = known;
  if (typeof exported !== 'string') throw invalidType(`${name}.export`, 'a string', exported);
  return { module: checkPathText(`${name}.module`, module), export: exported, options };
}

/** The ids that `cores` names. @throws `TypeError`, `RangeError` with Node's codes */
export function checkCores(cores: unknown): readonly number[] {
  if (typeof cores === 'number') {
    return Array.from({ length: checkInteger('cores', cores, 1, CORES_MAX) }, (_, index) => index);
  }
  if (!Array.isArray(cores)) throw invalidType('cores', 'a number, or an array of ids', cores);
  const ids = cores.map((coreId, index) => checkCoreId(`cores[${index}]`, coreId)).sort((a, b) => a - b);
  if (ids.length === 0 || ids.length > CORES_MAX) throw outOfRange('cores', `1 to ${CORES_MAX} ids`, cores);
  if (new Set(ids).size !== ids.length) throw outOfRange('cores', 'ids that differ', cores);
  return ids;
}

const CORES_MAX = 4096;
const INCOMPLETE: readonly Incomplete[] = ['take', 'leave'];
const RECOVERY_MODES: readonly PerCoreRecoveryMode[] = ['strict', 'salvage'];
const OPTIONS = optionNames<Omit<PerCoreRecoveryOptions, keyof LogOptions>>({
  directory: true,
  io: true,
  incomplete: true,
  toEpoch: true,
  recoveryMode: true,
  salvageLsn: true,
  signal: true,
  onProgress: true,
});

/** The options of recovery, checked and without their backend. The logs check the values of their own options. */
export function checkRecovery(options: PerCoreRecoveryOptions): Omit<RecoverySettings, 'io'> {
  const {
    directory,
    io: _io,
    incomplete = 'take',
    toEpoch,
    recoveryMode = 'strict',
    salvageLsn = {},
    signal,
    onProgress,
    ...config
  } = checkKnown('options', options, OPTIONS);
  return {
    recoveryMode: checkRecoveryMode(recoveryMode),
    salvageLsn: checkSalvageLsn(salvageLsn),
    config,
    watch: new RecoveryWatch(checkLongCall(signal, onProgress)),
    directory: checkPath('directory', directory),
    ...modesOf(config),
    incomplete: checkOneOf('incomplete', incomplete, INCOMPLETE),
    toEpoch: toEpoch === undefined ? Number.POSITIVE_INFINITY : checkInteger('toEpoch', toEpoch, 0),
  };
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkRecoveryMode(mode: unknown): PerCoreRecoveryMode {
  if (mode === 'skip-corrupt') {
    const why = 'a hole may have held the barrier of an epoch, or a commit, which the entries of other cores depend on';
    throw outOfRange('recoveryMode', `'strict' or 'salvage' for a per-core log (${why})`, mode);
  }
  return checkOneOf('recoveryMode', mode, RECOVERY_MODES);
}

function checkSalvageLsn(salvageLsn: Readonly<Record<number, number>>): Readonly<Record<number, number>> {
  if (typeof salvageLsn !== 'object' || salvageLsn === null) throw invalidType('salvageLsn', 'an object', salvageLsn);
  for (const [coreId, lsn] of Object.entries(salvageLsn)) {
    checkCoreId('salvageLsn', Number(coreId));
    checkLsn(`salvageLsn.${coreId}`, lsn);
  }
  return salvageLsn;
}

/** The longest value: the payload in the log also contains the header of the entry. */
const VALUE_BYTES_MAX = PAYLOAD_BYTES_MAX - ENTRY_HEADER_BYTES;

/** The options that the log of a core is opened with: its payloads are longer than the values in them. */
export function logConfigOf<T extends LogOptions>(config: T): T {
  const { maxPayloadBytes = LOG_OPTIONS.maxPayloadBytes.default } = config;
  const bytes = checkInteger('maxPayloadBytes', maxPayloadBytes, 0, VALUE_BYTES_MAX);
  return { ...config, maxPayloadBytes: bytes + ENTRY_HEADER_BYTES };
}

/** The permissions from the options, or their defaults. @throws `TypeError`, `RangeError` with Node's codes */
export function modesOf(config: LogOptions): Pick<LogDirectory, 'fileMode' | 'directoryMode'> {
  const { fileMode, directoryMode } = LOG_OPTIONS;
  return {
    fileMode: fileMode.check('fileMode', config.fileMode ?? fileMode.default),
    directoryMode: directoryMode.check('directoryMode', config.directoryMode ?? directoryMode.default),
  };
}

/** The clock from the options, or the system's. */
export const clockOf = ({ now = systemEnvironment.now }: Pick<LogOptions, 'now'>): Environment['now'] => now;

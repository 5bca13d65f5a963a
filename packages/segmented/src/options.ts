import {
  type CompressionOptions,
  Compressor,
  DEFAULT_BLOCK_BYTES,
  KeyRing,
  type Lsn,
  type WalError,
} from '@walstack/codec';
import {
  type CheckedOptions,
  checkAll,
  checkBlockBytes,
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOneOf,
  checkOptions,
  checkPath,
  invalidType,
  namesIn,
  type OptionTable,
  optional,
  PAYLOAD_BYTES_DEFAULT,
} from '@walstack/codec/internal';
import type { LongCallOptions, WalProgress } from '@walstack/mmap-reader';
import { checkLongCall, checkMaxPayloadBytes, checkOnProgress } from '@walstack/mmap-reader/internal';
import type { StorageIo, StorageIoName } from '@walstack/storage-io';
import { checkOwnMode, checkSignal, DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT } from '@walstack/storage-io/internal';
import { type Environment, systemEnvironment } from './environment.js';
import { RECOVERY_MODES, type RecoveryMode } from './recovery/recovery-report.js';

/** How blocks are preallocated. */
export type Preallocation = 'none' | 'allocate' | 'write';

const PREALLOCATIONS: readonly Preallocation[] = ['none', 'allocate', 'write'];

/** The longest time that a timer of Node.js can wait for. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** How a {@link SegmentedWal} is opened. */
export interface SegmentedWalConfig extends LongCallOptions {
  /**
   * The directory of the log, which must hold nothing else: a path or a `file:` URL. Created when missing, with its parents.
   */
  readonly directory: string | URL;
  /**
   * The permissions of the files that the log makes: the bits of `chmod`, whatever the umask of the process; at least
   * 0o600. Existing files keep theirs. With 0o644, other users can read the log, if they can reach it. Default `0o600`:
   * the owner only.
   */
  readonly fileMode?: number;
  /**
   * The permissions of the directories that the log makes: its own, parents of it that are missing, `quarantine`; at least
   * 0o700. Existing directories keep theirs. With 0o755, other users can reach the files. Default `0o700`: the owner only.
   */
  readonly directoryMode?: number;
  /** Create a new log where there is none. Default `true`; with `false`, `WAL_NOT_FOUND` and nothing is created. */
  readonly create?: boolean;
  /**
   * The backend, or its name. A backend that is passed in stays open when the log is closed; one that is named is opened
   * and closed with the log. Default `'auto'`: the choice of `openStorageIo`; for `openSync` a backend that can block.
   */
  readonly io?: StorageIo | StorageIoName;
  /**
   * Size of a segment, in bytes: the log rolls to a new segment when a record would make the current one larger. A record
   * that is larger than this gets a segment of its own. At least two blocks. Default 64 MiB.
   */
  readonly segmentBytes?: number;
  /** Block size of new segments, a power of two from 512 to 65,536 bytes. Default 4096. */
  readonly blockBytes?: number;
  /**
   * Pad every group to the end of its block, so that a block with acknowledged data is never written again. Costs space:
   * a block for each group. Default `false`.
   */
  readonly padGroups?: boolean;
  /**
   * The largest number of groups in flight, if the backend can have several durable writes in flight; else it is one. 1 to
   * 256. Default 16.
   */
  readonly maxInFlight?: number;
  /**
   * Use direct I/O, around the page cache, if the backend and the file system support it. Writes are then of whole blocks:
   * a group begins in the block that holds the end of the last one, or, while that block is being written, in the next
   * one. Without direct I/O only one group is in flight. Default `true`.
   */
  readonly directIo?: boolean;
  /**
   * How the file of the next segment is prepared while the present one is written, so that a durable write does not have to
   * extend a file: `'write'` writes zeros, `'allocate'` only reserves space, `'none'` does nothing. The first segment has 256
   * KiB, and each next one that was ready in time four times as many, up to `segmentBytes`. For groups of more than 128 KiB on
   * average nothing is prepared. Default `'write'` if the backend can have several groups in flight, else `'none'`.
   */
  readonly preallocate?: Preallocation;
  /**
   * The largest number of freed segment files that are kept for reuse instead of being removed; 0 to 1024. Requires a
   * backend with locks on open files. Only files that were written since the log was opened and have no other hard link
   * are kept, and no more than were taken since files were freed last. Default 4 if segments are prepared, else 0.
   */
  readonly recycleSegments?: number;
  /**
   * Room that is kept for a full disk, in bytes: a file of this size in the directory, which is shortened when a checkpoint, a
   * hold, a truncation or closing the log finds no room, and made again when there is room. 0 to 1 GiB; 0 removes one that is
   * there. Default 65536 if segments are prepared, else 0; by default one that is there is not removed.
   */
  readonly reserveBytes?: number;
  /** The longest payload, in bytes; 0 to 1 GiB. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
  /**
   * The limit of bytes appended and not yet written: beyond it `append` throws `WAL_BACKPRESSURE`. At least 1. Default
   * 64 MiB.
   */
  readonly maxPendingBytes?: number;
  /** Write a mark when nothing was appended for this time, in milliseconds; 0 turns it off. Default 50. */
  readonly markAfterMs?: number;
  /** The first LSN of a new log; ignored for an existing log. Default 1. */
  readonly firstLsn?: Lsn;
  /**
   * Called once when the log fails permanently, also when no call is waiting, with the value that `failure` has from
   * then on.
   */
  readonly onFailure?: (failure: WalError) => void;
  /**
   * The core that the log belongs to, 0 to 2^32 − 2. It is stored in the header of every segment, and a log of another
   * core, or of none, is rejected. Default: a new log belongs to no core, and any log is accepted.
   */
  readonly coreId?: number;
  /**
   * Drop the oldest segments that are not needed any more while the log is larger than this, in bytes; 0 drops them at
   * once. Records above the checkpoint (see {@link retainUntilCheckpoint}) or needed by a hold stay, and so does the newest
   * segment: the log may be larger. Checked at rolls, when the checkpoint or a hold moves, and when a hold is released.
   * Default: nothing is dropped because of the size.
   */
  readonly retainBytes?: number;
  /**
   * The same for segments whose last record is older than this, in milliseconds. The age of the last record is measured
   * from the creation of the next segment, so that no younger record is dropped. With `retainBytes` as well, a segment is
   * dropped for either reason. Default: nothing is dropped because of its age.
   */
  readonly retainAgeMs?: number;
  /**
   * Retention drops nothing above the checkpoint, which the application may still need. With `false` it does, as for a
   * queue whose readers keep up or set holds. Default `true`.
   */
  readonly retainUntilCheckpoint?: boolean;
  /**
   * Followers with a name, in other processes, whose process is not known to be alive hold nothing any more when they have not
   * stored anything for this time, in milliseconds; at least 60,000, as an open follower stores its position, or that it is
   * there, every 10 seconds. Default: never.
   */
  readonly followerExpiryMs?: number;
  /**
   * The keys of the log: the current one encrypts new segments, older segments are read with the key that their header
   * names. Default none: nothing is encrypted, and a log whose newest records are encrypted is rejected with `WAL_BAD_KEY`.
   */
  readonly keyRing?: KeyRing | undefined;
  /**
   * Accept plaintext records although a key ring is given: for a log that was not encrypted so far, until it has an
   * encrypted record. Without it, plaintext records are accepted only if a later encrypted segment proves that they were
   * written before the log was encrypted, so that they cannot be forged without the key. Default `false`.
   */
  readonly allowPlaintext?: boolean;
  /** Compress payloads from a certain length on, if that makes them smaller. Default: no compression. */
  readonly compression?: CompressionOptions;
  /**
   * What to do with a log that was not closed cleanly. Default `'strict'`: a torn tail, of which nothing had been
   * acknowledged, is cut off; if something acknowledged is lost the log is rejected with `WAL_CORRUPT` and not changed.
   * `'salvage'` continues with the records before the first lost one, moves the other files to `quarantine/` in the log's
   * directory, and reports in `recovery.salvage` what is lost; if nothing is lost it does what `'strict'` does.
   * `'skip-corrupt'` keeps every record that can be read, under its LSN, and every batch that is whole: what is lost between is
   * reported in `recovery.holes`, and readers throw `WAL_HOLE` there, or skip it. Damaged segments are replaced by copies, and moved
   * to `quarantine/`. The log of a core is rejected with `WAL_UNSUPPORTED`.
   * `'readonly'` takes no lock and changes nothing, so that a log can be read while another process writes it. It sees the
   * log as it was when it was opened, and calls that would change the log are rejected with `WAL_STATE`.
   */
  readonly recoveryMode?: RecoveryMode;
  /**
   * For `'salvage'`, if the files do not show where the log has to continue: the LSN of the next record. Records before it
   * are kept as far as they can be read without a gap, a batch as a whole or not at all. Ignored if the files show it. For
   * `'skip-corrupt'` the first LSN of a segment that is missing, or of one that follows the one below it although the files do not show that;
   * a list where there are several. The error says which LSNs are needed.
   * Default: none, and such a log is rejected.
   */
  readonly salvageLsn?: Lsn | readonly Lsn[];
  /**
   * How long to retry when another writer holds the lock, in milliseconds; 0 to 2^31 − 1. Default 0: `WAL_LOCKED` at once.
   */
  readonly lockTimeoutMs?: number;
  /**
   * Ends the opening of the log, also while it waits for the lock or for a key service: it rejects with `WAL_ABORTED`, the
   * log is unchanged, and the lock is released. It is seen as long as opening only reads; from the first change on opening
   * is done to its end. Default none.
   */
  readonly signal?: AbortSignal;
  /**
   * Called while opening reads the log: at most once in each turn of the event loop, and before anything is changed, when
   * everything was read. An error that it throws ends the opening as `signal` does, and the call rejects with it. Default
   * none.
   */
  readonly onProgress?: (progress: WalProgress) => void;
  /** The clock, milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: Environment['now'];
  /** Timers. Default `setTimeout`, not keeping the process alive. */
  readonly setTimer?: Environment['setTimer'];
  /** The source of random bytes for ids, which are copied. Default `crypto.randomBytes`. */
  readonly randomBytes?: Environment['randomBytes'];
}

const MEBIBYTE = 1024 * 1024;

/** The largest reserve. */
const RESERVE_BYTES_MAX = 1024 * MEBIBYTE;

/**
 * Every option of a log. Its names, defaults and checks are here and nowhere else: the layers above take from this table what
 * they pass on, and tests hold the READMEs and the comments above to it.
 */
export const LOG_OPTIONS = {
  directory: { default: undefined, check: checkPath },
  fileMode: { default: FILE_MODE_DEFAULT, check: (name, value) => checkOwnMode(name, value, 0o600) },
  directoryMode: { default: DIRECTORY_MODE_DEFAULT, check: (name, value) => checkOwnMode(name, value, 0o700) },
  create: { default: true, check: checkBoolean },
  io: { default: 'auto', check: (_name, io) => io }, // `backendOf` checks it, and opens it.
  segmentBytes: {
    default: 64 * MEBIBYTE,
    check: (name, value, { blockBytes }) => checkInteger(name, value, 2 * checkBlockBytes('blockBytes', blockBytes)),
  },
  blockBytes: { default: DEFAULT_BLOCK_BYTES, check: checkBlockBytes },
  padGroups: { default: false, check: checkBoolean },
  maxInFlight: { default: 16, check: (name, value) => checkInteger(name, value, 1, 256) },
  directIo: { default: true, check: checkBoolean },
  // The defaults of these three depend on the backend: `settingsFor`.
  preallocate: { default: undefined, check: optional((name, value) => checkOneOf(name, value, PREALLOCATIONS)) },
  recycleSegments: { default: undefined, check: optional((name, value) => checkInteger(name, value, 0, 1024)) },
  reserveBytes: {
    default: undefined,
    check: optional((name, value) => checkInteger(name, value, 0, RESERVE_BYTES_MAX)),
  },
  maxPayloadBytes: { default: PAYLOAD_BYTES_DEFAULT, check: (_name, value) => checkMaxPayloadBytes(value) },
  maxPendingBytes: { default: 64 * MEBIBYTE, check: (name, value) => checkInteger(name, value, 1) },
  markAfterMs: { default: 50, check: (name, value) => checkInteger(name, value, 0, TIMER_MS_MAX) },
  firstLsn: { default: 1, check: checkLsn },
  onFailure: { default: undefined, check: optional(checkFunction<(failure: WalError) => void>) },
  coreId: { default: undefined, check: optional((name, value) => checkInteger(name, value, 0, 0xffff_fffe)) },
  retainBytes: { default: undefined, check: optional((name, value) => checkInteger(name, value)) },
  retainAgeMs: { default: undefined, check: optional((name, value) => checkInteger(name, value)) },
  retainUntilCheckpoint: { default: true, check: checkBoolean },
  followerExpiryMs: { default: undefined, check: optional((name, value) => checkInteger(name, value, 60_000)) },
  keyRing: { default: undefined, check: optional(checkKeyRing) },
  allowPlaintext: { default: false, check: checkBoolean },
  compression: { default: { codec: 'none' }, check: (_name, value = {}) => Compressor.of(value) },
  recoveryMode: { default: 'strict', check: (name, value) => checkOneOf(name, value, RECOVERY_MODES) },
  salvageLsn: { default: undefined, check: checkSalvageLsn },
  lockTimeoutMs: { default: 0, check: (name, value) => checkInteger(name, value, 0, TIMER_MS_MAX) },
  signal: { default: undefined, check: (_name, value) => checkSignal(value) },
  onProgress: { default: undefined, check: (name, value) => checkOnProgress(name, value) },
  now: { default: systemEnvironment.now, check: checkFunction<Environment['now']> },
  setTimer: { default: systemEnvironment.setTimer, check: checkFunction<Environment['setTimer']> },
  randomBytes: { default: systemEnvironment.randomBytes, check: checkFunction<Environment['randomBytes']> },
} satisfies OptionTable<SegmentedWalConfig, { compression: Compressor | undefined }>;

/** The names of all options. */
export const LOG_OPTION_NAMES = namesIn(LOG_OPTIONS);

type Checked = CheckedOptions<typeof LOG_OPTIONS>;

/** The checked options, without the defaults that depend on the backend. */
export interface CheckedSettings
  extends Omit<Checked, 'io' | 'compression' | keyof LongCallOptions | keyof typeof systemEnvironment> {
  /** `undefined` when nothing is compressed. */
  readonly compressor: Compressor | undefined;
}

/** The options with their defaults applied. */
export interface Settings extends CheckedSettings {
  readonly preallocate: Preallocation;
  readonly recycleSegments: number;
  /** `undefined`: none is made, and one that is there is used. */
  readonly reserveBytes: number | undefined;
}

/** A checked configuration: the settings, and what they do not contain. */
export interface CheckedConfig {
  readonly settings: CheckedSettings;
  /** Not checked yet. */
  readonly io: SegmentedWalConfig['io'];
  readonly system: Omit<Environment, 'io'>;
  /** What is watched while the log is opened. */
  readonly call: LongCallOptions;
}

/** A configuration that opens an existing log and never creates one. @throws like {@link checkConfig} */
export function withoutCreating(config: SegmentedWalConfig): SegmentedWalConfig {
  return { ...checkOptions('config', config, LOG_OPTION_NAMES), create: false };
}

/** Checks a configuration and applies its defaults. @throws `TypeError`, `RangeError` with Node's codes */
export function checkConfig(config: SegmentedWalConfig): CheckedConfig {
  const given = checkOptions('config', config, LOG_OPTION_NAMES);
  const { io, now, setTimer, randomBytes, compression, signal, onProgress, ...settings } = checkAll(LOG_OPTIONS, given);
  const call = checkLongCall(signal, onProgress);
  return { settings: { ...settings, compressor: compression }, io, system: { now, setTimer, randomBytes }, call };
}

/** Returns `value` when it is a key ring. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkKeyRing(name: string, value: unknown): KeyRing {
  if (!(value instanceof KeyRing)) throw invalidType(name, 'a KeyRing', value);
  return value;
}

/** @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), also for a list where the log goes on at one LSN; `RangeError` */
function checkSalvageLsn(
  name: string,
  value: unknown,
  { recoveryMode }: Pick<SegmentedWalConfig, 'recoveryMode'>,
): SegmentedWalConfig['salvageLsn'] {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) return checkLsn(name, value);
  if (recoveryMode === 'salvage') throw invalidType(name, "one LSN with recoveryMode 'salvage'", value);
  return Object.freeze(value.map((lsn, index) => checkLsn(`${name}[${index}]`, lsn)));
}

function checkFunction<T extends (...given: never) => unknown>(name: string, value: unknown): T {
  if (typeof value !== 'function') throw invalidType(name, 'a function', value);
  return value as T;
}

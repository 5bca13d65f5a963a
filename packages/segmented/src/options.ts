import {
  type CompressionOptions,
  Compressor,
  checkBlockBytes,
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOneOf,
  checkOptions,
  checkPath,
  DEFAULT_BLOCK_BYTES,
  invalidType,
  KeyRing,
  type Lsn,
  optionNames,
  type WalError,
} from '@walstack/codec';
import type { StorageIo, StorageIoName } from '@walstack/storage-io';
import { type Environment, systemEnvironment } from './environment.js';
import { RECOVERY_MODES, type RecoveryMode } from './recovery/recovery-report.js';

/** How blocks are prepared. */
export type Preallocation = 'none' | 'allocate' | 'write';

const PREALLOCATIONS: readonly Preallocation[] = ['none', 'allocate', 'write'];

/** How a {@link SegmentedWal} is opened. */
export interface SegmentedWalConfig {
  /** The directory of the log, and nothing else's. Made when missing, with its parents. */
  readonly directory: string;
  /** Make a new log where there is none. Default `true`; with `false`, `WAL_NOT_FOUND` and nothing is made. */
  readonly create?: boolean;
  /**
   * The backend. One that is given lives on when the log is closed; one that is named belongs to the log. Default
   * `'auto'`: what `openStorageIo` chooses, for `openSync` one that can wait.
   */
  readonly io?: StorageIo | StorageIoName;
  /** Roll to a new segment when a record would make this one larger, in bytes. A target: a larger record gets a segment
   * of its own size. At least two blocks. Default 64 MiB. */
  readonly segmentBytes?: number;
  /** Block size of new segments, a power of two from 512 to 65,536 bytes. Default 4096. */
  readonly blockBytes?: number;
  /**
   * Fill every group up to the end of its block, so that a block with acknowledged data is never written again, at a
   * price in space. Default `false`.
   */
  readonly padGroups?: boolean;
  /**
   * Groups under way side by side, at most, where the backend can make writes durable side by side; 1 to 256. Elsewhere
   * there is one. Default 16.
   */
  readonly maxInFlight?: number;
  /**
   * Write around the page cache where the backend and the file system can. Groups are padded to blocks then, as with
   * `padGroups`. Without it, and where it is refused, there is one group under way at a time. Default `true`.
   */
  readonly directIo?: boolean;
  /**
   * How blocks are prepared ahead of the writer, some MiB at a time, so that a durable write need not make the file grow:
   * `'write'` writes zeros, `'allocate'` only reserves space, `'none'` does nothing. Default `'write'` where groups go
   * side by side, else `'none'`.
   */
  readonly preallocate?: Preallocation;
  /**
   * Freed segments to keep for reuse, at most, instead of removing them; 0 to 1024. Only on a backend with locks on open
   * files, and only files that this opening of the log has written and that have no other name (a hard link). Default 1
   * where blocks are prepared, else 0.
   */
  readonly recycleSegments?: number;
  /** The longest payload, in bytes; 0 to 1 GiB. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
  /** Appended and not yet written, in bytes: beyond it `append` throws `WAL_BACKPRESSURE`. At least 1. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Write a mark when the log has been quiet for so long, in milliseconds; 0 turns it off. Default 50. */
  readonly markAfterMs?: number;
  /** The first LSN of a new log; a log that exists keeps its own. Default 1. */
  readonly firstLsn?: Lsn;
  /** Called once when the log fails for good, also where nothing waits: with what `failure` says from then on. */
  readonly onFailure?: (failure: WalError) => void;
  /**
   * The core whose log this is, 0 to 2^32 − 2: it stands in the header of every segment, and a log of another core, or of
   * none, is refused. Default: of no core where the log is made, else what the log says.
   */
  readonly coreId?: number;
  /**
   * Drop segments that are not needed any more as long as the log has more bytes than this; 0 drops them at once. What is
   * above the checkpoint (see {@link retainUntilCheckpoint}) or needed by a hold stays, and so does the newest segment:
   * the log may be larger. Looked after at rolls, when the checkpoint or a hold moves, and when a hold is released.
   * Default: nothing is dropped because of the log's size.
   */
  readonly retainBytes?: number;
  /**
   * The same for segments whose last record is older than this, in milliseconds: nothing younger is dropped for its age.
   * How old the last record is at least, the time says at which the next segment was made. With `retainBytes` as well, either is a reason. Default: nothing is dropped because of its age.
   */
  readonly retainAgeMs?: number;
  /**
   * Have retention drop nothing above the checkpoint: what the application has not said it no longer needs stays.
   * `false` drops it, too, as a queue does whose readers come in time or set holds. Default `true`.
   */
  readonly retainUntilCheckpoint?: boolean;
  /**
   * The keys of the log: new segments are encrypted with the current one, older ones are read with the key that they name.
   * Default none: nothing is encrypted, and a log whose newest records are is refused with `WAL_BAD_KEY`.
   */
  readonly keyRing?: KeyRing | undefined;
  /**
   * Take what is not encrypted, though there is a key ring: for a log that was not encrypted so far, until there is an
   * encrypted record in it. Without it, records in the clear are taken only where a later record that the key opens proves
   * that they are older than the encryption of the log, so that without a key nothing can be put in their place. Default
   * `false`.
   */
  readonly allowPlaintext?: boolean;
  /** Compress payloads of a certain length where that makes them smaller. Default: not. */
  readonly compression?: CompressionOptions;
  /**
   * What to do with a log that was not closed cleanly. Default `'strict'`: a torn tail, of which nothing had been
   * acknowledged, is cut off; where something acknowledged is lost the log is refused with `WAL_CORRUPT` and left as it
   * is. `'salvage'` goes on with the records before the first one lost, moves the rest to `quarantine/` in the log's
   * directory, and says in `recovery.salvage` what is gone; where nothing is lost it does what `'strict'` does.
   * `'readonly'` takes no lock and changes nothing, so that a log can be read beside its writer, as it was when it was
   * opened: what would change it is refused with `WAL_STATE`.
   */
  readonly recoveryMode?: RecoveryMode;
  /**
   * With `'salvage'`, where it cannot tell by itself: the LSN that the next record is to get. Records before it are kept as
   * far as they can be read without a gap, a batch as a whole or not at all. Where it can tell, this is not looked at.
   * Default: none, and such a log is refused.
   */
  readonly salvageLsn?: Lsn;
  /**
   * Wait for a lock that another writer holds, and try again, for so many milliseconds at most; 0 to 2^31 − 1. Default 0:
   * `WAL_LOCKED` at once.
   */
  readonly lockTimeoutMs?: number;
  /** The clock, milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: Environment['now'];
  /** Timers. Default `setTimeout`, not keeping the process alive. */
  readonly setTimer?: Environment['setTimer'];
  /** Randomness for ids. Default `crypto.randomBytes`. */
  readonly randomBytes?: Environment['randomBytes'];
}

/** The options with their defaults filled in. */
export interface Settings {
  readonly directory: string;
  readonly create: boolean;
  readonly segmentBytes: number;
  readonly blockBytes: number;
  readonly padGroups: boolean;
  readonly maxInFlight: number;
  readonly directIo: boolean;
  readonly preallocate: Preallocation;
  readonly recycleSegments: number;
  readonly maxPayloadBytes: number;
  readonly maxPendingBytes: number;
  readonly markAfterMs: number;
  readonly firstLsn: Lsn;
  readonly onFailure: ((failure: WalError) => void) | undefined;
  readonly coreId: number | undefined;
  readonly retainBytes: number | undefined;
  readonly retainAgeMs: number | undefined;
  readonly retainUntilCheckpoint: boolean;
  readonly keyRing: KeyRing | undefined;
  readonly allowPlaintext: boolean;
  /** `undefined` when nothing is compressed. */
  readonly compressor: Compressor | undefined;
  readonly recoveryMode: RecoveryMode;
  readonly salvageLsn: Lsn | undefined;
  readonly lockTimeoutMs: number;
}

const MEBIBYTE = 1024 * 1024;

const KNOWN = optionNames<SegmentedWalConfig>({
  directory: true,
  create: true,
  io: true,
  segmentBytes: true,
  blockBytes: true,
  padGroups: true,
  maxInFlight: true,
  directIo: true,
  preallocate: true,
  recycleSegments: true,
  maxPayloadBytes: true,
  maxPendingBytes: true,
  markAfterMs: true,
  firstLsn: true,
  onFailure: true,
  coreId: true,
  retainBytes: true,
  retainAgeMs: true,
  retainUntilCheckpoint: true,
  keyRing: true,
  allowPlaintext: true,
  compression: true,
  recoveryMode: true,
  salvageLsn: true,
  lockTimeoutMs: true,
  now: true,
  setTimer: true,
  randomBytes: true,
});

/** The options that were checked, some of whose defaults depend on the backend. */
export type CheckedConfig = Omit<Settings, 'preallocate' | 'recycleSegments'> & {
  readonly preallocate: Preallocation | undefined;
  readonly recycleSegments: number | undefined;
};

/** A configuration that opens an existing log and never makes one. @throws like {@link checkConfig} */
export function withoutCreating(config: SegmentedWalConfig): SegmentedWalConfig {
  return { ...checkOptions('config', config, KNOWN), create: false };
}

/** Checks a configuration and fills in its defaults. @throws `TypeError`, `RangeError` with Node's codes */
export function checkConfig(config: SegmentedWalConfig): CheckedConfig {
  const {
    directory,
    create = true,
    segmentBytes = 64 * MEBIBYTE,
    blockBytes = DEFAULT_BLOCK_BYTES,
    padGroups = false,
    maxInFlight = 16,
    directIo = true,
    preallocate,
    recycleSegments,
    maxPayloadBytes = 64 * MEBIBYTE,
    maxPendingBytes = 64 * MEBIBYTE,
    markAfterMs = 50,
    firstLsn = 1,
    onFailure,
    coreId,
    retainBytes,
    retainAgeMs,
    retainUntilCheckpoint = true,
    keyRing,
    allowPlaintext = false,
    compression = {},
    recoveryMode = 'strict',
    salvageLsn,
    lockTimeoutMs = 0,
  } = checkOptions('config', config, KNOWN);
  return {
    directory: checkPath('directory', directory),
    create: checkBoolean('create', create),
    blockBytes: checkBlockBytes('blockBytes', blockBytes),
    segmentBytes: checkInteger('segmentBytes', segmentBytes, 2 * blockBytes),
    padGroups: checkBoolean('padGroups', padGroups),
    maxInFlight: checkInteger('maxInFlight', maxInFlight, 1, 256),
    directIo: checkBoolean('directIo', directIo),
    preallocate: preallocate === undefined ? undefined : checkOneOf('preallocate', preallocate, PREALLOCATIONS),
    recycleSegments:
      recycleSegments === undefined ? undefined : checkInteger('recycleSegments', recycleSegments, 0, 1024),
    maxPayloadBytes: checkInteger('maxPayloadBytes', maxPayloadBytes, 0, 1024 * MEBIBYTE),
    maxPendingBytes: checkInteger('maxPendingBytes', maxPendingBytes, 1),
    markAfterMs: checkInteger('markAfterMs', markAfterMs, 0, 0x7fff_ffff),
    firstLsn: checkLsn('firstLsn', firstLsn),
    onFailure: checkCallback('onFailure', onFailure),
    coreId: coreId === undefined ? undefined : checkInteger('coreId', coreId, 0, 0xffff_fffe),
    retainBytes: retainBytes === undefined ? undefined : checkInteger('retainBytes', retainBytes),
    retainAgeMs: retainAgeMs === undefined ? undefined : checkInteger('retainAgeMs', retainAgeMs),
    retainUntilCheckpoint: checkBoolean('retainUntilCheckpoint', retainUntilCheckpoint),
    keyRing: keyRing === undefined ? undefined : checkKeyRing('keyRing', keyRing),
    allowPlaintext: checkBoolean('allowPlaintext', allowPlaintext),
    compressor: Compressor.of(compression),
    recoveryMode: checkOneOf('recoveryMode', recoveryMode, RECOVERY_MODES),
    salvageLsn: salvageLsn === undefined ? undefined : checkLsn('salvageLsn', salvageLsn),
    lockTimeoutMs: checkInteger('lockTimeoutMs', lockTimeoutMs, 0, 0x7fff_ffff),
  };
}

/** Returns `value` when it is a key ring. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkKeyRing(name: string, value: unknown): KeyRing {
  if (!(value instanceof KeyRing)) throw invalidType(name, 'a KeyRing', value);
  return value;
}

function checkCallback<T>(name: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw invalidType(name, 'a function', value);
  return value;
}

/** The world that a configuration asks for, on a backend. */
export function worldOf(config: SegmentedWalConfig, io: StorageIo): Environment {
  const {
    now = systemEnvironment.now,
    setTimer = systemEnvironment.setTimer,
    randomBytes = systemEnvironment.randomBytes,
  } = config;
  const world = { io, now, setTimer, randomBytes };
  for (const name of ['now', 'setTimer', 'randomBytes'] as const) {
    if (typeof world[name] !== 'function') throw invalidType(name, 'a function', world[name]);
  }
  return world;
}

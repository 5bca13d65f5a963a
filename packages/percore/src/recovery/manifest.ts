import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { readWholeFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import type { Committed } from '../commits/commit.js';
import { coreDirectory, isThere, listCores } from '../core/core-directory.js';
import type { LogDirectory } from '../options.js';

/** The place of a checkpoint in the log of one core. */
export interface CheckpointPlace {
  readonly coreId: number;
  /** The last entry that belongs to the checkpoint. */
  readonly lsn: number;
  /** The position after it, in bytes of the core's log. Durable before the manifest names it. */
  readonly position: number;
  /** The time of that entry, in microseconds: no later entry has an earlier time. */
  readonly timestampUs: number;
  /** The core was retired and appended nothing more. */
  readonly retired: boolean;
  /** How far its sources had been read. */
  readonly committed: Committed;
  /** Sources whose last commit precedes an earlier retirement of the core; left out when there are none. */
  readonly committedBeforeRetirement?: readonly string[];
  /**
   * Sources that another core has committed in a later epoch: the offsets of this one count until it is retired without having
   * committed them anew. Left out when there are none.
   */
  readonly outdated?: readonly string[];
}

/** A checkpoint: everything up to the end of an epoch, in the logs of all cores. */
export interface PerCoreCheckpoint {
  /** 1, 2, 3 …, never used twice: a checkpoint that failed uses up its id, too. */
  readonly id: number;
  /** The last epoch that belongs to it. */
  readonly epoch: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** Whether it has a snapshot. `false` for the empty checkpoint of `reset`, which has no snapshot to load. */
  readonly snapshot: boolean;
  /** In the order of their ids. */
  readonly cores: readonly CheckpointPlace[];
}

/** The content of the file `manifest` of a per-core log. */
export interface Manifest {
  /** Every core that has a log, in the order of their ids. */
  readonly cores: readonly number[];
  /** The last checkpoint whose snapshot is complete. */
  readonly checkpoint: PerCoreCheckpoint | undefined;
  /** A checkpoint whose snapshot was begun and is not known to be complete. */
  readonly pending: PerCoreCheckpoint | undefined;
  /** The epochs whose entries are being dropped from the logs; `undefined` when none are. No writer opens before that ends. */
  readonly dropping: DroppedEpochs | undefined;
  /**
   * The highest epoch whose entries were dropped, as no log shows it: no later epoch has a number up to this one.
   * `undefined` when none were.
   */
  readonly dropped: number | undefined;
  /**
   * A salvage took all entries up to this epoch, which counts as complete although entries of it are lost. `undefined`
   * without such a salvage.
   */
  readonly salvaged: number | undefined;
  /** All checkpoint ids up to this one are used up; `undefined` when the ids of the two checkpoints show it. */
  readonly lastId: number | undefined;
}

/** The decision to drop incomplete epochs: their entries are no longer part of the logs. */
interface DroppedEpochs {
  /** The last complete epoch. */
  readonly complete: number;
  /** The highest epoch that was seen. */
  readonly last: number;
}

export const NO_MANIFEST: Manifest = {
  cores: [],
  checkpoint: undefined,
  pending: undefined,
  dropping: undefined,
  dropped: undefined,
  salvaged: undefined,
  lastId: undefined,
};

const MANIFEST = 'manifest';
const DRAFT = 'manifest.new';

/** Path of the manifest of a per-core log. */
export const manifestPath = (directory: string): string => join(directory, MANIFEST);

/** Whether a directory contains the log of a core, or a manifest. */
export const hasLog = (io: StorageIo, directory: string): boolean =>
  isThere(io, directory) && (listCores(io, directory).length > 0 || io.list(directory).includes(MANIFEST));

/** The error when the log of a core that the manifest names is missing. */
export function missingCore(directory: string, coreId: number): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${manifestPath(directory)} names core ${coreId}, whose log is missing: restore the whole directory; nothing but torn tails was cut off`,
    { path: coreDirectory(directory, coreId), reason: 'missing-core' },
  );
}

/** Reads the manifest; `undefined` when there is none. @throws `WAL_CORRUPT` */
export function* readManifest(io: StorageIo, directory: string): IoRoutine<Manifest | undefined> {
  const path = manifestPath(directory);
  if (!io.list(directory).includes(MANIFEST)) return undefined;
  return decodeManifest(yield* readWholeFile(io, path), path);
}

/**
 * Replaces the whole manifest; durable on return. A failure before the rename changes nothing.
 *
 * @param draft - the name of the file that it is first written to; concurrent writers need different names
 * @throws with the reason `'outcome-unknown'` when a crash may leave either the new manifest or the old one
 */
export function* writeManifest(
  { io, directory, fileMode }: Pick<LogDirectory, 'io' | 'directory' | 'fileMode'>,
  manifest: Manifest,
  draft: string = DRAFT,
): IoRoutine<void> {
  const path = manifestPath(directory);
  const bytes = encodeManifest(manifest);
  // A manifest that could not be read again must not be written.
  decodeManifest(bytes, path);
  yield* replaceFile(io, join(directory, draft), path, bytes, fileMode);
  try {
    yield* ioSteps.syncDirectory(io, directory);
  } catch (error) {
    throw outcomeUnknown(path, error);
  }
}

function outcomeUnknown(path: string, cause: unknown): WalError {
  const code = WalError.is(cause) ? cause.code : 'WAL_IO_FAILED';
  return new WalError(
    code,
    `${path} was replaced, but the sync of its directory failed: a crash may leave either the old file or the new one`,
    { path, reason: 'outcome-unknown' },
    { cause },
  );
}

/** The bytes of the file: one frame of JSON, its checksum seeded with 16 zero bytes. */
export function encodeManifest({
  cores,
  checkpoint,
  pending,
  dropping,
  dropped,
  salvaged,
  lastId,
}: Manifest): Uint8Array {
  return encodeFramedJson({
    version: 1,
    cores,
    checkpoint: toJson(checkpoint),
    pending: toJson(pending),
    ...(dropping === undefined ? {} : { leaving: dropping }),
    ...(dropped === undefined ? {} : { dropped }),
    ...(salvaged === undefined ? {} : { salvaged }),
    ...(lastId === undefined ? {} : { lastId }),
  });
}

function toJson(checkpoint: PerCoreCheckpoint | undefined): unknown {
  if (checkpoint === undefined) return null;
  const cores = checkpoint.cores.map(({ committed, retired, committedBeforeRetirement, ...place }) => ({
    ...place,
    left: retired,
    ...(committedBeforeRetirement === undefined ? {} : { committedBeforeLeaving: committedBeforeRetirement }),
    // As text: 64 bits are more than many readers keep of a JSON number.
    offsets: Object.fromEntries([...committed.offsets].map(([source, offset]) => [source, String(offset)])),
    watermark: committed.watermark === undefined ? null : String(committed.watermark),
  }));
  return { ...checkpoint, cores };
}

/** Reads the bytes of a manifest. @param path - for errors @throws `WAL_CORRUPT`, `WAL_UNSUPPORTED_VERSION` */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const parsed = decodeFramedJson(bytes, (reason, cause) => corrupt(path, reason, cause));
  if (!isObject(parsed)) throw corrupt(path, 'impossible-fields');
  const { version, cores, checkpoint, pending, leaving, dropped, salvaged, lastId } = parsed;
  if (typeof version === 'number' && version > 1) throw laterVersion(path, version);
  const complete = checkpointFrom(checkpoint);
  const begun = checkpointFrom(pending);
  const dropping = droppedEpochsFrom(leaving);
  if (version !== 1 || !Array.isArray(cores) || !cores.every(isCount)) throw corrupt(path, 'impossible-fields');
  if (!isOptionalCount(dropped) || !isOptionalCount(salvaged)) throw corrupt(path, 'impossible-fields');
  if (!isOptionalCount(lastId)) throw corrupt(path, 'impossible-fields');
  if (complete === INVALID || begun === INVALID || dropping === INVALID) throw corrupt(path, 'impossible-fields');
  return { cores, checkpoint: complete, pending: begun, dropping, dropped, salvaged, lastId };
}

function droppedEpochsFrom(json: unknown): DroppedEpochs | undefined | typeof INVALID {
  if (json === undefined) return undefined;
  if (!isObject(json)) return INVALID;
  const { complete, last } = json;
  return isCount(complete) && isCount(last) && complete <= last ? { complete, last } : INVALID;
}

const INVALID: unique symbol = Symbol('invalid');

function checkpointFrom(json: unknown): PerCoreCheckpoint | undefined | typeof INVALID {
  if (json === null) return undefined;
  if (!isObject(json)) return INVALID;
  const { id, epoch, createdAtMs, snapshot = true, cores } = json;
  if (!isCount(id) || !isCount(epoch) || !isCount(createdAtMs) || typeof snapshot !== 'boolean') return INVALID;
  if (!Array.isArray(cores)) return INVALID;
  const places = cores.map(placeFrom);
  return places.every((place) => place !== undefined) ? { id, epoch, createdAtMs, snapshot, cores: places } : INVALID;
}

function placeFrom(json: unknown): CheckpointPlace | undefined {
  if (!isObject(json)) return undefined;
  const { coreId, lsn, position, timestampUs, left, offsets, watermark, committedBeforeLeaving, outdated } = json;
  if (!isCount(coreId) || !isCount(lsn) || !isCount(position) || !isCount(timestampUs)) return undefined;
  if (typeof left !== 'boolean') return undefined;
  if (!isObject(offsets) || !Object.values(offsets).every(isDecimal)) return undefined;
  if (watermark !== null && !isDecimal(watermark)) return undefined;
  const read = Object.entries(offsets).map(([source, offset]) => [source, BigInt(offset as string)] as const);
  const committed = { offsets: new Map(read), watermark: watermark === null ? undefined : BigInt(watermark) };
  if (!isOptionalTexts(committedBeforeLeaving) || !isOptionalTexts(outdated)) return undefined;
  return {
    coreId,
    lsn,
    position,
    timestampUs,
    retired: left,
    committed,
    ...(committedBeforeLeaving === undefined ? {} : { committedBeforeRetirement: committedBeforeLeaving }),
    ...(outdated === undefined ? {} : { outdated }),
  };
}

const isOptionalTexts = (value: unknown): value is string[] | undefined =>
  value === undefined || (Array.isArray(value) && value.every((each) => typeof each === 'string'));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isOptionalCount = (value: unknown): value is number | undefined => value === undefined || isCount(value);

const isDecimal = (value: unknown): value is string => typeof value === 'string' && /^-?\d{1,20}$/.test(value);

function corrupt(path: string, reason: string, cause?: unknown): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path} is damaged (${reason}): restore it from a backup of the whole directory; nothing was changed`,
    { path, offset: 0, reason },
    cause === undefined ? undefined : { cause },
  );
}

function laterVersion(path: string, version: number): WalError {
  return new WalError(
    'WAL_UNSUPPORTED_VERSION',
    `${path} was written by a later version (${version}): use a later walstack; nothing was changed`,
    { path, reason: 'version', actual: version },
  );
}

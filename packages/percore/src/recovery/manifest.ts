import { join } from 'node:path';
import { decodeFramedJson, encodeFramedJson, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps, replaceFile, type StorageIo } from '@walstack/storage-io';
import type { Committed } from '../core/commit.js';
import { coreDirectory, isThere, listCores } from '../core/core-directory.js';

/** Where a checkpoint stands in the log of one core. */
export interface CheckpointPlace {
  readonly coreId: number;
  /** The last entry that belongs to the checkpoint. */
  readonly lsn: number;
  /** Behind it, in bytes of the core's log. Durable before the manifest says it. */
  readonly position: number;
  /** The time of that entry: none behind it has an earlier one. */
  readonly timestampUs: number;
  /** The core had been taken away and appended nothing more. */
  readonly left: boolean;
  /** How far its sources had been read. */
  readonly committed: Committed;
  /** Sources that it has committed before it was taken away, and not since it takes part again; left out where there are none. */
  readonly committedBeforeLeaving?: readonly string[];
}

/** A checkpoint: everything up to the end of an epoch, in the logs of all cores. */
export interface PerCoreCheckpoint {
  /** 1, 2, 3 …, never used twice, not even by one that failed. */
  readonly id: number;
  /** The last epoch that belongs to it. */
  readonly epoch: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** A snapshot stands for it. `false` for what `reset` has made: it stands for nothing, and there is none to load. */
  readonly snapshot: boolean;
  /** In the order of their ids. */
  readonly cores: readonly CheckpointPlace[];
}

/** What the file `manifest` of a per-core log says. */
export interface Manifest {
  /** Every core whose log is there, in the order of their ids. */
  readonly cores: readonly number[];
  /** The last checkpoint whose snapshot is complete. */
  readonly checkpoint: PerCoreCheckpoint | undefined;
  /** A checkpoint whose snapshot was begun and not found to be complete. */
  readonly pending: PerCoreCheckpoint | undefined;
  /** Entries that are being dropped from the logs; `undefined` when none are. No writer is there before that is done. */
  readonly leaving: Leaving | undefined;
  /**
   * Everything up to this epoch was taken by a salvage, though it cannot be complete any more: it counts as such. `undefined`
   * where there was none.
   */
  readonly salvaged: number | undefined;
  /** Numbers of checkpoints up to this one are used up, also where neither of the two says so; `undefined` where they do. */
  readonly lastId: number | undefined;
}

/** What was decided of epochs that are not complete: their entries are no part of the logs any more. */
interface Leaving {
  /** The last complete epoch. */
  readonly complete: number;
  /** The highest epoch that was seen. */
  readonly last: number;
}

export const NO_MANIFEST: Manifest = {
  cores: [],
  checkpoint: undefined,
  pending: undefined,
  leaving: undefined,
  salvaged: undefined,
  lastId: undefined,
};

const MANIFEST = 'manifest';
const DRAFT = 'manifest.new';

/** More is no manifest of ours: its memory is not taken. */
const MAXIMUM_BYTES = 256 * 1024 * 1024;

/** Path of the manifest of a per-core log. */
export const manifestPath = (directory: string): string => join(directory, MANIFEST);

/** Whether there is anything of a per-core log in a directory. */
export const hasLog = (io: StorageIo, directory: string): boolean =>
  isThere(io, directory) && (listCores(io, directory).length > 0 || io.list(directory).includes(MANIFEST));

/** What is thrown where the log of a core is gone. */
export function missingCore(directory: string, coreId: number): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${manifestPath(directory)} names core ${coreId}, whose log is missing: restore the whole directory; nothing was changed`,
    { path: coreDirectory(directory, coreId), reason: 'missing-core' },
  );
}

/** Reads the manifest; `undefined` when there is none. @throws `WAL_CORRUPT` */
export function* readManifest(io: StorageIo, directory: string): IoRoutine<Manifest | undefined> {
  const path = manifestPath(directory);
  if (!io.list(directory).includes(MANIFEST)) return undefined;
  const file = io.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(Math.min(io.size(file), MAXIMUM_BYTES));
    const length = yield* ioSteps.read(io, file, bytes, 0);
    return decodeManifest(bytes.subarray(0, length), path);
  } finally {
    io.close(file);
  }
}

/**
 * Replaces the manifest as a whole; durable on return. A failure before the rename has changed nothing.
 *
 * @param draft - the name of the file in which it is written first: of its own for each of several writers
 * @throws with the reason `'outcome-unknown'` where it may be the new one that is found after a crash, or the old one
 */
export function* writeManifest(
  io: StorageIo,
  directory: string,
  manifest: Manifest,
  draft: string = DRAFT,
): IoRoutine<void> {
  const path = manifestPath(directory);
  const bytes = encodeManifest(manifest);
  // What could not be read again is not written.
  decodeManifest(bytes, path);
  yield* replaceFile(io, join(directory, draft), path, bytes);
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
    `${path} was replaced, and the sync of its directory failed: after a crash it may be as before, or as it is now`,
    { path, reason: 'outcome-unknown' },
    { cause },
  );
}

/** The bytes of the file: one frame of JSON, its checksum seeded with 16 zero bytes. */
export function encodeManifest({ cores, checkpoint, pending, leaving, salvaged, lastId }: Manifest): Uint8Array {
  return encodeFramedJson({
    version: 1,
    cores,
    checkpoint: toJson(checkpoint),
    pending: toJson(pending),
    ...(leaving === undefined ? {} : { leaving }),
    ...(salvaged === undefined ? {} : { salvaged }),
    ...(lastId === undefined ? {} : { lastId }),
  });
}

function toJson(checkpoint: PerCoreCheckpoint | undefined): unknown {
  if (checkpoint === undefined) return null;
  const cores = checkpoint.cores.map(({ committed, ...place }) => ({
    ...place,
    // Of 64 bits, which is more than a JSON number holds in many readers.
    offsets: Object.fromEntries([...committed.offsets].map(([source, offset]) => [source, String(offset)])),
    watermark: committed.watermark === undefined ? null : String(committed.watermark),
  }));
  return { ...checkpoint, cores };
}

/** Reads the bytes of a manifest. @param path - for errors @throws `WAL_CORRUPT`, `WAL_UNSUPPORTED_VERSION` */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const parsed = decodeFramedJson(bytes, (reason, cause) => corrupt(path, reason, cause));
  if (!isObject(parsed)) throw corrupt(path, 'impossible-fields');
  const { version, cores, checkpoint, pending, leaving, salvaged, lastId } = parsed;
  if (typeof version === 'number' && version > 1) throw laterVersion(path, version);
  const read = checkpointFrom(checkpoint);
  const begun = checkpointFrom(pending);
  const left = leavingFrom(leaving);
  if (version !== 1 || !Array.isArray(cores) || !cores.every(isCount)) throw corrupt(path, 'impossible-fields');
  if (!isCountOrNot(salvaged) || !isCountOrNot(lastId)) throw corrupt(path, 'impossible-fields');
  if (read === INVALID || begun === INVALID || left === INVALID) throw corrupt(path, 'impossible-fields');
  return { cores, checkpoint: read, pending: begun, leaving: left, salvaged, lastId };
}

function leavingFrom(json: unknown): Leaving | undefined | typeof INVALID {
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
  const { coreId, lsn, position, timestampUs, left, offsets, watermark, committedBeforeLeaving } = json;
  if (!isCount(coreId) || !isCount(lsn) || !isCount(position) || !isCount(timestampUs)) return undefined;
  if (typeof left !== 'boolean') return undefined;
  if (!isObject(offsets) || !Object.values(offsets).every(isDecimal)) return undefined;
  if (watermark !== null && !isDecimal(watermark)) return undefined;
  const read = Object.entries(offsets).map(([source, offset]) => [source, BigInt(offset as string)] as const);
  const committed = { offsets: new Map(read), watermark: watermark === null ? undefined : BigInt(watermark) };
  const place = { coreId, lsn, position, timestampUs, left, committed };
  if (committedBeforeLeaving === undefined) return place;
  return isTexts(committedBeforeLeaving) ? { ...place, committedBeforeLeaving } : undefined;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isCountOrNot = (value: unknown): value is number | undefined => value === undefined || isCount(value);

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

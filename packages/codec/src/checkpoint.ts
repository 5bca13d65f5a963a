import { checkBytes, checkInteger, invalidType } from './arguments/checks.js';
import { WalError } from './errors.js';
import { decodeFramedJson, encodeFramedJson } from './framed-json.js';
import { checkLsn, type Lsn } from './lsn.js';
import { ID_BYTES } from './segment-header.js';

/** The content of the file `checkpoint`. */
export interface Checkpoint {
  /** 16 bytes, as in every segment of the log. */
  readonly logId: Uint8Array;
  /** Number of the first segment of the log: segment files with lower numbers are leftovers. */
  readonly firstSegment: number;
  /** The last LSN that the application no longer needs; 0 when there is none. */
  readonly checkpointLsn: Lsn;
  /** The first LSN that each hold keeps, by the name of the hold. */
  readonly holds: Readonly<Record<string, Lsn>>;
  /**
   * Number of the segment that the last salvage created: files with a lower number that are not part of the log are moved
   * to quarantine, not removed. `undefined` when the log was never salvaged.
   */
  readonly salvagedBelow?: number | undefined;
  /**
   * The last LSN before the first segment, where retention has removed records above the checkpoint: those that a reader
   * from the checkpoint on lacks. `undefined` when what was removed is not missing: it was not above the checkpoint, or the
   * application has truncated it.
   */
  readonly expiredLsn?: Lsn | undefined;
  /**
   * What the beginning of the log was before the truncation that this checkpoint was written for. While every segment from there on
   * is in the directory, none was removed yet, and the log begins there: it may have to be kept for a follower. `undefined` when
   * nothing is to be removed any more.
   */
  readonly unsettled?: Beginning | undefined;
}

/** The beginning of a log. */
export type Beginning = Pick<Checkpoint, 'firstSegment' | 'expiredLsn'>;

/** The checkpoint with its truncation done: `unsettled` is left out. */
export function settled(checkpoint: Checkpoint): Checkpoint {
  const { unsettled, ...rest } = checkpoint;
  return unsettled === undefined ? checkpoint : rest;
}

/** The checkpoint with the beginning from before its truncation, when that is not done. */
export function withoutUnsettled(checkpoint: Checkpoint): Checkpoint {
  const { unsettled, ...rest } = checkpoint;
  return unsettled === undefined ? checkpoint : { ...rest, expiredLsn: unsettled.expiredLsn, ...unsettled };
}

/**
 * Encodes the file `checkpoint`: one frame of JSON, its checksum seeded with 16 zero bytes.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for a value that could not be decoded again
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  checkBytes('logId', checkpoint.logId, ID_BYTES);
  checkInteger('firstSegment', checkpoint.firstSegment, 1);
  checkInteger('checkpointLsn', checkpoint.checkpointLsn);
  checkHolds(checkpoint.holds);
  if (checkpoint.salvagedBelow !== undefined) checkInteger('salvagedBelow', checkpoint.salvagedBelow, 1);
  if (checkpoint.expiredLsn !== undefined) checkLsn('expiredLsn', checkpoint.expiredLsn);
  if (checkpoint.unsettled !== undefined) {
    const { firstSegment, expiredLsn } = checkpoint.unsettled;
    checkInteger('unsettled.firstSegment', firstSegment, 1, checkpoint.firstSegment - 1);
    if (expiredLsn !== undefined) checkLsn('unsettled.expiredLsn', expiredLsn);
  }
  return encodeFramedJson({
    logId: Buffer.from(checkpoint.logId).toString('hex'),
    firstSegment: checkpoint.firstSegment,
    checkpointLsn: checkpoint.checkpointLsn,
    holds: checkpoint.holds,
    salvagedBelow: checkpoint.salvagedBelow,
    expiredLsn: checkpoint.expiredLsn,
    unsettled: checkpoint.unsettled,
  });
}

function checkHolds(holds: unknown): void {
  if (typeof holds !== 'object' || holds === null || Array.isArray(holds))
    throw invalidType('holds', 'an object', holds);
  for (const [name, lsn] of Object.entries(holds)) checkLsn(`holds.${name}`, lsn);
}

/**
 * Decodes the file `checkpoint`.
 *
 * @param path - of the file, for errors
 * @throws `WAL_CORRUPT` with a `reason`. A crash never leaves the file damaged, as it is always replaced as a whole.
 */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const checkpoint = fromJson(decodeFramedJson(bytes, (reason, cause) => corrupt(path, reason, cause)));
  if (checkpoint === undefined) throw corrupt(path, 'impossible-fields');
  return checkpoint;
}

const isCount = (value: unknown, minimum: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= minimum;

function fromJson(parsed: unknown): Checkpoint | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { logId, firstSegment, checkpointLsn, holds, salvagedBelow, expiredLsn, unsettled } = parsed as Record<
    string,
    unknown
  >;
  if (typeof logId !== 'string' || logId.length !== 2 * ID_BYTES || !/^[0-9a-f]*$/.test(logId)) return undefined;
  if (!isCount(firstSegment, 1) || !isCount(checkpointLsn, 0)) return undefined;
  if (typeof holds !== 'object' || holds === null || Array.isArray(holds)) return undefined;
  if (!Object.values(holds).every((lsn) => isCount(lsn, 1))) return undefined;
  if (salvagedBelow !== undefined && !isCount(salvagedBelow, 1)) return undefined;
  if (expiredLsn !== undefined && !isCount(expiredLsn, 1)) return undefined;
  const before = unsettled === undefined ? undefined : beginningFrom(unsettled);
  if (unsettled !== undefined && (before === undefined || before.firstSegment >= firstSegment)) return undefined;
  return {
    logId: new Uint8Array(Buffer.from(logId, 'hex')),
    firstSegment,
    checkpointLsn,
    holds: { ...(holds as Record<string, Lsn>) },
    ...(salvagedBelow === undefined ? {} : { salvagedBelow }),
    ...(expiredLsn === undefined ? {} : { expiredLsn }),
    ...(before === undefined ? {} : { unsettled: before }),
  };
}

function beginningFrom(parsed: unknown): Beginning | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { firstSegment, expiredLsn } = parsed as Record<string, unknown>;
  if (!isCount(firstSegment, 1)) return undefined;
  if (expiredLsn !== undefined && !isCount(expiredLsn, 1)) return undefined;
  return expiredLsn === undefined ? { firstSegment } : { firstSegment, expiredLsn };
}

function corrupt(path: string, reason: string, cause?: unknown): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path} is damaged (${reason}): restore it from a backup of the whole directory; nothing was changed`,
    { path, offset: 0, reason },
    cause === undefined ? undefined : { cause },
  );
}

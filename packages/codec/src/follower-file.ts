import { checkBytes, checkInteger, invalidType, outOfRange } from './arguments/checks.js';
import { WalError } from './errors.js';
import { decodeFramedJson, encodeFramedJson } from './framed-json.js';
import { checkLsn, type Lsn } from './lsn.js';
import { ID_BYTES } from './segment-header.js';

/** How far a follower is: a resume point, or an LSN alone, which may not be assigned yet. */
export interface StoredPosition {
  /** The LSN of the next record that it needs. */
  readonly lsn: Lsn;
  /** With `id`: the segment of the record before, as in a resume point. */
  readonly segment?: number;
  readonly id?: string;
  readonly session?: string;
}

/** The content of the file of a follower, `followers/<name>.follower`. */
export interface FollowerFile {
  /** 16 bytes, as in every segment of the log. */
  readonly logId: Uint8Array;
  readonly name: string;
  /** `undefined` while it looks for its first record: then it needs everything. */
  readonly position: StoredPosition | undefined;
  /** When the file was written, milliseconds since the Unix epoch, by the clock of the follower. */
  readonly storedAtMs: number;
}

/** A file of a follower is never longer, in bytes. */
export const FOLLOWER_FILE_BYTES_MAX = 4096;

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const FILE = /^(.+)\.follower$/;

/** Returns `name` when a follower can have it. @throws `TypeError`, `RangeError` with Node's codes */
export function checkFollowerName(argument: string, name: unknown): string {
  if (typeof name !== 'string') throw invalidType(argument, 'a string', name);
  if (NAME.test(name)) return name;
  const form = "1 to 64 of the characters a to z, 0 to 9, '.', '_' and '-', the first one a letter or a digit";
  throw outOfRange(argument, form, name);
}

/** The names of the files of a follower, in the directory `followers`. */
export function followerFileNames(name: string): {
  readonly file: string;
  /** Written under this name, then renamed. */
  readonly draft: string;
  /** Locked by the process that has the name. */
  readonly lock: string;
} {
  checkFollowerName('name', name);
  return { file: `${name}.follower`, draft: `${name}.follower.new`, lock: `${name}.lock` };
}

/** The name of the follower whose position is in a file; `undefined` for any other file. */
export function parseFollowerFileName(file: string): string | undefined {
  const name = FILE.exec(file)?.[1];
  return name !== undefined && NAME.test(name) ? name : undefined;
}

/** Encodes the file of a follower: one frame of JSON, its checksum seeded with 16 zero bytes. */
export function encodeFollowerFile({ logId, name, position, storedAtMs }: FollowerFile): Uint8Array {
  checkBytes('logId', logId, ID_BYTES);
  checkFollowerName('name', name);
  checkInteger('storedAtMs', storedAtMs);
  if (position !== undefined) checkLsn('position.lsn', position.lsn);
  return encodeFramedJson({ logId: Buffer.from(logId).toString('hex'), name, position, storedAtMs });
}

/**
 * Decodes the file of a follower.
 *
 * @param path - of the file, for errors
 * @param name - the follower to which the name of the file belongs
 * @throws `WAL_CORRUPT` with a `reason`. A crash never leaves the file damaged, as it is always replaced as a whole.
 */
export function decodeFollowerFile(bytes: Uint8Array, path: string, name: string): FollowerFile {
  const file = fromJson(decodeFramedJson(bytes, (reason, cause) => corrupt(path, reason, cause)));
  if (file === undefined) throw corrupt(path, 'impossible-fields');
  if (file.name !== name) throw corrupt(path, 'other-name');
  return file;
}

function fromJson(parsed: unknown): FollowerFile | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { logId, name, position, storedAtMs } = parsed as Record<string, unknown>;
  if (typeof logId !== 'string' || logId.length !== 2 * ID_BYTES || !/^[0-9a-f]*$/.test(logId)) return undefined;
  if (typeof name !== 'string' || !isCount(storedAtMs, 0)) return undefined;
  const id = new Uint8Array(Buffer.from(logId, 'hex'));
  if (position === undefined) return { logId: id, name, position, storedAtMs };
  const stored = positionFrom(position);
  return stored === undefined ? undefined : { logId: id, name, position: stored, storedAtMs };
}

function positionFrom(parsed: unknown): StoredPosition | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { lsn, segment, id, session } = parsed as Record<string, unknown>;
  if (!isCount(lsn, 1)) return undefined;
  if (segment === undefined && id === undefined && session === undefined) return { lsn };
  if (!isCount(segment, 0) || typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return undefined;
  if (session === undefined) return { lsn, segment, id };
  if (typeof session !== 'string' || !/^([0-9a-f]{16}|end)$/.test(session)) return undefined;
  return { lsn, segment, id, session };
}

const isCount = (value: unknown, minimum: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= minimum;

function corrupt(path: string, reason: string, cause?: unknown): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${path} is damaged (${reason}), so the log keeps everything for this follower: remove the follower from the log, ` +
      'or begin to follow with this name from an LSN',
    { path, offset: 0, reason },
    cause === undefined ? undefined : { cause },
  );
}

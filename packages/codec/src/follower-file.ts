import { checkBytes, checkInteger, invalidType, outOfRange } from './arguments/checks.js';
import { WalError } from './errors.js';
import { decodeFrame } from './frame.js';
import { decodeFramedJson, encodeFramedJson } from './framed-json.js';
import { FRAME_HEADER_BYTES } from './frames-in-blocks.js';
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

/** The content of one of the two slots in the file of a follower, `followers/<name>.follower`. */
export interface FollowerSlot {
  /** 16 bytes, as in every segment of the log. */
  readonly logId: Uint8Array;
  readonly name: string;
  /** `undefined` while it looks for its first record: then it needs everything. */
  readonly position: StoredPosition | undefined;
  /** When this was stored, milliseconds since the Unix epoch, by the clock of the follower; `undefined` without a clock. */
  readonly storedAtMs: number | undefined;
}

/**
 * What the file of a follower says. A position is stored by two writes: when the first one is durable, the second one writes the same
 * into the other slot. Until then the log keeps what either of them needs. Both are the same object where only one can be read.
 */
export interface FollowerFile {
  /** What was written before: it is durable. */
  readonly older: FollowerSlot;
  /** What was written last. It may not be durable. */
  readonly newer: FollowerSlot;
  /** Which of them is only what a process has begun with; `undefined` when neither is: that was stored. */
  readonly begun: FollowerSlot | undefined;
}

/** What is written into a new file of a follower. */
export type NewFollowerFile = Pick<FollowerFile, 'older' | 'newer'>;

/** What a follower goes on with: the older slot, which is durable, but for what a process has only begun with. */
export function storedSlot({ older, newer, begun }: FollowerFile): FollowerSlot {
  return older === begun ? newer : older;
}

/** The number of the slot that has what a process has begun with, which has not found its first record. */
export const BEGUN_NUMBER = 2;

/** Size of a slot, in bytes: a slot can be written without any risk for the other one. */
export const FOLLOWER_SLOT_BYTES = 4096;

/** Size of the file of a follower, in bytes. */
export const FOLLOWER_FILE_BYTES = 2 * FOLLOWER_SLOT_BYTES;

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
  /** A file of the same size, from which the next draft is made: so that no room is needed for that. */
  readonly spare: string;
  /** Locked by the process that has the name. */
  readonly lock: string;
} {
  checkFollowerName('name', name);
  const file = `${name}.follower`;
  return { file, draft: `${file}.new`, spare: `${file}.spare`, lock: `${name}.lock` };
}

/** The name of the follower whose position is in a file; `undefined` for any other file. */
export function parseFollowerFileName(file: string): string | undefined {
  const name = FILE.exec(file)?.[1];
  return name !== undefined && NAME.test(name) ? name : undefined;
}

/**
 * Encodes a slot: one frame of JSON, its checksum seeded with 16 zero bytes, and zeros.
 *
 * @param number - of the write, from 1 on: of two slots, the one with the higher number was written later
 */
export function encodeFollowerSlot({ logId, name, position, storedAtMs }: FollowerSlot, number: number): Uint8Array {
  checkBytes('logId', logId, ID_BYTES);
  checkFollowerName('name', name);
  checkInteger('number', number, 1);
  if (storedAtMs !== undefined) checkInteger('storedAtMs', storedAtMs);
  if (position !== undefined) checkLsn('position.lsn', position.lsn);
  const slot = new Uint8Array(FOLLOWER_SLOT_BYTES);
  slot.set(encodeFramedJson({ number, logId: Buffer.from(logId).toString('hex'), name, position, storedAtMs }));
  return slot;
}

/**
 * Encodes the file of a follower, as it is made: the older slot is the first one.
 *
 * @param number - that of the newer slot, at least 2; {@link BEGUN_NUMBER} when it is what a process begins with
 */
export function encodeFollowerFile({ older, newer }: NewFollowerFile, number = BEGUN_NUMBER): Uint8Array {
  checkInteger('number', number, BEGUN_NUMBER);
  const bytes = new Uint8Array(FOLLOWER_FILE_BYTES);
  bytes.set(encodeFollowerSlot(older, number - 1));
  bytes.set(encodeFollowerSlot(newer, number), FOLLOWER_SLOT_BYTES);
  return bytes;
}

/**
 * Decodes the file of a follower. A slot that cannot be read was being written: then the other one counts.
 *
 * @param path - of the file, for errors
 * @param name - the follower to which the name of the file belongs
 * @throws `WAL_CORRUPT` with a `reason` when neither can be read
 */
export function decodeFollowerFile(bytes: Uint8Array, path: string, name: string): FollowerFile {
  const [first, second] = decodeFollowerSlots(bytes, path, name);
  if (WalError.is(first) && WalError.is(second)) throw first;
  const one = WalError.is(first) ? (second as NumberedSlot) : first;
  const other = WalError.is(second) ? one : second;
  const [older, newer] = one.number <= other.number ? [one, other] : [other, one];
  const begun = [newer, older].find(({ number }) => number === BEGUN_NUMBER)?.slot;
  return { older: older.slot, newer: newer.slot, begun };
}

/** The two slots in the file of a follower; for each that cannot be read the error. @throws `WAL_CORRUPT` with another size */
export function decodeFollowerSlots(
  bytes: Uint8Array,
  path: string,
  name: string,
): readonly [NumberedSlot | WalError, NumberedSlot | WalError] {
  if (bytes.length !== FOLLOWER_FILE_BYTES) throw corrupt(path, 'size');
  const first = decodeSlot(bytes.subarray(0, FOLLOWER_SLOT_BYTES), path, name);
  return [first, decodeSlot(bytes.subarray(FOLLOWER_SLOT_BYTES), path, name)];
}

/** A slot, and the number of its write; the error when it cannot be read. */
function decodeSlot(bytes: Uint8Array, path: string, name: string): NumberedSlot | WalError {
  const data = decodeFrame(bytes);
  if (data === undefined) return corrupt(path, 'checksum');
  let parsed: unknown;
  try {
    parsed = decodeFramedJson(bytes.subarray(0, FRAME_HEADER_BYTES + data.length), (reason, cause) =>
      corrupt(path, reason, cause),
    );
  } catch (error) {
    return error as WalError;
  }
  const decoded = fromJson(parsed);
  if (decoded === undefined) return corrupt(path, 'impossible-fields');
  return decoded.slot.name === name ? decoded : corrupt(path, 'other-name');
}

/** A slot, and the number of its write. */
export interface NumberedSlot {
  readonly number: number;
  readonly slot: FollowerSlot;
}

function fromJson(parsed: unknown): NumberedSlot | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { number, logId, name, position, storedAtMs } = parsed as Record<string, unknown>;
  if (!isCount(number, 1)) return undefined;
  if (typeof logId !== 'string' || logId.length !== 2 * ID_BYTES || !/^[0-9a-f]*$/.test(logId)) return undefined;
  if (typeof name !== 'string' || !(storedAtMs === undefined || isCount(storedAtMs, 0))) return undefined;
  const id = new Uint8Array(Buffer.from(logId, 'hex'));
  if (position === undefined) return { number, slot: { logId: id, name, position, storedAtMs } };
  const stored = positionFrom(position);
  return stored === undefined ? undefined : { number, slot: { logId: id, name, position: stored, storedAtMs } };
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

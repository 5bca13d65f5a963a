import { checkBytes, checkInteger } from './arguments/checks.js';
import { WalError } from './errors.js';
import { checkBlockBytes } from './frames-in-blocks.js';
import { getUint64, setUint64, viewOf } from './integers.js';
import { continueCrc32c } from './kernels.js';
import { checkLsn, type Lsn } from './lsn.js';

/** Version of the format that this package writes, and the latest that it reads. */
export const FORMAT_VERSION = 1;

/** Bytes of a segment header; the rest of the first block is zero. */
export const SEGMENT_HEADER_BYTES = 128;

/** Bytes of a log id or a segment id. */
export const ID_BYTES = 16;

const MAGIC = new TextEncoder().encode('WALSTACK');
const FLAG_ENCRYPTED = 1;
const FLAG_SALVAGED = 2;
const ENCRYPTED_FROM_OFFSET = 112;
/**
 * Offset of the header's checksum, which covers all bytes before it. The key of an encrypted segment is derived from
 * the same bytes.
 */
export const HEADER_CRC_OFFSET = 124;

/** A segment's link to the one before it in the chain. */
export interface Predecessor {
  /** Its segment number. */
  readonly number: number;
  /** Its segment id, 16 bytes. */
  readonly id: Uint8Array;
}

/** The fields of a segment's header, which stands in the first block of its file. */
export interface SegmentHeader {
  /** Block size in bytes; frames start behind the first block. A power of two from 512 to 65,536. */
  readonly blockBytes: number;
  /** Payloads are encrypted. */
  readonly encrypted: boolean;
  /** Made by salvage. */
  readonly salvaged: boolean;
  /** Id of the encryption key, 0 when plaintext. */
  readonly keyId: number;
  /**
   * All records from this LSN on are encrypted, also those in segments before this one: a plaintext record with this LSN
   * or a later one does not belong to the log. At most `firstLsn`; 0 when this segment is not encrypted.
   */
  readonly encryptedFrom: Lsn;
  readonly firstLsn: Lsn;
  /** 1, 2, 3 … within the log, never used twice. */
  readonly number: number;
  /** 16 bytes, random, the same in every segment of one log. */
  readonly logId: Uint8Array;
  /** 16 bytes, random, new for every segment, also when its file is reused. */
  readonly segmentId: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** The core that the log belongs to, in a per-core log; else `undefined`. */
  readonly coreId: number | undefined;
  /** Position in the log of the first frame: bytes of all segments before. */
  readonly firstPosition: number;
  /** The segment before; `undefined` where the log begins. */
  readonly predecessor: Predecessor | undefined;
  /**
   * Bytes 0 to 123 as they stand in the file: the key of an encrypted segment is derived from all of them. Set only by
   * {@link decodeSegmentHeader} for an encrypted segment, and not enumerable. Without it, the bytes that
   * {@link encodeSegmentHeader} writes are used.
   */
  readonly encoded?: Uint8Array;
}

/**
 * CRC32C of a segment id: the seed of the checksum of every frame in the segment.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for anything but 16 bytes
 */
export function segmentSeed(segmentId: Uint8Array): number {
  return continueCrc32c(checkBytes('segmentId', segmentId, ID_BYTES), 0, ID_BYTES, 0);
}

/**
 * Fills the first block of a segment.
 *
 * @param block - receives the header; at least 128 bytes, everything behind them is zeroed
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`); then `block` is unchanged
 */
export function encodeSegmentHeader(block: Uint8Array, header: SegmentHeader): void {
  checkBytes('block', block);
  checkInteger('block.length', block.length, SEGMENT_HEADER_BYTES);
  checkHeader(header);
  block.fill(0);
  const view = viewOf(block);
  block.set(MAGIC, 0);
  view.setUint16(8, FORMAT_VERSION, true);
  view.setUint8(10, Math.log2(header.blockBytes));
  view.setUint8(11, (header.encrypted ? FLAG_ENCRYPTED : 0) | (header.salvaged ? FLAG_SALVAGED : 0));
  view.setUint32(12, header.keyId, true);
  setUint64(view, 16, header.firstLsn);
  setUint64(view, 24, header.number);
  block.set(header.logId, 32);
  block.set(header.segmentId, 48);
  setUint64(view, 64, header.createdAtMs);
  view.setUint32(72, header.coreId === undefined ? 0 : header.coreId + 1, true);
  setUint64(view, 80, header.firstPosition);
  if (header.predecessor !== undefined) {
    setUint64(view, 88, header.predecessor.number);
    block.set(header.predecessor.id, 96);
  }
  setUint64(view, ENCRYPTED_FROM_OFFSET, header.encryptedFrom);
  view.setUint32(HEADER_CRC_OFFSET, continueCrc32c(block, 0, HEADER_CRC_OFFSET, 0), true);
}

function checkHeader(header: SegmentHeader): void {
  checkBlockBytes('blockBytes', header.blockBytes);
  checkInteger('keyId', header.keyId, 0, 0xffff_ffff);
  checkLsn('firstLsn', header.firstLsn);
  if (header.encrypted) checkInteger('encryptedFrom', header.encryptedFrom, 1, header.firstLsn);
  else checkInteger('encryptedFrom', header.encryptedFrom, 0, 0);
  checkInteger('number', header.number, 1);
  checkBytes('logId', header.logId, ID_BYTES);
  checkBytes('segmentId', header.segmentId, ID_BYTES);
  checkInteger('createdAtMs', header.createdAtMs);
  if (header.coreId !== undefined) checkInteger('coreId', header.coreId, 0, 0xffff_fffe);
  checkInteger('firstPosition', header.firstPosition);
  if (header.predecessor !== undefined) {
    checkInteger('predecessor.number', header.predecessor.number, 1, header.number - 1);
    checkBytes('predecessor.id', header.predecessor.id, ID_BYTES);
  }
}

/** Copies bytes, also when `bytes` is a `Buffer`, whose `slice` would be a view. */
function copyOf(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(bytes.subarray(offset, offset + length));
}

/**
 * Reads the header of a segment from its first bytes.
 *
 * @param bytes - at least the first 128 bytes of the file; fewer are a bad header
 * @param path - of the file, for errors
 * @returns the header, its ids copied
 * @throws `WAL_BAD_HEADER` (with a `reason`), `WAL_UNSUPPORTED_VERSION`
 */
export function decodeSegmentHeader(bytes: Uint8Array, path: string): SegmentHeader {
  if (bytes.length < SEGMENT_HEADER_BYTES) throw badHeader(path, 'short', `has only ${bytes.length} bytes`);
  for (let index = 0; index < MAGIC.length; index++) {
    if (bytes[index] !== MAGIC[index]) throw badHeader(path, 'magic', 'does not begin with WALSTACK');
  }
  const view = viewOf(bytes);
  if (view.getUint32(HEADER_CRC_OFFSET, true) !== continueCrc32c(bytes, 0, HEADER_CRC_OFFSET, 0)) {
    throw badHeader(path, 'checksum', 'has a header whose checksum is wrong');
  }
  const version = view.getUint16(8, true);
  const flags = view.getUint8(11);
  if (version > FORMAT_VERSION || (flags & ~(FLAG_ENCRYPTED | FLAG_SALVAGED)) !== 0) {
    throw new WalError(
      'WAL_UNSUPPORTED_VERSION',
      `${path} was written by a later version of the format (${version}, flags ${flags}); this one reads version ` +
        `${FORMAT_VERSION}: use a later walstack`,
      { path, reason: version > FORMAT_VERSION ? 'version' : 'unknown-flags' },
    );
  }
  const header = readFields(bytes, view, flags);
  if (header.encrypted) {
    // Not enumerable: a header that is spread from this one with other fields must not copy these bytes.
    Object.defineProperty(header, 'encoded', { value: copyOf(bytes, 0, HEADER_CRC_OFFSET) });
  }
  if (version === 0 || !plausible(header, view.getUint8(10))) {
    throw badHeader(path, 'impossible-fields', 'has a header with impossible fields');
  }
  return header;
}

function readFields(bytes: Uint8Array, view: DataView, flags: number): SegmentHeader {
  const core = view.getUint32(72, true);
  const predecessorNumber = getUint64(view, 88);
  const encrypted = (flags & FLAG_ENCRYPTED) !== 0;
  return {
    blockBytes: 2 ** view.getUint8(10),
    encrypted,
    salvaged: (flags & FLAG_SALVAGED) !== 0,
    keyId: view.getUint32(12, true),
    encryptedFrom: encrypted ? getUint64(view, ENCRYPTED_FROM_OFFSET) : 0,
    firstLsn: getUint64(view, 16),
    number: getUint64(view, 24),
    logId: copyOf(bytes, 32, ID_BYTES),
    segmentId: copyOf(bytes, 48, ID_BYTES),
    createdAtMs: getUint64(view, 64),
    coreId: core === 0 ? undefined : core - 1,
    firstPosition: getUint64(view, 80),
    predecessor: predecessorNumber === 0 ? undefined : { number: predecessorNumber, id: copyOf(bytes, 96, ID_BYTES) },
  };
}

function plausible(header: SegmentHeader, logBlockBytes: number): boolean {
  return (
    logBlockBytes >= 9 &&
    logBlockBytes <= 16 &&
    header.firstLsn >= 1 &&
    Number.isSafeInteger(header.firstLsn) &&
    (!header.encrypted || (header.encryptedFrom >= 1 && header.encryptedFrom <= header.firstLsn)) &&
    header.number >= 1 &&
    Number.isSafeInteger(header.number) &&
    Number.isSafeInteger(header.createdAtMs) &&
    Number.isSafeInteger(header.firstPosition) &&
    (header.predecessor === undefined || header.predecessor.number < header.number)
  );
}

function badHeader(path: string, reason: string, what: string): WalError {
  return new WalError('WAL_BAD_HEADER', `${path} ${what}: it is not a segment of a log, or it is damaged`, {
    path,
    offset: 0,
    reason,
  });
}

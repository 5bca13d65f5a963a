import { checkOptions, optionNames } from '../arguments/checks.js';
import type { KeyRing } from '../encryption/key-ring.js';
import { notAuthentic, SegmentCipher } from '../encryption/segment-cipher.js';
import { WalError } from '../errors.js';
import { RecordFlag, type RecordHeader } from '../record-layout.js';
import type { SegmentHeader } from '../segment-header.js';
import { type DecompressionProblem, decompress } from './compression.js';

/** How the records of a log are decoded. */
export interface DecodingOptions {
  /** The keys of encrypted segments. */
  readonly keyRing?: KeyRing | undefined;
  /** Accept records that are not encrypted although a key ring is given. Default `false`. */
  readonly allowPlaintext?: boolean | undefined;
  /**
   * Whether it is proven that the log was not encrypted yet when this segment was written; then its plaintext records are
   * accepted. The proof is `encryptedFrom` in the header of a later segment that the key opens. Default `false`.
   */
  readonly predatesEncryption?: boolean | undefined;
  /** The longest payload that is decompressed, in bytes; decompression never takes more memory. Default 64 MiB. */
  readonly maxPayloadBytes?: number | undefined;
}

/** Meta and payload of a record. */
export interface RecordContent {
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
}

const OPTION_NAMES = optionNames<DecodingOptions>({
  keyRing: true,
  allowPlaintext: true,
  predatesEncryption: true,
  maxPayloadBytes: true,
});

const TRANSFORMED = RecordFlag.encrypted | RecordFlag.compressed;

/** The default of `maxPayloadBytes`, here and wherever else there is this option. */
export const PAYLOAD_BYTES_DEFAULT = 64 * 1024 * 1024;

/**
 * Decrypts and decompresses meta and payload of the records of one segment.
 *
 * ```ts
 * const decoder = new PayloadDecoder(header, path, { keyRing });
 * if (decoder.transforms(record.flags)) use(decoder.decode(record, head, body, offset));
 * ```
 */
export class PayloadDecoder {
  readonly #header: SegmentHeader;
  readonly #path: string;
  readonly #keyRing: KeyRing | undefined;
  readonly #maxPayloadBytes: number;
  /** Whether plaintext records are rejected. */
  readonly #refusesPlaintext: boolean;
  #cipher: SegmentCipher | undefined;

  /**
   * Does not use the ring yet: the key is needed only when the first encrypted record is decoded.
   *
   * @param path - of the segment, for errors
   */
  constructor(header: SegmentHeader, path: string, options: DecodingOptions = {}) {
    checkOptions('options', options, OPTION_NAMES);
    this.#header = header;
    this.#path = path;
    this.#keyRing = options.keyRing;
    this.#maxPayloadBytes = options.maxPayloadBytes ?? PAYLOAD_BYTES_DEFAULT;
    this.#refusesPlaintext =
      (header.encrypted || options.predatesEncryption !== true) &&
      options.keyRing !== undefined &&
      options.allowPlaintext !== true;
  }

  /**
   * Whether a record needs {@link decode}. If not, its meta and payload stand in the file as they were appended. With a
   * key ring, plaintext records need it too unless they are accepted, so that {@link decode} can reject them.
   *
   * @param flags - of the record
   */
  transforms(flags: number): boolean {
    return (flags & TRANSFORMED) !== 0 || (this.#refusesPlaintext && (flags & RecordFlag.mark) === 0);
  }

  /**
   * Decodes a record whose checksum and fields are valid.
   *
   * @param head - its header and scope, as they stand in the frame
   * @param body - the rest of the frame's data
   * @param offset - of the frame in the file, for errors
   * @returns meta and payload, each in memory of its own
   * @throws `WAL_BAD_KEY` when the key is missing or wrong, when the record was changed, or when it is not encrypted
   * and should be; `WAL_TOO_LARGE` when its payload would be longer than `maxPayloadBytes`; `WAL_CORRUPT` when it cannot
   * be decompressed; `WAL_UNSUPPORTED` for zstd when Node.js does not have it
   */
  decode(record: RecordHeader, head: Uint8Array, body: Uint8Array, offset: number): RecordContent {
    const { metaLength } = record;
    const stored = this.decrypt(record, head, body, offset);
    const payload = stored.subarray(metaLength);
    if ((record.flags & RecordFlag.compressed) !== 0) {
      return { meta: stored.slice(0, metaLength), payload: this.#decompressed(payload, record, offset) };
    }
    if (metaLength === 0) return { meta: new Uint8Array(0), payload };
    // Transferring the buffer of one of them to another thread must not detach the other: the shorter one is copied.
    return metaLength < payload.length
      ? { meta: stored.slice(0, metaLength), payload }
      : { meta: stored.subarray(0, metaLength), payload: payload.slice() };
  }

  /**
   * The first half of {@link decode}: authenticates and decrypts a record, and leaves its payload compressed.
   *
   * @returns meta and payload, one behind the other, in memory of their own
   * @throws `WAL_BAD_KEY`
   */
  decrypt(record: RecordHeader, head: Uint8Array, body: Uint8Array, offset: number): Uint8Array {
    if ((record.flags & RecordFlag.encrypted) === 0) {
      if (this.#refusesPlaintext) throw this.#plaintext(record, offset);
      return new Uint8Array(body);
    }
    this.#cipher ??= SegmentCipher.forSegment(this.#header, this.#keyRing, this.#path);
    const plain = this.#cipher.decrypt(head, body);
    if (plain === undefined) throw notAuthentic(record.lsn, offset, this.#header.keyId, this.#path);
    return plain;
  }

  #decompressed(payload: Uint8Array, record: RecordHeader, offset: number): Uint8Array {
    const result = decompress(record.codec, payload, this.#maxPayloadBytes);
    if (typeof result === 'string') throw this.#cannotDecompress(result, record, offset);
    return result;
  }

  #plaintext({ lsn }: RecordHeader, offset: number): WalError {
    const { encrypted, keyId } = this.#header;
    const what = encrypted
      ? 'although its segment is'
      : 'and nothing proves that it was written before the log was encrypted';
    const facts = { path: this.#path, offset, lsn, reason: 'plaintext' };
    return new WalError(
      'WAL_BAD_KEY',
      `${this.#path}: the record with LSN ${lsn} is not encrypted, ${what}: if the file was not tampered with, set ` +
        'allowPlaintext',
      encrypted ? { ...facts, keyId } : facts,
    );
  }

  #cannotDecompress(problem: DecompressionProblem, { lsn }: RecordHeader, offset: number): WalError {
    const facts = { path: this.#path, offset, lsn, reason: 'compressed-payload' };
    if (problem === 'damaged') {
      const what = `the payload of the record with LSN ${lsn} cannot be decompressed`;
      return new WalError('WAL_CORRUPT', `${this.#path}: ${what}: restore the file or the log from a copy`, facts);
    }
    const limit = this.#maxPayloadBytes;
    return new WalError(
      'WAL_TOO_LARGE',
      `${this.#path}: the decompressed payload of the record with LSN ${lsn} is over the limit of ${limit} bytes: read ` +
        'it with a larger maxPayloadBytes',
      { ...facts, limit },
    );
  }
}

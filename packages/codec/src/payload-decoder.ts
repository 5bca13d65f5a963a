import { checkOptions, optionNames } from './arguments.js';
import { type DecompressionProblem, decompress } from './compression.js';
import { WalError } from './errors.js';
import type { KeyRing } from './key-ring.js';
import { RecordFlag, type RecordHeader } from './record.js';
import { notAuthentic, SegmentCipher } from './segment-cipher.js';
import type { SegmentHeader } from './segment-header.js';

/** How the records of a log are decoded. */
export interface DecodingOptions {
  /** The keys of encrypted segments. */
  readonly keyRing?: KeyRing | undefined;
  /** Take records that are not encrypted, though there is a key ring. Default `false`. */
  readonly allowPlaintext?: boolean | undefined;
  /**
   * Whether it is proven that the log was not encrypted yet when this segment was written: then its records are taken as
   * they are. Where a later segment that the key opens says so, see `encryptedFrom` in its header. Default `false`.
   */
  readonly predatesEncryption?: boolean | undefined;
  /** The longest payload that is decompressed, in bytes: no more memory is taken. Default 64 MiB. */
  readonly maxPayloadBytes?: number | undefined;
}

/** What a record holds. */
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
const PAYLOAD_BYTES_MOST = 64 * 1024 * 1024;

/**
 * Gives meta and payload of the records of one segment as they were appended: decrypted and decompressed.
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
  /** Whether a record that is not encrypted is refused. */
  readonly #refusesPlaintext: boolean;
  #cipher: SegmentCipher | undefined;

  /**
   * Nothing is asked of the ring yet: a segment can be read without its key as far as no record of it is decoded.
   *
   * @param path - of the segment, for errors
   */
  constructor(header: SegmentHeader, path: string, options: DecodingOptions = {}) {
    checkOptions('options', options, OPTION_NAMES);
    this.#header = header;
    this.#path = path;
    this.#keyRing = options.keyRing;
    this.#maxPayloadBytes = options.maxPayloadBytes ?? PAYLOAD_BYTES_MOST;
    this.#refusesPlaintext =
      (header.encrypted || options.predatesEncryption !== true) &&
      options.keyRing !== undefined &&
      options.allowPlaintext !== true;
  }

  /**
   * Whether a record needs {@link decode}; where not, meta and payload are what stands in the file. Where there is a key
   * ring, that is so for every record, as one that is not encrypted is refused unless it may be there.
   *
   * @param flags - of the record
   */
  transforms(flags: number): boolean {
    return (flags & TRANSFORMED) !== 0 || (this.#refusesPlaintext && (flags & RecordFlag.mark) === 0);
  }

  /**
   * Decodes a record whose checksum is right and whose fields can be.
   *
   * @param head - its header and scope, as they stand in the frame
   * @param body - everything behind them
   * @param offset - of the frame in the file, for errors
   * @returns meta and payload, each in memory of its own
   * @throws `WAL_BAD_KEY` when the key is missing or wrong, when the record was changed, or when it is not encrypted
   * and should be; `WAL_TOO_LARGE` when it would become longer than `maxPayloadBytes`; `WAL_CORRUPT` when it cannot be
   * decompressed; `WAL_UNSUPPORTED` for zstd where Node.js has none
   */
  decode(record: RecordHeader, head: Uint8Array, body: Uint8Array, offset: number): RecordContent {
    const { metaLength } = record;
    const stored = this.decrypt(record, head, body, offset);
    const payload = stored.subarray(metaLength);
    if ((record.flags & RecordFlag.compressed) !== 0) {
      return { meta: stored.slice(0, metaLength), payload: this.#decompressed(payload, record, offset) };
    }
    if (metaLength === 0) return { meta: new Uint8Array(0), payload };
    // Moving one of them to another thread must not take away the other: the shorter one is copied.
    return metaLength < payload.length
      ? { meta: stored.slice(0, metaLength), payload }
      : { meta: stored.subarray(0, metaLength), payload: payload.slice() };
  }

  /**
   * Does the first half of {@link decode}: shows that a record is what was encrypted, and leaves its payload compressed.
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
      ? 'though its segment is'
      : 'and nothing proves that it is older than the encryption of the log';
    const facts = { path: this.#path, offset, lsn, reason: 'plaintext' };
    return new WalError(
      'WAL_BAD_KEY',
      `${this.#path}: the record with LSN ${lsn} is not encrypted, ${what}: the file was changed without the key, or ` +
        'allowPlaintext has to be set',
      encrypted ? { ...facts, keyId } : facts,
    );
  }

  #cannotDecompress(problem: DecompressionProblem, { lsn }: RecordHeader, offset: number): WalError {
    const facts = { path: this.#path, offset, lsn, reason: 'compressed-payload' };
    if (problem === 'damaged') {
      const what = `the payload of the record with LSN ${lsn} cannot be decompressed`;
      return new WalError('WAL_CORRUPT', `${this.#path}: ${what}: restore the file, or a copy of the log`, facts);
    }
    const limit = this.#maxPayloadBytes;
    return new WalError(
      'WAL_TOO_LARGE',
      `${this.#path}: the payload of the record with LSN ${lsn} is over the limit of ${limit} bytes when it is ` +
        'decompressed: read it with a larger maxPayloadBytes',
      { ...facts, limit },
    );
  }
}

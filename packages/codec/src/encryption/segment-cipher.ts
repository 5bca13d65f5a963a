import { createCipheriv, createDecipheriv } from 'node:crypto';
import { WalError } from '../errors.js';
import { FRAME_HEADER_BYTES } from '../frames-in-blocks.js';
import type { Lsn } from '../lsn.js';
import { ENCRYPTION_TAG_BYTES, MARK_FRAME_BYTES, SCOPE_BYTES } from '../record-layout.js';
import type { SegmentHeader } from '../segment-header.js';
import { deriveSegmentKey } from './derive-segment-key.js';
import type { KeyRing } from './key-ring.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const LSN_BYTES = 8;
const OPTIONS = { authTagLength: ENCRYPTION_TAG_BYTES } as const;

/**
 * Encrypts and decrypts the records of one segment with a key of its own, which is derived from the master key that the
 * header names, the segment id and the header itself. So no pair of key and nonce is ever used twice, although an LSN may
 * be assigned again after a crash, and nothing can be decrypted under a header that was tampered with.
 */
export class SegmentCipher {
  readonly #key: Uint8Array;
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  #lastLsn: Lsn = 0;

  private constructor(key: Uint8Array) {
    this.#key = key;
  }

  /**
   * The cipher of an encrypted segment, with the key that `deriveSegmentKey` derives.
   *
   * @param path - of the segment, for errors
   * @throws `WAL_BAD_KEY` when there is no ring, or it does not have the key that the header names
   */
  static forSegment(header: SegmentHeader, ring: KeyRing | undefined, path: string): SegmentCipher {
    return new SegmentCipher(deriveSegmentKey(header, ring, path));
  }

  /**
   * Encrypts the frame of a record in place: length and header are written, meta and payload stand behind header and
   * scope, and the tag has room behind them. Each LSN is encrypted once, in ascending order: encrypting one again would
   * reuse its nonce.
   *
   * @param offset - of the frame in `bytes`
   * @param frameBytes - tag included
   */
  encrypt(bytes: Uint8Array, offset: number, frameBytes: number, scoped: boolean, lsn: Lsn): void {
    if (lsn <= this.#lastLsn) throw new Error(`LSN ${lsn} was encrypted before in this segment`);
    this.#lastLsn = lsn;
    const body = offset + MARK_FRAME_BYTES + (scoped ? SCOPE_BYTES : 0);
    const tag = offset + frameBytes - ENCRYPTION_TAG_BYTES;
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonceOf(bytes, offset + FRAME_HEADER_BYTES), OPTIONS);
    cipher.setAAD(bytes.subarray(offset + FRAME_HEADER_BYTES, body));
    bytes.set(cipher.update(bytes.subarray(body, tag)), body);
    cipher.final();
    bytes.set(cipher.getAuthTag(), tag);
  }

  /**
   * Decrypts and authenticates a record.
   *
   * @param head - its header and scope, as they stand in the frame
   * @param body - the rest of the frame's data: ciphertext and tag
   * @returns meta and payload, one behind the other, in memory of their own; `undefined` when the tag does not match
   */
  decrypt(head: Uint8Array, body: Uint8Array): Uint8Array | undefined {
    const tag = body.length - ENCRYPTION_TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nonceOf(head, 0), OPTIONS);
    decipher.setAAD(head);
    decipher.setAuthTag(body.subarray(tag));
    const plain = decipher.update(body.subarray(0, tag));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
  }

  /** The nonce: 4 zero bytes, then the LSN, big-endian. */
  #nonceOf(bytes: Uint8Array, lsnOffset: number): Uint8Array {
    const lsnEnd = lsnOffset + LSN_BYTES;
    for (let index = 0; index < LSN_BYTES; index++) {
      this.#nonce[NONCE_BYTES - LSN_BYTES + index] = bytes[lsnEnd - 1 - index] as number;
    }
    return this.#nonce;
  }
}

/** The error for a record that the key does not decrypt. */
export function notAuthentic(lsn: Lsn, offset: number, keyId: number, path: string): WalError {
  return new WalError(
    'WAL_BAD_KEY',
    `${path}: key ${keyId} does not decrypt the record with LSN ${lsn}: it is not the key that the log was written with, ` +
      'or the file was changed: give the right key, or restore the file',
    { path, offset, lsn, keyId, reason: 'wrong-key' },
  );
}

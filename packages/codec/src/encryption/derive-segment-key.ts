import { hkdfSync } from 'node:crypto';
import { encodeSegmentHeader, HEADER_CRC_OFFSET, SEGMENT_HEADER_BYTES, type SegmentHeader } from '../segment-header.js';
import { type KeyRing, masterKeyOf, missingKey } from './key-ring.js';

const INFO = new TextEncoder().encode('walstack segment v1');

/**
 * Derives the key of one segment from the master key that its header names, the segment id and the header itself: with a
 * header that was changed, nothing can be decrypted.
 *
 * @param path - of the segment, for errors
 * @throws `WAL_BAD_KEY` when there is no ring, or it does not have the key that the header names
 */
export function deriveSegmentKey(header: SegmentHeader, ring: KeyRing | undefined, path: string): Uint8Array {
  const { keyId } = header;
  const what = `${path} is encrypted with key ${keyId}`;
  if (ring === undefined) throw missingKey(keyId, `${what}, and no key was given`, path);
  const master = masterKeyOf(ring, keyId);
  if (master === undefined) throw missingKey(keyId, `${what}, which is not in the key ring`, path);
  const info = new Uint8Array(INFO.length + HEADER_CRC_OFFSET);
  info.set(INFO);
  info.set(authenticatedBytes(header), INFO.length);
  return new Uint8Array(hkdfSync('sha256', master, header.segmentId, info, 32));
}

/** The bytes of the header that the key is derived from, as they stand in the file: reserved bytes may be non-zero. */
function authenticatedBytes(header: SegmentHeader): Uint8Array {
  if (header.encoded !== undefined) return header.encoded;
  const block = new Uint8Array(SEGMENT_HEADER_BYTES);
  encodeSegmentHeader(block, header);
  return block.subarray(0, HEADER_CRC_OFFSET);
}

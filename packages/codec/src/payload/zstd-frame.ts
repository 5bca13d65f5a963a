import { viewOf } from '../integers.js';

const MAGIC = 0xfd2f_b528;
const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;

/** Types of blocks whose size field is not their length: one byte repeated, and a type that must not occur. */
const BlockType = { repeated: 1, reserved: 3 } as const;

/**
 * Whether bytes are exactly one complete zstd frame (RFC 8878, section 3.1.1). Some versions of Node.js return a partial
 * result for a truncated frame, without an error.
 */
export function isOneZstdFrame(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  if (bytes.length <= MAGIC_BYTES || view.getUint32(0, true) !== MAGIC) return false;
  const descriptor = view.getUint8(MAGIC_BYTES);
  let at = MAGIC_BYTES + 1 + restOfHeader(descriptor);
  for (let last = false; !last; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return false;
    const block = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (block >> 1) & 3;
    if (type === BlockType.reserved) return false;
    last = (block & 1) !== 0;
    at += BLOCK_HEADER_BYTES + (type === BlockType.repeated ? 1 : block >> 3);
  }
  const hasChecksum = (descriptor & 4) !== 0;
  return at + (hasChecksum ? CHECKSUM_BYTES : 0) === bytes.length;
}

/** Bytes of the header behind its descriptor: window descriptor, dictionary id, content size. */
function restOfHeader(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  return (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
}

/**
 * The byte format of a write-ahead log, without any I/O except reading the file of a key ring: frames whose checksum
 * shows a torn write, records inside frames, the header of a segment file, CRC32C, encryption and compression of payloads.
 *
 * There are two levels. A **frame** is `[length u32][crc32c u32][data]`. `encodeFrame`, `decodeFrame`, `sealFrames` and
 * `scanFrames` are enough for tear-safe framing of another file format or protocol. A **record** is what the data of a
 * frame holds in a log: a 24-byte header with LSN, type and durable lag, then scope, meta and payload.
 *
 * Encoding writes into the caller's buffer and allocates nothing. It leaves the checksums open; one call of `sealFrames`
 * fills them in for the whole range that is about to be written.
 *
 * @packageDocumentation
 */

export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint.js';
export { crc32c } from './crc32c.js';
export { type EncryptionKey, KEY_BYTES, KeyRing, type KeySource } from './encryption/key-ring.js';
export { SegmentCipher } from './encryption/segment-cipher.js';
export { WalError, type WalErrorCode, type WalErrorFacts } from './errors.js';
export {
  FileName,
  freeFileName,
  isCoreDirectoryName,
  isFreeFileName,
  parseSegmentFileName,
  type SegmentName,
  segmentFileName,
} from './file-names.js';
export { decodeFrame, encodeFrame, scanFrames, sealFrames, UNSALTED_SEED } from './frame.js';
export {
  BLOCK_BYTES_MAX,
  BLOCK_BYTES_MIN,
  blockEnd,
  DEFAULT_BLOCK_BYTES,
  FRAME_HEADER_BYTES,
  frameStart,
} from './frames-in-blocks.js';
export type { Lsn } from './lsn.js';
export {
  CodecNumber,
  type CompressionCodec,
  type CompressionOptions,
  Compressor,
  zstdAvailable,
} from './payload/compression.js';
export { type DecodingOptions, PayloadDecoder, type RecordContent } from './payload/payload-decoder.js';
export {
  ENCRYPTION_TAG_BYTES,
  isHole,
  isMark,
  LAG_UNKNOWN,
  MARK_FRAME_BYTES,
  MarkType,
  META_BYTES_MAX,
  provenDurable,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  type RecordProblem,
  type RecordScope,
  readRecordHeader,
  readScope,
  recordFrameBytes,
  recordProblem,
  SCOPE_BYTES,
  writeMark,
  writeRecordHeader,
  writeScope,
} from './record-layout.js';
export {
  decodeSegmentHeader,
  encodeSegmentHeader,
  FORMAT_VERSION,
  ID_BYTES,
  type Predecessor,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentSeed,
} from './segment-header.js';

/**
 * What reading a log is made of, for building another log on this format: the files of its directory, the chain
 * of its segments, and the frames of one segment, streamed through a buffer of bounded size. Everything is an I/O
 * routine over a `StorageIo`, and nothing here changes a file.
 *
 * @packageDocumentation
 */

export { type Chain, LAST_NUMBER, LAST_POSITION, type Link, readChain } from './chain.js';
export { corruption, lostRecord, provenByCheckpoint, truncated } from './corruption.js';
export { ALWAYS_ENCRYPTED, type Demands, opensRecord, predatesEncryption } from './encrypted-from.js';
export type { FrameScanner } from './frame-scanner.js';
export { FrameSummary } from './frame-summary.js';
export type { Frames } from './frames.js';
export { type Behind, lookBehind } from './hole.js';
export { loadKeys } from './load-keys.js';
export {
  isNoFile,
  type LogFiles,
  listFiles,
  readCheckpoint,
  readHeader,
  refuseUnfinishedSalvage,
  sortFiles,
  withFile,
  withWritableFile,
} from './log-files.js';
export { materialize } from './materialize.js';
export { openSealed, openStreamed, type ScanRange, StreamedScanner } from './open-scanner.js';
export { checkResumePoint, knownBefore, knownIn, resumePointOf } from './resume-point.js';
export { type Segment, sameId, seedOf } from './segment.js';
export { SparseIndex } from './sparse-index.js';
export type { WalRecord } from './wal-record.js';

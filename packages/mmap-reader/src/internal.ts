/**
 * What the other packages of this repository share, and users do not need: the files of a log's directory, the chain of
 * its segments, scanners of one segment, the walk over all of them. Everything is an I/O routine over a `StorageIo`, and
 * nothing here changes a file. It may change in any version.
 *
 * @packageDocumentation
 */

export { checkFrom, firstBehindCheckpoint } from './chain/behind-checkpoint.js';
export { type Chain, type Link, POSITION_MAX, readChain } from './chain/chain.js';
export { readChainBesideWriter, readChainFrom } from './chain/chain-beside-writer.js';
export { corruption, cutBack, lostRecord, provenByCheckpoint, truncated } from './chain/chain-errors.js';
export { ALWAYS_ENCRYPTED, type Demands, opensRecord } from './chain/encrypted-from.js';
export { loadKeys } from './chain/load-keys.js';
export {
  checkpointOf,
  isNoFile,
  type LogFiles,
  listFiles,
  readCheckpoint,
  readHeader,
  readWholeFile,
  refuseUnfinishedBackup,
  refuseUnfinishedSalvage,
  sortFiles,
  withFile,
  withWritableFile,
} from './chain/log-files.js';
export { type Segment, sameId, seedOf } from './chain/segment.js';
export { Sessions } from './chain/sessions.js';
export { SparseIndex } from './chain/sparse-index.js';
export type { DirectoryReader } from './directory/directory-reader.js';
export { readerOfDirectory } from './directory/directory-replay.js';
export { findCut } from './directory/follower-cut-detection.js';
export { ON_TRUNCATED } from './directory/log-tail-options.js';
export { sizesOf } from './directory/replay-progress.js';
export { checkResumePoint, lastReadAt, lastReadBefore, lastReadIn, resumePointOf } from './directory/resume-point.js';
export { checksumOf } from './frames/checksum.js';
export type { FrameScanner } from './frames/frame-scanner.js';
export { FrameSummary } from './frames/frame-summary.js';
export type { Frames } from './frames/frames.js';
export { checkOnHole, type Hole, holeUpTo, nextLsnBehind, type OnHole } from './frames/holes.js';
export { openSealed, openStreamed, type ScanRange, StreamedScanner } from './frames/open-scanner.js';
export { scanTail, type TailScan } from './frames/scan-tail.js';
export { checkDecoding, checkMaxPayloadBytes, type DecodingSettings, PAYLOAD_BYTES_MAX } from './records/decoding.js';
export { asStored, type SegmentEnd, type StoredFrame, type StoredRecord } from './records/stored-record.js';
export type { WalRecord } from './records/wal-record.js';
export {
  CallWatch,
  checkLongCall,
  checkOnProgress,
  LONG_CALL_OPTIONS,
  type LongCallOptions,
  listenTo,
  type ProgressPhase,
  READING_ABORTED,
  throwIfAborted,
  type WalProgress,
  watchOf,
} from './walk/call-watch.js';
export { forEachItem, items, itemsSync, type PieceReader } from './walk/piece-reader.js';
export { ReadProgress } from './walk/read-progress.js';
export { makeSegmentDecoder } from './walk/segment-decoder.js';
export { SegmentWalk, type WalkPolicy } from './walk/segment-walk.js';

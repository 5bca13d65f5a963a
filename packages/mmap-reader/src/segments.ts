/**
 * What reading a log is made of, for who builds a log of their own on this format: the files of its directory, the chain
 * of its segments, and the frames of one segment, streamed through a buffer of bounded size. Everything is an I/O
 * routine over a `StorageIo`, and nothing here changes a file.
 *
 * @packageDocumentation
 */

export { type BrokenLink, type Chain, type ChainWalk, type Link, readChain, walkChain } from './chain.js';
export { corruption, lostRecord, truncated } from './corruption.js';
export type { FrameScanner } from './frame-scanner.js';
export { FrameSummary } from './frame-summary.js';
export type { Frames } from './frames.js';
export { type Behind, lookBehind } from './hole.js';
export { loadKeys } from './load-keys.js';
export { type LogFiles, readCheckpoint, readHeader, sortFiles, withFile } from './log-files.js';
export { materialize } from './materialize.js';
export { openSealed, openStreamed, type ScanRange, StreamedScanner } from './open-scanner.js';
export { type Segment, sameId, seedOf } from './segment.js';
export { SparseIndex } from './sparse-index.js';
export type { WalRecord } from './wal-record.js';

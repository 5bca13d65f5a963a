/**
 * Reads the segments of a write-ahead log without writing: a log that is being written by this process or another one,
 * or one that is not open.
 *
 * @packageDocumentation
 */

export type { ReadFrom } from './chain/behind-checkpoint.js';
export { type DirectoryReplay, type ReplayDirectoryOptions, replayDirectory } from './directory/directory-replay.js';
export { LogTail } from './directory/log-tail.js';
export type { LogTailOptions, OnTruncated, SkippedRecords } from './directory/log-tail-options.js';
export { MmapWalReader, type SegmentReadOptions } from './directory/mmap-wal-reader.js';
export type { ReplayProgress } from './directory/replay-progress.js';
export type { ResumePoint } from './directory/resume-point.js';
export type { Hole, HoleCause, OnHole } from './frames/holes.js';
export { RecordCursor, type StopReason } from './records/record-cursor.js';
export type { WalRecord } from './records/wal-record.js';
export type { LongCallOptions, ProgressPhase, WalProgress } from './walk/call-watch.js';

/**
 * Reads the segments of a write-ahead log without writing: a log that is being written by this process or another one,
 * or one that is not open.
 *
 * @packageDocumentation
 */

export type { ReplayProgress } from './directory-reader.js';
export { type DirectoryReplay, type ReplayDirectoryOptions, replayDirectory } from './directory-replay.js';
export { LogTail, type LogTailOptions } from './log-tail.js';
export { MmapWalReader } from './mmap-wal-reader.js';
export { RecordCursor, type StopReason } from './record-cursor.js';
export type { ResumePoint } from './resume-point.js';
export type { WalRecord } from './wal-record.js';

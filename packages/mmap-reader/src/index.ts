/**
 * Reads the segments of a write-ahead log without writing: a log that is being written by this process or another one,
 * or one that nobody has open.
 *
 * @packageDocumentation
 */

export { LogTail, type LogTailOptions } from './log-tail.js';
export type { WalRecord } from './wal-record.js';

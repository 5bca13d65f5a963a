import type { Scratch } from './machine/scratch.js';
import type { Subject } from './subjects/subject.js';
import type { DurableLoop } from './yardsticks/durable-loop.js';

/** How long and how often is measured. */
export interface Amounts {
  readonly rounds: number;
  /** Of one measurement that goes by time. */
  readonly durationMs: number;
  /** Records of one measurement that goes by number; fewer where they are long. */
  readonly records: number;
  /** Payload bytes of one measurement that goes by number, at most. */
  readonly bytes: number;
  /** Records that are read back in `replay`. */
  readonly replayRecords: number;
  /** Payload bytes of the log that is opened after a crash. */
  readonly crashedBytes: number;
  /** Bytes of the largest log whose replay is looked at for the memory it takes. */
  readonly memoryBytes: number;
  /** Bytes of the log that is read beside a timer in `turns`. */
  readonly turnBytes: number;
  /** Bytes of the log that is verified in `verify`. */
  readonly verifyBytes: number;
  /** Records that a new process appends or reads in `cold`. */
  readonly coldRecords: number;
  /** How often a log is opened for one commit. */
  readonly openings: number;
  /** Commits with nothing else in flight, whose space on the disk is looked at. */
  readonly loneCommits: number;
}

/** What is measured, by how much, and where. */
export interface Settings extends Amounts {
  readonly subjects: readonly Subject[];
  /** What durable writes are measured by, where it is there. */
  readonly nativeLoop: DurableLoop | undefined;
  readonly fio: DurableLoop | undefined;
  readonly scratch: Scratch;
}

export const MEBIBYTE = 2 ** 20;

/** For a look. */
export const QUICK: Amounts = {
  rounds: 3,
  durationMs: 200,
  records: 100_000,
  bytes: 32 * MEBIBYTE,
  replayRecords: 200_000,
  crashedBytes: 32 * MEBIBYTE,
  memoryBytes: 128 * MEBIBYTE,
  turnBytes: 256 * MEBIBYTE,
  verifyBytes: 256 * MEBIBYTE,
  coldRecords: 200_000,
  openings: 80,
  loneCommits: 500,
};

/** For figures that are handed on. */
export const FULL: Amounts = {
  rounds: 7,
  durationMs: 1000,
  records: 1_000_000,
  bytes: 256 * MEBIBYTE,
  replayRecords: 10_000_000,
  crashedBytes: 1024 * MEBIBYTE,
  memoryBytes: 4096 * MEBIBYTE,
  turnBytes: 2048 * MEBIBYTE,
  verifyBytes: 4096 * MEBIBYTE,
  coldRecords: 2_000_000,
  openings: 800,
  loneCommits: 5000,
};

/** How many records of a size one measurement appends. */
export const recordsOf = ({ records, bytes }: Amounts, payloadBytes: number): number =>
  Math.max(1, Math.min(records, Math.floor(bytes / payloadBytes)));

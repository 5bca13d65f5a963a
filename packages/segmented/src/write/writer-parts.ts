import type { Arena } from '../append/arena.js';
import type { CoarseClock } from '../append/coarse-clock.js';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import type { DirectorySync } from '../segments/directory-sync.js';
import type { RoomSources } from './allocation/with-room.js';
import type { FinalFailure } from './final-failure.js';
import type { Pipeline } from './pipeline.js';
import type { SegmentChain } from './segment-chain.js';
import type { Stall } from './stall.js';
import type { Watermarks } from './watermarks.js';

/** Counters of a writer since it was created. */
export interface WriterCounters {
  records: number;
  groups: number;
  syncs: number;
  marks: number;
  rolls: number;
  recycled: number;
  bytesWritten: number;
}

/** What the parts of a writer share. */
export interface WriterParts extends RoomSources {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly counters: WriterCounters;
  readonly failure: FinalFailure;
  readonly stall: Stall;
  readonly watermarks: Watermarks;
  readonly chain: SegmentChain;
  readonly arena: Arena;
  readonly clock: CoarseClock;
  /** Whether every write is a durable one, with others in flight. */
  readonly isPipelined: boolean;
  /** Runs writes and rolls. */
  readonly pipeline: Pipeline;
  readonly directorySync: DirectorySync;
  /** @throws when the log accepts no records now: it is closed, or being cut */
  readonly throwUnlessWritable: () => void;
}

import type { StorageIo } from '@walstack/storage-io';
import type { FollowerStats } from './followers/follower-stats.js';
import type { Followers } from './followers/followers.js';
import type { Reserve } from './write/allocation/disk-reserve.js';
import type { Preparation } from './write/allocation/segment-allocator.js';
import type { SegmentWriter } from './write/segment-writer.js';

/** Counters and sizes of a log since it was opened. A frozen snapshot. */
export interface SegmentedWalStats {
  /** Records appended. */
  readonly records: number;
  /** Groups of one or more records that were written for one flush or sync each. */
  readonly groups: number;
  /** Syncs of segment data, and durable writes. */
  readonly syncs: number;
  /** Marks written, apart from those that begin a group of records: they are part of it. */
  readonly marks: number;
  readonly rolls: number;
  /** Bytes of frames, marks and padding written. */
  readonly bytesWritten: number;
  /** Segments that were created in a freed file. */
  readonly recycled: number;
  /** Bytes appended and not yet written. */
  readonly pendingBytes: number;
  /** Whether the active segment is written with direct I/O. */
  readonly directIo: boolean;
  readonly segments: number;
  /** What is prepared for the next segment, so that durable writes do not have to extend a file. */
  readonly preparation: Preparation;
  /** What is kept for a full disk. */
  readonly reserve: Reserve;
  /**
   * Whether appended records found no room on the disk: they are in memory, appends are refused with `WAL_NO_SPACE`, and every
   * call that writes tries to write them.
   */
  readonly waitsForSpace: boolean;
  /** Name of the backend. */
  readonly backend: string;
  /**
   * The followers with a name, in any process, as their files were when they were last read: at a truncation, or in the
   * background after a call of this that found them to be older than a second. `followers()` reads them now.
   */
  readonly followers: readonly FollowerStats[];
}

export function statsOf(writer: SegmentWriter, io: StorageIo, named: Followers): SegmentedWalStats {
  const { counters, pendingBytes, directIo, chain, allocator } = writer;
  const preparation = Object.freeze(allocator.preparation);
  const reserve = Object.freeze(writer.reserve.current);
  const waitsForSpace = writer.recordsWait;
  const state = { pendingBytes, directIo, segments: chain.length, preparation, reserve, waitsForSpace };
  return Object.freeze({ ...counters, ...state, backend: io.name, followers: named.stats() });
}

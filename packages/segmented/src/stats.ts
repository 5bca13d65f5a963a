import type { StorageIo } from '@walstack/storage-io';
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
  /** Name of the backend. */
  readonly backend: string;
}

export function statsOf(writer: SegmentWriter, io: StorageIo): SegmentedWalStats {
  const { counters, pendingBytes, directIo, chain, allocator } = writer;
  const preparation = Object.freeze(allocator.preparation);
  return Object.freeze({ ...counters, pendingBytes, directIo, segments: chain.length, preparation, backend: io.name });
}

import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { KeptFor } from '../followers/follower-stats.js';
import { isFailureOfFile } from '../segments/segment-file.js';
import type { SegmentWriter } from '../write/segment-writer.js';

/** The result of a truncation. */
export interface TruncateResult {
  /** Segments whose files were removed. */
  readonly segmentsDeleted: number;
  /** Segments kept as free files for reuse. */
  readonly segmentsRecycled: number;
  /** Bytes of the files that were removed. */
  readonly bytesReclaimed: number;
  /**
   * Segments that are not part of the log any more, but whose files could not be removed. The next truncation and the next
   * opening of the log try again.
   */
  readonly segmentsLeft: number;
  /**
   * The followers with a name because of which `truncateBefore` has perhaps kept more: those that need records before its LSN,
   * and those whose files cannot be read. Absent when there is none.
   */
  readonly keptFor?: readonly KeptFor[];
}

export const NOTHING_REMOVED: TruncateResult = Object.freeze({
  segmentsDeleted: 0,
  segmentsRecycled: 0,
  bytesReclaimed: 0,
  segmentsLeft: 0,
});

/** The results of two calls of {@link SegmentRemoval.remove}: the later one says what is left. */
export function bothRemoved(earlier: TruncateResult, later: TruncateResult): TruncateResult {
  if (earlier === NOTHING_REMOVED) return later;
  return Object.freeze({
    segmentsDeleted: earlier.segmentsDeleted + later.segmentsDeleted,
    segmentsRecycled: earlier.segmentsRecycled + later.segmentsRecycled,
    bytesReclaimed: earlier.bytesReclaimed + later.bytesReclaimed,
    segmentsLeft: later.segmentsLeft,
  });
}

/** Removes the files of segments that are not part of the log any more. */
export class SegmentRemoval {
  readonly #io: StorageIo;
  readonly #writer: SegmentWriter;
  readonly #removed: (result: TruncateResult) => void;
  /** Segments whose files still have to be removed. */
  #toRemove: readonly Segment[] = [];

  /** @param removed - called with the result when files were removed */
  constructor(io: StorageIo, writer: SegmentWriter, removed: (result: TruncateResult) => void) {
    this.#io = io;
    this.#writer = writer;
    this.#removed = removed;
  }

  /**
   * Removes the files of these segments, and those that could not be removed before. A file that cannot be removed does
   * not stop the others, and is tried again the next time: the log does not depend on its removal.
   */
  *remove(segments: readonly Segment[]): IoRoutine<TruncateResult> {
    const toRemove = this.#toRemove.length === 0 ? segments : this.#toRemove.concat(segments);
    if (toRemove.length === 0) return NOTHING_REMOVED;
    const { allocator, directorySync } = this.#writer;
    const left: Segment[] = [];
    let segmentsDeleted = 0;
    let segmentsRecycled = 0;
    let bytesReclaimed = 0;
    // If this fails, the next call tries all of them again.
    this.#toRemove = toRemove;
    for (const segment of toRemove) {
      const size = this.#sizeOf(segment);
      const disposal = yield* allocator.retire(segment);
      if (disposal === 'left') left.push(segment);
      else if (disposal === 'recycled') segmentsRecycled++;
      else {
        segmentsDeleted++;
        bytesReclaimed += size;
      }
    }
    this.#toRemove = left;
    yield* directorySync.sync();
    allocator.publishFreed();
    const result = Object.freeze({ segmentsDeleted, segmentsRecycled, bytesReclaimed, segmentsLeft: left.length });
    this.#removed(result);
    return result;
  }

  /** Whether none of the files of these segments could be removed. */
  hasLeft(segments: readonly Segment[]): boolean {
    return segments.every((segment) => this.#toRemove.includes(segment));
  }

  /** Bytes of a segment's file; 0 when its size cannot be read. */
  #sizeOf({ path }: Segment): number {
    try {
      return this.#io.stat(path).size;
    } catch (error) {
      if (isFailureOfFile(error)) return 0;
      throw error;
    }
  }
}

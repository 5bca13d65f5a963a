import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { RoutineQueue } from '@walstack/storage-io/internal';
import type { KeptFor } from '../../followers/follower-stats.js';
import type { DirectorySync } from '../../segments/directory-sync.js';
import { isFailureOfFile } from '../../segments/segment-file.js';
import type { Disposal, SegmentAllocator } from './segment-allocator.js';

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
   * opening of the log try again, and on a full disk every call that needs room.
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

/** Removes the files of segments that are not part of the log any more. */
export class SegmentRemoval {
  readonly #io: StorageIo;
  readonly #allocator: SegmentAllocator;
  readonly #directorySync: DirectorySync;
  readonly #removed: (result: TruncateResult) => void;
  /** Serialises truncations and what needs room meanwhile. */
  readonly #queue: RoutineQueue;
  /** Segments whose files still have to be removed. */
  #toRemove: readonly Segment[] = [];
  /** What was removed since the log was opened, and what is left now. */
  #total = NOTHING_REMOVED;

  /** @param removed - called with the result when files were removed */
  constructor(
    io: StorageIo,
    allocator: SegmentAllocator,
    directorySync: DirectorySync,
    removed: (result: TruncateResult) => void,
  ) {
    this.#io = io;
    this.#allocator = allocator;
    this.#directorySync = directorySync;
    this.#removed = removed;
    this.#queue = new RoutineQueue(io);
  }

  /**
   * Removes the files of these segments, and those that could not be removed before. A file that cannot be removed does
   * not stop the others, and is tried again the next time: the log does not depend on its removal.
   *
   * @returns whether there were any to remove
   */
  *remove(segments: readonly Segment[]): IoRoutine<boolean> {
    return yield* this.#queue.join(() => this.#removeWith(segments, (segment) => this.#allocator.retire(segment)));
  }

  /**
   * Tries the files again that could not be removed, as the disk is full. None is kept for reuse.
   *
   * @returns whether one was removed: then there may be room
   */
  *makeRoom(): IoRoutine<boolean> {
    const left = this.#toRemove.length;
    if (left === 0) return false;
    yield* this.#queue.join(() => this.#removeWith([], (segment) => this.#allocator.remove(segment)));
    return this.#toRemove.length < left;
  }

  /** The number of segments whose files still have to be removed. */
  get left(): number {
    return this.#toRemove.length;
  }

  /** Whether none of the files of these segments could be removed. */
  hasLeft(segments: readonly Segment[]): boolean {
    return segments.every((segment) => this.#toRemove.includes(segment));
  }

  /** @returns a function that returns what was removed since this call, and what is left */
  since(): () => TruncateResult {
    const before = this.#total;
    return () => {
      const { segmentsDeleted, segmentsRecycled, bytesReclaimed } = this.#total;
      return Object.freeze({
        segmentsDeleted: segmentsDeleted - before.segmentsDeleted,
        segmentsRecycled: segmentsRecycled - before.segmentsRecycled,
        bytesReclaimed: bytesReclaimed - before.bytesReclaimed,
        segmentsLeft: this.#toRemove.length,
      });
    };
  }

  *#removeWith(segments: readonly Segment[], dispose: (segment: Segment) => IoRoutine<Disposal>): IoRoutine<boolean> {
    const toRemove = this.#toRemove.length === 0 ? segments : this.#toRemove.concat(segments);
    if (toRemove.length === 0) return false;
    const left: Segment[] = [];
    let segmentsDeleted = 0;
    let segmentsRecycled = 0;
    let bytesReclaimed = 0;
    // If this fails, the next call tries all of them again.
    this.#toRemove = toRemove;
    for (const segment of toRemove) {
      const size = this.#sizeOf(segment);
      const disposal = yield* dispose(segment);
      if (disposal === 'left') left.push(segment);
      else if (disposal === 'recycled') segmentsRecycled++;
      else {
        segmentsDeleted++;
        bytesReclaimed += size;
      }
    }
    this.#toRemove = left;
    this.#total = {
      segmentsDeleted: this.#total.segmentsDeleted + segmentsDeleted,
      segmentsRecycled: this.#total.segmentsRecycled + segmentsRecycled,
      bytesReclaimed: this.#total.bytesReclaimed + bytesReclaimed,
      segmentsLeft: left.length,
    };
    yield* this.#directorySync.sync();
    this.#allocator.publishFreed();
    this.#removed(Object.freeze({ segmentsDeleted, segmentsRecycled, bytesReclaimed, segmentsLeft: left.length }));
    return true;
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

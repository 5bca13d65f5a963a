import { blockEnd, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import type { Pipeline } from './pipeline.js';

/** So far ahead of the writer blocks are prepared, and in such steps, in bytes. */
const AHEAD_BYTES = 2 * 1024 * 1024;
const STEP_BYTES = 4 * 1024 * 1024;

/** Zeros are written so many at a time, so that groups have their turn at the disk. */
const ZEROS_BYTES = 1024 * 1024;

/** A group of more bytes than this gains nothing by it, and writing many such is faster than preparing for them. */
const SMALL_GROUP_BYTES = 128 * 1024;

/**
 * Prepares the blocks that the writer comes to next, in the background: where a durable write need not make the file
 * grow, it takes half the time. Never touches a block that a write under way touches.
 */
export class BlockPreallocator {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #background: Pipeline;
  /** There was no room for a step: no further one is tried for this segment. */
  #noSpace: ActiveSegment | undefined;

  /** @param background - runs the steps */
  constructor(world: Environment, settings: Settings, background: Pipeline) {
    this.#environment = world;
    this.#settings = settings;
    this.#background = background;
  }

  /** Waits until no block of the range is being prepared. @returns `false` after a failure */
  *untilIdle(segment: ActiveSegment, start: number, end: number): IoRoutine<boolean> {
    return yield* this.#background.until(() => isRangeIdle(segment, start, end));
  }

  /**
   * Has a segment blocks of its own in a range behind everything that was written, as far as they can be reserved: a write
   * there does not fail for want of them then.
   *
   * @returns `false` when there is no room for them, with nothing changed; and after a failure
   */
  *reserve(segment: ActiveSegment, start: number, end: number): IoRoutine<boolean> {
    const { blockBytes } = segment.header;
    const limit = blockEnd(end, blockBytes);
    if (!(yield* this.untilIdle(segment, start, limit))) return false;
    const from = Math.max(segment.preparedEnd, blockEnd(start, blockBytes));
    if (segment.file === undefined || from >= limit) return true;
    try {
      yield* ioSteps.allocate(this.#environment.io, segment.file, from, limit - from);
    } catch (error) {
      if (WalError.is(error, 'WAL_NO_SPACE')) return false;
      // A file system may be unable to reserve. One that is broken shows that when it is written to.
      if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
    }
    return true;
  }

  /** To be called when a group was submitted that ends at `end`: begins a step when one is due. */
  preallocateAhead(segment: ActiveSegment, end: number, groupBytes: number): void {
    const { preallocate, segmentBytes } = this.#settings;
    if (preallocate === 'none' || segment.preparing !== undefined || this.#noSpace === segment) return;
    const { blockBytes } = segment.header;
    const start = Math.max(segment.preparedEnd, blockEnd(end, blockBytes));
    const limit = blockEnd(segmentBytes, blockBytes);
    if (groupBytes > SMALL_GROUP_BYTES || start >= limit || start - end >= AHEAD_BYTES) return;
    segment.preparing = { start, end: Math.min(start + STEP_BYTES, limit) };
    this.#background.start(this.#prepare(segment, segment.preparing), () => {});
  }

  *#prepare(segment: ActiveSegment, range: { readonly start: number; readonly end: number }): IoRoutine<void> {
    let syncing = false;
    try {
      yield* prepareBlocks(this.#environment, this.#settings, segment, range.start, range.end);
      // Through the page cache this sync could be told of a failure that concerns a group, whose own sync then succeeds.
      if (segment.file?.direct === true) {
        syncing = true;
        yield* ioSteps.datasync(this.#environment.io, segment.file);
      }
      segment.preparedEnd = range.end;
    } catch (error) {
      // A sync that fails may drop what was flushed, and the next one says nothing of it.
      const mayHaveDropped = syncing && segment.dirty;
      if (mayHaveDropped || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
      this.#noSpace = segment;
    } finally {
      segment.preparing = undefined;
    }
  }
}

/** Whether no block of a range is being prepared. */
export function isRangeIdle({ preparing }: ActiveSegment, start: number, end: number): boolean {
  return preparing === undefined || end <= preparing.start || start >= preparing.end;
}

/** Has a file blocks of its own in a range. When a sync has made that durable, a durable write there changes data only. */
export function* prepareBlocks(
  { io }: Environment,
  { preallocate }: Settings,
  { file }: Pick<ActiveSegment, 'file'>,
  start: number,
  end: number,
): IoRoutine<void> {
  if (file === undefined || preallocate === 'none' || start >= end) return;
  if (preallocate === 'allocate') {
    yield* ioSteps.allocate(io, file, start, end - start);
  } else {
    const zeros = io.allocateBuffer(Math.min(ZEROS_BYTES, end - start));
    for (let at = start; at < end; at += zeros.length) {
      yield* ioSteps.write(io, file, zeros.subarray(0, Math.min(zeros.length, end - at)), at);
    }
  }
}

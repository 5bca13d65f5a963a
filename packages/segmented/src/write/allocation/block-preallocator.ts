import { blockEnd, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import type { ActiveSegment } from '../../segments/active-segment.js';
import type { Pipeline } from '../pipeline.js';

/** Preallocation keeps this distance ahead of the writer, in steps of this size, in bytes. */
const AHEAD_BYTES = 2 * 1024 * 1024;
const STEP_BYTES = 4 * 1024 * 1024;

/** Size of one write of zeros, in bytes: limited, so that writes of groups are not delayed for long. */
const ZEROS_BYTES = 1024 * 1024;

/** Larger groups do not profit from preallocation, and writing zeros ahead of many such groups would be slower. */
const SMALL_GROUP_BYTES = 128 * 1024;

/**
 * Preallocates the blocks ahead of the writer in the background: a durable write that does not extend the file takes half
 * the time. Never writes to a block that a write in flight touches.
 */
export class BlockPreallocator {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #background: Pipeline;
  /** The segment for which a step failed as the disk was full: no further step is tried for it. */
  #noSpace: ActiveSegment | undefined;

  /** @param background - runs the steps */
  constructor(environment: Environment, settings: Settings, background: Pipeline) {
    this.#environment = environment;
    this.#settings = settings;
    this.#background = background;
  }

  /** Waits until no block of the range is being preallocated. @returns `false` after a failure */
  *untilIdle(segment: ActiveSegment, start: number, end: number): IoRoutine<boolean> {
    return yield* this.#background.until(() => isRangeIdle(segment, start, end));
  }

  /**
   * Reserves blocks for a range behind everything that was written, if the file system can reserve them, so that a write
   * there does not fail on a full disk.
   *
   * @returns `false` when the disk is full, with nothing changed, and after a failure
   */
  *reserve(segment: ActiveSegment, start: number, end: number): IoRoutine<boolean> {
    const { blockBytes } = segment.header;
    const limit = blockEnd(end, blockBytes);
    if (!(yield* this.untilIdle(segment, start, limit))) return false;
    const from = Math.max(segment.preallocatedEnd, blockEnd(start, blockBytes));
    if (segment.file === undefined || from >= limit) return true;
    try {
      yield* ioSteps.allocate(this.#environment.io, segment.file, from, limit - from);
    } catch (error) {
      if (WalError.is(error, 'WAL_NO_SPACE')) return false;
      // The file system may not support reservation. If it is broken instead, the write that follows fails.
      if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
    }
    return true;
  }

  /** Called when a group that ends at `end` was submitted: starts a step when one is due. */
  preallocateAhead(segment: ActiveSegment, end: number, groupBytes: number): void {
    const { preallocate, segmentBytes } = this.#settings;
    if (preallocate === 'none' || segment.preallocating !== undefined || this.#noSpace === segment) return;
    const { blockBytes } = segment.header;
    const start = Math.max(segment.preallocatedEnd, blockEnd(end, blockBytes));
    const limit = blockEnd(segmentBytes, blockBytes);
    if (groupBytes > SMALL_GROUP_BYTES || start >= limit || start - end >= AHEAD_BYTES) return;
    segment.preallocating = { start, end: Math.min(start + STEP_BYTES, limit) };
    this.#background.start(this.#preallocate(segment, segment.preallocating), () => {});
  }

  *#preallocate(segment: ActiveSegment, range: { readonly start: number; readonly end: number }): IoRoutine<void> {
    let syncing = false;
    try {
      yield* preallocateBlocks(this.#environment, this.#settings, segment, range.start, range.end);
      // Only with direct I/O: through the page cache this sync could consume an error of a group's write, and the sync
      // of
      // that group would then succeed.
      if (segment.file?.direct === true) {
        syncing = true;
        yield* ioSteps.datasync(this.#environment.io, segment.file);
      }
      segment.preallocatedEnd = range.end;
    } catch (error) {
      // A failed sync may have dropped flushed data, and the next sync would not report it.
      const mayHaveDropped = syncing && segment.dirty;
      if (mayHaveDropped || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
      this.#noSpace = segment;
    } finally {
      segment.preallocating = undefined;
    }
  }
}

/** Whether no block of a range is being preallocated. */
export function isRangeIdle({ preallocating }: ActiveSegment, start: number, end: number): boolean {
  return preallocating === undefined || end <= preallocating.start || start >= preallocating.end;
}

/**
 * Allocates the blocks of a range. Once a sync has made this durable, a durable write there changes only data, no
 * metadata.
 */
export function* preallocateBlocks(
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

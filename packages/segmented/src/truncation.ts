import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { writeCheckpoint } from './log-directory.js';
import type { Settings } from './options.js';
import { isEmpty } from './segment.js';
import type { SegmentWriter } from './segment-writer.js';
import type { World } from './world.js';

/** What `truncateBefore` did. */
export interface TruncateResult {
  /** Segments whose files were removed. */
  readonly segmentsDeleted: number;
  /** Segments kept as free files for reuse. */
  readonly segmentsRecycled: number;
  /** Bytes of the files that were removed. */
  readonly bytesReclaimed: number;
}

const NOTHING: TruncateResult = Object.freeze({ segmentsDeleted: 0, segmentsRecycled: 0, bytesReclaimed: 0 });

/** Where the log begins, as the file `checkpoint` says it; replaced by truncation. */
export class Truncation {
  readonly #world: World;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  #checkpoint: Checkpoint;
  /** Segments that are not part of the log any more, and whose files are still to be removed. */
  #toRemove: readonly Segment[] = [];

  constructor(world: World, settings: Settings, writer: SegmentWriter, checkpoint: Checkpoint) {
    this.#world = world;
    this.#settings = settings;
    this.#writer = writer;
    this.#checkpoint = checkpoint;
  }

  /**
   * Removes the segments that hold nothing but records below `lsn`, and below every hold. That they are gone is durable
   * on return.
   *
   * @param lsn - the first LSN that is still needed; the next LSN empties the log
   */
  *before(lsn: Lsn): IoRoutine<TruncateResult> {
    const writer = this.#writer;
    writer.throwIfFailed();
    const needed = Math.min(lsn, ...Object.values(this.#checkpoint.holds));
    if (needed >= writer.nextLsn) yield* writer.roll();
    const kept = firstKept(writer, needed);
    if (kept !== undefined && writer.sealed.some((segment) => segment.header.number < kept)) {
      yield* this.#store({ ...this.#checkpoint, firstSegment: kept });
      this.#toRemove = [...this.#toRemove, ...writer.forget(kept)];
    }
    return this.#toRemove.length === 0 ? NOTHING : yield* this.#remove();
  }

  /** Makes the new beginning durable. Where there is no room for it, nothing has changed and the log goes on. */
  *#store(checkpoint: Checkpoint): IoRoutine<void> {
    const { io } = this.#world;
    const { directory } = this.#settings;
    try {
      try {
        yield* writeCheckpoint(io, directory, checkpoint);
      } catch (error) {
        if (!WalError.is(error, 'WAL_NO_SPACE') || !(yield* this.#writer.stock.surrender())) throw error;
        yield* writeCheckpoint(io, directory, checkpoint);
      }
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) this.#writer.fail(error);
      throw error;
    }
    this.#checkpoint = checkpoint;
  }

  /** A sync that failed is final: a later one that succeeds proves nothing about these names. */
  *#syncNames(): IoRoutine<void> {
    try {
      yield* ioSteps.syncDirectory(this.#world.io, this.#settings.directory);
    } catch (error) {
      this.#writer.fail(error);
      throw error;
    }
  }

  /** Gets rid of the files; what fails is left for the next time. */
  *#remove(): IoRoutine<TruncateResult> {
    const { io } = this.#world;
    const { stock } = this.#writer;
    let segmentsDeleted = 0;
    let segmentsRecycled = 0;
    let bytesReclaimed = 0;
    for (const segment of this.#toRemove) {
      const { size } = io.stat(segment.path);
      const disposal = yield* stock.dispose(segment);
      this.#toRemove = this.#toRemove.slice(1);
      if (disposal === 'recycled') segmentsRecycled++;
      else {
        segmentsDeleted++;
        bytesReclaimed += size;
      }
    }
    yield* this.#syncNames();
    stock.admit();
    return Object.freeze({ segmentsDeleted, segmentsRecycled, bytesReclaimed });
  }
}

/** Number of the first segment that holds a record ≥ `needed`, or that the log cannot do without. */
function firstKept(writer: SegmentWriter, needed: Lsn): number | undefined {
  const segments = [...writer.sealed, ...(writer.active === undefined ? [] : [writer.active])];
  const kept = segments.find((segment) => segment.nextLsn > needed || isEmpty(segment));
  return (kept ?? segments.at(-1))?.header.number;
}

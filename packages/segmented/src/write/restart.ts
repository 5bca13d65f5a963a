import { type Lsn, WalError } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import { recordsPending } from '../log-errors.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import { closingOnFailure } from '../segments/new-segment.js';
import type { ChainLink } from '../segments/segment.js';
import type { SegmentFiles } from './allocation/segment-files.js';
import type { WriterParts } from './writer-parts.js';

/** Continues a log with another LSN than the next one, in a new segment that supersedes those behind the kept ones. */
export class Restart {
  readonly #parts: WriterParts;
  readonly #files: SegmentFiles;

  constructor(parts: WriterParts, files: SegmentFiles) {
    this.#parts = parts;
    this.#files = files;
  }

  /**
   * Called when everything appended is durable; nothing may be appended until it is done.
   *
   * @param from - the chain link of the new segment
   * @param kept - the segments that remain in the log, from the oldest to the newest
   * @param note - writes what has to be durable before the new segment is named; runs once its file is allocated
   * @returns the segments that are not part of the log any more
   * @throws `WAL_NO_SPACE` when the disk has no room for the new segment or its name, or for a mark before it, and errors of `note`: then the log is
   * unchanged; `WAL_STATE` when something is pending
   */
  *at(
    firstLsn: Lsn,
    from: ChainLink,
    kept: readonly Segment[],
    note: () => IoRoutine<void>,
  ): IoRoutine<readonly Segment[]> {
    const { environment, settings, failure, stall, chain, watermarks } = this.#parts;
    failure.throwIfFailed();
    // A mark may wait for room.
    if (!this.#isSettled) throw stall.error ?? recordsPending(settings.directory);
    const next = chain.planAt(firstLsn, from, kept);
    try {
      yield* this.#files.createWithReserve(next);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : failure.fail(error);
    }
    yield* closingOnFailure(environment, next, this.#nameInstead(next, note));
    const { current } = chain;
    const superseded = chain.replace(kept, next);
    watermarks.restartAt(firstLsn, chain.position);
    try {
      this.#files.close(current);
    } catch (error) {
      // The log has continued without those records already: that is not undone.
      throw failure.fail(error);
    }
    return superseded;
  }

  /** Names a segment that supersedes the ones which the log continues without. */
  *#nameInstead(next: ActiveSegment, note: () => IoRoutine<void>): IoRoutine<void> {
    const { settings, failure, chain } = this.#parts;
    try {
      yield* note();
    } catch (error) {
      yield* this.#files.discard(next);
      throw error;
    }
    if (chain.current !== undefined) yield* failure.guarded(this.#files.trimPreallocation(chain.current));
    yield* this.#files.nameOrRefuse(next);
    // Records appended meanwhile would be written into the superseded segment, and the log would continue there.
    if (!this.#isSettled) throw failure.fail(recordsPending(settings.directory));
  }

  /** Whether everything appended is durable and nothing is in flight. */
  get #isSettled(): boolean {
    const { arena, pipeline, watermarks } = this.#parts;
    return arena.isTaken && pipeline.isEmpty && watermarks.isEverythingDurable;
  }
}

import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { RoutineQueue } from '@walstack/storage-io/internal';
import type { Truncation } from '../retention/truncation.js';
import type { SegmentWriter } from './segment-writer.js';

/**
 * What happens when the disk is full. A log is without room when it was opened on a full disk and has no segment to append to, or
 * when appended records found no room. Every call that writes, each refused append, and each truncation tries to go on here, until
 * there is room. The steps:
 *
 * - `DurableGroupWriter` keeps the writes that found no room in memory, in their order, and repeats them as a whole; `Stall` notes why
 *   the log waits, and is what calls reject with meanwhile.
 * - `SegmentRemoval.makeRoom` tries the files again that a truncation could not remove, also for the records that wait.
 * - `SegmentAllocator.releasePrepared` gives up the prepared next segment and free files for what stores where the log begins, and
 *   `DiskReserve.release` a part of the reserve for that and for what ends something: cuts, the name of a segment, closing.
 * - Steps that find no room for a new file or its name leave the log as it was: see `Roll`, and `begin` and `restartAt` of the
 *   writer. A sync that finds none fails the log, as only recovery can find out what is on the disk.
 */
export class FullDisk {
  readonly #writer: SegmentWriter;
  readonly #truncation: Truncation;
  readonly #writeQueue: RoutineQueue;
  #noSpace: WalError | undefined;
  #retrying = false;

  /** @param noSpace - why the segment could not be created when the log was opened; `undefined` if it was */
  constructor(writer: SegmentWriter, truncation: Truncation, writeQueue: RoutineQueue, noSpace: WalError | undefined) {
    this.#writer = writer;
    this.#truncation = truncation;
    this.#writeQueue = writeQueue;
    this.#noSpace = noSpace;
  }

  /** Why there is no segment yet, or why records wait to be written; `undefined` when neither is so. */
  get noSpace(): WalError | undefined {
    return this.#noSpace ?? this.#writer.noSpace;
  }

  /** Whether that refuses records: not where only a mark waits, which is written in front of the next group. */
  get refusesRecords(): boolean {
    return this.#noSpace !== undefined || this.#writer.recordsWait;
  }

  /**
   * What a log without room does before it writes: tries the files again that a truncation could not remove, and creates the
   * segment that was deferred, as the disk was full when the log was opened.
   */
  *findRoom(): IoRoutine<void> {
    if (this.noSpace !== undefined) yield* this.#writer.removal.makeRoom();
    if (this.#noSpace === undefined) return;
    try {
      yield* this.#truncation.ensureCheckpointDurable();
      yield* this.#writer.begin();
      this.#noSpace = undefined;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#writer.failure !== undefined) throw error;
      this.#noSpace = error;
    }
  }

  /** Goes on if there is room by now. A failure of the log that this finds is that of the next call. */
  *goOnIfPossible(): IoRoutine<void> {
    yield* this.findRoom();
    if (this.#writer.noSpace === undefined) return;
    try {
      yield* this.#writer.sync();
    } catch (error) {
      if (error !== this.#writer.noSpace && error !== this.#writer.failure) throw error;
    }
  }

  /** Tries in the background to go on. */
  retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#writeQueue
      .run(() => this.goOnIfPossible())
      .catch(() => {})
      .finally(() => {
        this.#retrying = false;
      });
  }
}

import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { RoutineQueue } from '@walstack/storage-io/internal';
import type { Truncation } from '../../retention/truncation.js';
import type { SegmentWriter } from '../segment-writer.js';

/**
 * A log that was opened on a full disk has no segment to append to: every call that writes, and each refused append, tries
 * to create it, until there is room.
 *
 * Other steps that find no room for a new file or its name leave the log as it was: see `roll`, `begin` and `restartAt` of
 * the writer. A write of appended records that finds none fails the log, as only recovery can find out what is on the disk.
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

  /** Why there is no segment yet; `undefined` when there is one. */
  get noSpace(): WalError | undefined {
    return this.#noSpace;
  }

  /** Creates the segment that was deferred, as the disk was full when the log was opened. */
  *beginIfDeferred(): IoRoutine<void> {
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

  /** Tries in the background to create the deferred segment. */
  retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#writeQueue
      .run(() => this.beginIfDeferred())
      .catch(() => {})
      .finally(() => {
        this.#retrying = false;
      });
  }
}

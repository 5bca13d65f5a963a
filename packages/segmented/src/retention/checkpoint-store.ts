import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import { settled, withoutUnsettled } from '@walstack/codec/internal';
import type { IoRoutine } from '@walstack/storage-io';
import { RoutineQueue } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { writeCheckpoint } from '../segments/log-directory.js';
import { withRoom } from '../write/allocation/with-room.js';
import type { SegmentWriter } from '../write/segment-writer.js';

/** Reads and replaces the file `checkpoint`: the first segment of the log, the checkpoint LSN, and the holds. */
export class CheckpointStore {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #queue: RoutineQueue;
  #current: Checkpoint;
  #isDurable: boolean;
  #isStale = false;

  /** @param isDurable - whether the checkpoint that was read when the log was opened is known to be durable */
  constructor(
    environment: Environment,
    settings: Settings,
    writer: SegmentWriter,
    current: Checkpoint,
    isDurable: boolean,
  ) {
    this.#environment = environment;
    this.#settings = settings;
    this.#writer = writer;
    this.#queue = new RoutineQueue(environment.io);
    this.#current = current;
    this.#isDurable = isDurable;
  }

  /** The content of the file; what it is to be, where {@link isStale}. */
  get current(): Checkpoint {
    return this.#current;
  }

  /** Whether the file still announces a truncation that was given up, or done, as it could not be replaced since. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /**
   * Replaces the file; calls are queued. Durable on return.
   *
   * @throws `WAL_NO_SPACE` when the disk is full: then nothing has changed, and the log is still usable
   */
  *replace(checkpoint: Checkpoint): IoRoutine<void> {
    yield* this.#queue.join(() => this.#replace(checkpoint));
  }

  /** {@link replace}, unless the file says the same already: then it is made durable, if that was deferred. */
  *change(checkpoint: Checkpoint): IoRoutine<void> {
    if (sameCheckpoint(checkpoint, this.#current)) yield* this.ensureDurable();
    else yield* this.replace(checkpoint);
  }

  /**
   * The truncation is done for which the file was written.
   *
   * @param isGone - whether a file is gone that it removes: then the checkpoint says the same with `unsettled` and without
   */
  settle(isGone: boolean): void {
    this.#current = settled(this.#current);
    if (!isGone) this.#mustReplace();
  }

  /** The truncation is given up for which the file was written: the log begins where it began before. */
  takeBack(): void {
    if (this.#current.unsettled === undefined) return;
    this.#current = withoutUnsettled(this.#current);
    this.#mustReplace();
  }

  #mustReplace(): void {
    this.#isDurable = false;
    this.#isStale = true;
  }

  /** Makes the file durable, if that was deferred when the log was opened. @throws like {@link replace} */
  *ensureDurable(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#ensureDurable());
  }

  *#ensureDurable(): IoRoutine<void> {
    if (!this.#isDurable) yield* this.#replace(this.#current);
  }

  *#replace(checkpoint: Checkpoint): IoRoutine<void> {
    try {
      yield* this.#write(checkpoint);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : this.#writer.fail(error);
    }
    // The file was renamed: a failure of this is final, on a full disk as well.
    yield* this.#writer.directorySync.sync();
    this.#current = checkpoint;
    this.#isDurable = true;
    this.#isStale = false;
  }

  *#write(checkpoint: Checkpoint): IoRoutine<void> {
    const { io } = this.#environment;
    yield* withRoom(this.#writer, () => writeCheckpoint(io, this.#settings, checkpoint));
  }
}

/** The checkpoint with its LSN and its holds lowered to the last LSN of the log. */
export function loweredTo(lastLsn: Lsn, checkpoint: Checkpoint): Checkpoint {
  return {
    ...checkpoint,
    checkpointLsn: Math.min(checkpoint.checkpointLsn, lastLsn),
    holds: mapHolds(checkpoint.holds, (lsn) => Math.min(lsn, Math.max(1, lastLsn))),
  };
}

/** The holds with the LSN of each mapped by a function. */
export function mapHolds(holds: Checkpoint['holds'], change: (lsn: Lsn) => Lsn): Checkpoint['holds'] {
  return Object.fromEntries(Object.entries(holds).map(([name, lsn]) => [name, change(lsn)]));
}

/** Whether two checkpoints are equal. */
export function sameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return (
    a.checkpointLsn === b.checkpointLsn &&
    a.firstSegment === b.firstSegment &&
    a.salvagedBelow === b.salvagedBelow &&
    a.expiredLsn === b.expiredLsn &&
    a.unsettled?.firstSegment === b.unsettled?.firstSegment &&
    a.unsettled?.expiredLsn === b.unsettled?.expiredLsn &&
    Object.keys(a.holds).length === Object.keys(b.holds).length &&
    Object.entries(a.holds).every(([name, lsn]) => b.holds[name] === lsn)
  );
}

import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import { type IoRoutine, RoutineQueue } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { placeCheckpoint } from '../segments/log-directory.js';
import type { SegmentWriter } from '../write/segment-writer.js';

/** The file `checkpoint`: where the log begins, what the application no longer needs, and what readers still do. */
export class CheckpointStore {
  readonly #world: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #queue: RoutineQueue;
  #current: Checkpoint;
  #isDurable: boolean;

  /** @param isDurable - whether it is known that no power cut takes back what was read when the log was opened */
  constructor(world: Environment, settings: Settings, writer: SegmentWriter, current: Checkpoint, isDurable: boolean) {
    this.#world = world;
    this.#settings = settings;
    this.#writer = writer;
    this.#queue = new RoutineQueue(world.io);
    this.#current = current;
    this.#isDurable = isDurable;
  }

  /** What the file says. */
  get current(): Checkpoint {
    return this.#current;
  }

  /**
   * Replaces the file, one call after another; durable on return.
   *
   * @throws `WAL_NO_SPACE` when there is no room for it: nothing has changed then, and the log goes on
   */
  *replace(checkpoint: Checkpoint): IoRoutine<void> {
    yield* this.#queue.join(() => this.#replace(checkpoint));
  }

  /** Makes what the file says durable, where that was put off when the log was opened. @throws like {@link replace} */
  *settle(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#settle());
  }

  *#settle(): IoRoutine<void> {
    if (!this.#isDurable) yield* this.#replace(this.#current);
  }

  *#replace(checkpoint: Checkpoint): IoRoutine<void> {
    try {
      yield* this.#place(checkpoint);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) this.#writer.fail(error);
      throw error;
    }
    try {
      // Its name was given: what fails from here on has changed something, on a full disk as well.
      yield* this.#writer.directorySync.sync();
    } catch (error) {
      this.#writer.fail(error);
      throw error;
    }
    this.#current = checkpoint;
    this.#isDurable = true;
  }

  *#place(checkpoint: Checkpoint): IoRoutine<void> {
    const { io } = this.#world;
    const { directory } = this.#settings;
    try {
      yield* placeCheckpoint(io, directory, checkpoint);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || !(yield* this.#writer.allocator.releaseReserve())) throw error;
      yield* placeCheckpoint(io, directory, checkpoint);
    }
  }
}

/** A checkpoint of which nothing is ahead of the last LSN that there is. */
export function loweredTo(lastLsn: Lsn, checkpoint: Checkpoint): Checkpoint {
  return {
    ...checkpoint,
    checkpointLsn: Math.min(checkpoint.checkpointLsn, lastLsn),
    holds: mapHolds(checkpoint.holds, (lsn) => Math.min(lsn, Math.max(1, lastLsn))),
  };
}

/** The holds with another LSN each. */
export function mapHolds(holds: Checkpoint['holds'], change: (lsn: Lsn) => Lsn): Checkpoint['holds'] {
  return Object.fromEntries(Object.entries(holds).map(([name, lsn]) => [name, change(lsn)]));
}

/** Whether two checkpoints say the same. */
export function sameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return (
    a.checkpointLsn === b.checkpointLsn &&
    a.firstSegment === b.firstSegment &&
    a.salvagedBelow === b.salvagedBelow &&
    Object.keys(a.holds).length === Object.keys(b.holds).length &&
    Object.entries(a.holds).every(([name, lsn]) => b.holds[name] === lsn)
  );
}

import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import { type Beginning, settled, withoutUnsettled } from '@walstack/codec/internal';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import type { Followers } from '../followers/followers.js';
import type { SegmentRemoval } from '../write/allocation/segment-removal.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import type { CheckpointStore } from './checkpoint-store.js';

/** Moves the beginning of the log: first in the file `checkpoint`, then by removing the files before it. */
export class BeginningOfLog {
  readonly #writer: SegmentWriter;
  readonly #store: CheckpointStore;
  readonly #followers: Followers;
  readonly #removal: SegmentRemoval;

  constructor(writer: SegmentWriter, store: CheckpointStore, followers: Followers) {
    this.#writer = writer;
    this.#store = store;
    this.#followers = followers;
    this.#removal = writer.removal;
  }

  /** The checkpoint, with the beginning that the log has: a truncation may be announced at this moment, and not be done. */
  get current(): Checkpoint {
    const { current } = this.#store;
    const first = this.#writer.chain.at(0);
    const isDone = first === undefined || first.header.number >= current.firstSegment;
    return isDone ? settled(current) : withoutUnsettled(current);
  }

  /**
   * Writes the checkpoint without the truncation that was given up, if there was no room for that: new followers would take it for
   * done. @throws `WAL_NO_SPACE` when there still is none
   */
  *takeBack(): IoRoutine<void> {
    if (this.#store.isStale) yield* this.#store.ensureDurable();
  }

  /**
   * Takes the segments below a number out of the log. The checkpoint with the new beginning also has the one before
   * (`unsettled`), and the followers are read when it is durable: a follower stores its position and then looks at the checkpoint,
   * so either it is seen here, or it sees the checkpoint. The log begins where it began before until the first file is gone, so
   * after a crash in between nothing is missing to a follower that was to be seen here.
   *
   * @param firstKept - returns that number; it may be lower in a later call, when a reader was added meanwhile
   * @param reason - what the application has truncated is not missing to it; what has expired is, above the checkpoint
   */
  *dropBelow(firstKept: () => number, reason: 'truncated' | 'expired'): IoRoutine<void> {
    const writer = this.#writer;
    const { first } = writer.sealed;
    const number =
      first === undefined || first.header.number >= firstKept()
        ? yield* this.takeBack()
        : yield* this.#announced(first.header.number, firstKept, reason);
    const detached = number === undefined ? [] : writer.detachBelow(number);
    yield* this.#removal.remove(detached);
    if (detached.length === 0) return;
    const areAllLeft = this.#removal.hasLeft(detached);
    // Once a file is gone, `unsettled` means nothing, and the next checkpoint is written without it.
    this.#store.settle(!areAllLeft);
    if (this.#removal.left > 0) yield* this.#noteSettled(areAllLeft);
  }

  /** Writes the checkpoint without `unsettled`. @param isNeeded - whether an opening would find the log as it was without that */
  *#noteSettled(isNeeded: boolean): IoRoutine<void> {
    try {
      yield* this.#store.replace(this.#store.current);
    } catch (error) {
      if (isNeeded || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
    }
  }

  /**
   * Writes the checkpoint of a truncation, and again while a reader or a follower needs more than it keeps.
   *
   * @returns the number below which nothing is needed; `undefined` when the checkpoint was written as it was before
   * @throws `WAL_NO_SPACE` for the checkpoint: then the truncation is given up, also where it was announced
   */
  *#announced(first: number, firstKept: () => number, reason: 'truncated' | 'expired'): IoRoutine<number | undefined> {
    const store = this.#store;
    const unsettled = this.#beginningAt(first);
    try {
      for (let number = firstKept(); ; ) {
        const noted = number;
        const expiredLsn = reason === 'expired' ? this.#expiredBelow(noted) : undefined;
        yield* this.#store.change({ ...store.current, firstSegment: noted, expiredLsn, unsettled });
        yield* this.#followers.read();
        number = Math.min(noted, firstKept());
        if (number <= first) {
          yield* this.#store.change({ ...store.current, ...unsettled, unsettled: undefined });
          return undefined;
        }
        if (number === noted) return number;
      }
    } catch (error) {
      // Nothing was removed. What is written next must not be written with the announcement of this truncation.
      if (this.#writer.failure === undefined && store.current.unsettled === unsettled) store.takeBack();
      throw error;
    }
  }

  /** The beginning of the log, whose first segment has this number. After a reset that is not the one before which anything expired. */
  #beginningAt(number: number): Beginning {
    const { firstSegment, expiredLsn } = this.current;
    return { firstSegment: number, expiredLsn: number === firstSegment ? expiredLsn : undefined };
  }

  /** The last LSN before a segment if it is above the checkpoint. */
  #expiredBelow(number: number): Lsn | undefined {
    const { segments } = this.#writer;
    const lastLsn = (segments.find(({ header }) => header.number === number) as Segment).header.firstLsn - 1;
    return lastLsn > this.#store.current.checkpointLsn ? lastLsn : undefined;
  }
}

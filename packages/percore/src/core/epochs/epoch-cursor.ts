import { WalError } from '@walstack/codec';
import { invalidType, outOfRange } from '@walstack/codec/internal';
import { checkEpochsLeft, EPOCH_MAX, halvesOf, type SharedEpochs } from './epochs.js';

/** A value that no upper half of an epoch has: the shared epoch was not read yet. */
const EPOCH_NOT_READ = -1;

/** The epoch of the entries that a writer appends, and the epoch that it enters before its next entry. */
export class EpochCursor {
  readonly #shared: SharedEpochs | undefined;
  #entered: number;
  #wanted: number;
  /** The halves of the shared epoch when it was last read, and found to be entered. */
  #low = 0;
  #high = EPOCH_NOT_READ;

  /**
   * @param shared - the epochs that other writers share; without them, {@link set} advances the epoch
   * @param entered - the epoch of the last entry, or the one after its barrier
   * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for shared epochs that are behind those of the log
   */
  constructor(shared: SharedEpochs | undefined, entered: number) {
    if (shared !== undefined && shared.current < entered) {
      throw outOfRange('epochs', `at epoch ${entered}, to which this log has come, or later`, shared.current);
    }
    this.#shared = shared;
    this.#entered = entered;
    this.#wanted = entered;
  }

  /** The epoch of the entries that are appended; every epoch before it has its barrier. */
  get entered(): number {
    return this.#entered;
  }

  /** The epoch that was set, or read from shared memory; it takes effect with the next entry. */
  get wanted(): number {
    return this.#wanted;
  }

  /** The epoch that the next entry belongs to. */
  get current(): number {
    return this.#shared?.current ?? this.#wanted;
  }

  get isShared(): boolean {
    return this.#shared !== undefined;
  }

  /** Sets the epoch of the next entry. @throws `RangeError` for an earlier one; `WAL_STATE` with shared epochs */
  set(epoch: number): void {
    if (this.#shared !== undefined) {
      throw new WalError('WAL_STATE', 'the epochs of this writer are shared: only their coordinator advances them', {
        state: 'shared-epochs',
      });
    }
    if (typeof epoch !== 'number') throw invalidType('epoch', 'a number', epoch);
    if (!Number.isSafeInteger(epoch) || epoch < this.#wanted || epoch > EPOCH_MAX) {
      throw outOfRange('epoch', `an integer from ${this.#wanted}, the present epoch, to ${EPOCH_MAX}`, epoch);
    }
    this.#wanted = epoch;
  }

  /** Sets the epoch after {@link entered}, unless a later one was set already. @throws `WAL_RANGE` when there is none */
  setNext(): void {
    checkEpochsLeft(this.#entered + 1);
    this.#wanted = Math.max(this.#wanted, this.#entered + 1);
  }

  /** Reads the shared epoch. @returns whether {@link wanted} must be entered before the next entry, after a barrier */
  mustEnter(): boolean {
    const shared = this.#shared;
    if (shared === undefined) return this.#wanted > this.#entered;
    if (shared.isAt(this.#low, this.#high)) return false;
    this.#wanted = shared.current;
    if (this.#wanted > this.#entered) return true;
    [this.#low, this.#high] = halvesOf(this.#wanted);
    return false;
  }

  /** Continues with an epoch: the barrier of the one before it was appended. */
  enter(epoch: number): void {
    this.#entered = epoch;
  }
}

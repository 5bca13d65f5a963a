import type { Committed } from '../../commits/commit.js';
import { type CommitPlaces, withCommitsSince } from '../../commits/commit-ledger.js';

/** The end of an epoch in the log of one core. */
export interface Barrier {
  /** The epoch that ends with it. */
  readonly epoch: number;
  readonly lsn: number;
  /** The position after the barrier. */
  readonly position: number;
  /** When it was appended, microseconds since the Unix epoch. */
  readonly timestampUs: number;
  /** What was committed before it. */
  readonly committed: Committed;
}

/** A barrier, with the facts that only its manager needs. */
export interface KnownBarrier extends Barrier {
  readonly commitPlaces: CommitPlaces;
  /** It is the last barrier of the core. */
  readonly retired: boolean;
}

/** The last two barriers that a writer has appended. Its manager never asks for an earlier one. */
export class BarrierHistory {
  #last: KnownBarrier | undefined;
  #previous: KnownBarrier | undefined;
  #isRetired = false;
  #retiredAtLsn: number | undefined;

  /** @param retiredAtLsn - of the last barrier of the core, when the log ends with it */
  constructor(retiredAtLsn: number | undefined) {
    this.#retiredAtLsn = retiredAtLsn;
  }

  /** The last barrier; `undefined` before the first. */
  get last(): KnownBarrier | undefined {
    return this.#last;
  }

  /** Whether the last barrier of the core was added: no entry may follow it until the log is opened again. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** The LSN of the core's last barrier, which may stem from before this writer was opened. */
  get retiredAtLsn(): number | undefined {
    return this.#retiredAtLsn;
  }

  add(barrier: KnownBarrier): void {
    this.#previous = this.#last;
    this.#last = barrier;
    this.#isRetired = barrier.retired;
    if (barrier.retired) this.#retiredAtLsn = barrier.lsn;
  }

  /**
   * The barrier that ends an epoch in the log: the barrier of that epoch, or the last barrier of a core that appended it in
   * that epoch or an earlier one; `undefined` when there is neither.
   */
  ofEpoch(epoch: number): KnownBarrier | undefined {
    const last = this.#last;
    if (last === undefined) return undefined;
    if (last.epoch === epoch || (last.retired && last.epoch < epoch)) return last;
    // The core appended its last barrier in the epoch after this one: this barrier is the one before it.
    return this.#previous?.epoch === epoch ? this.#previous : undefined;
  }

  /** Removes from the barriers what was committed before an LSN. */
  forgetCommitted(lsn: number): void {
    this.#last &&= withCommitsSince(this.#last, lsn);
    this.#previous &&= withCommitsSince(this.#previous, lsn);
  }
}

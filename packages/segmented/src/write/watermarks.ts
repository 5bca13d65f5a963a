import type { Lsn } from '@walstack/codec';
import type { FinalFailure } from './final-failure.js';

/** An end of the log, at some moment. */
export interface LogEnd {
  readonly lastLsn: Lsn;
  /** How often the log had been restarted at another LSN than the next one. */
  readonly generation: number;
}

/** How far a log is encoded, written and durable. The fields are plain, as they are read and moved with every record. */
export class Watermarks {
  readonly #failure: FinalFailure;
  nextLsn: Lsn;
  /** The LSN behind the last record of the last group. */
  takenLsn: Lsn;
  /** Everything up to this LSN was handed to the operating system. */
  writtenLsn: Lsn;
  /** Everything up to this LSN survives a crash. Never inside a batch. */
  durableLsn: Lsn;
  /** Every byte of the log before this position survives a crash. */
  durablePosition = 0;
  generation = 0;
  /** The highest LSN that a restart has dropped: records up to it that are not in the log any more had been durable. */
  droppedLsn: Lsn = 0;
  /** Whether the last thing written is a mark, or nothing was written yet. */
  endsWithMark = true;

  /** @param durableLsn - default: every record */
  constructor(failure: FinalFailure, nextLsn: Lsn, durableLsn: Lsn = nextLsn - 1) {
    this.#failure = failure;
    this.nextLsn = nextLsn;
    this.takenLsn = nextLsn;
    this.writtenLsn = nextLsn - 1;
    this.durableLsn = durableLsn;
  }

  /** The present end of the log. */
  get appended(): LogEnd {
    return { lastLsn: this.nextLsn - 1, generation: this.generation };
  }

  get isEverythingDurable(): boolean {
    return this.durableLsn === this.nextLsn - 1;
  }

  /** Whether everything is durable that was handed to the backend. */
  get isEverythingTakenDurable(): boolean {
    return this.durableLsn >= this.takenLsn - 1;
  }

  /** Whether everything up to an end is durable, or was durable before a restart dropped it. */
  isDurable({ lastLsn, generation }: LogEnd): boolean {
    return generation !== this.generation || this.durableLsn >= lastLsn;
  }

  provenDurable(lsn: Lsn, position: number): void {
    // Writes that were in flight at a failure prove nothing.
    if (this.#failure.error !== undefined) return;
    this.durableLsn = Math.max(this.durableLsn, lsn);
    this.durablePosition = Math.max(this.durablePosition, position);
  }

  /** Continues with another LSN than the next one; everything before it is durable. */
  restartAt(firstLsn: Lsn, position: number): void {
    this.generation++;
    this.droppedLsn = Math.max(this.droppedLsn, this.nextLsn - 1);
    this.nextLsn = firstLsn;
    this.takenLsn = firstLsn;
    this.writtenLsn = firstLsn - 1;
    this.durableLsn = firstLsn - 1;
    this.durablePosition = position;
    this.endsWithMark = true;
  }
}

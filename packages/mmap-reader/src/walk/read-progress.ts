import type { Lsn } from '@walstack/codec';
import type { ProgressPhase, WalProgress } from './call-watch.js';

/** Counts what was read of several files, one after the other, perhaps in several passes. */
export class ReadProgress {
  phase: ProgressPhase;
  /** The sizes of the files of this pass, and the one that is read. */
  #sizes: readonly number[] = [];
  #index = 0;
  #position = 0;
  /** The bytes of the files that were passed, and of all. */
  #passed = 0;
  #total = 0;
  /** Records of the passes before, and of this one. */
  #recordsBefore = 0;
  #records = 0;
  /** The first LSN that is counted in this pass. */
  #firstLsn: Lsn = 0;

  constructor(phase: ProgressPhase) {
    this.phase = phase;
  }

  /**
   * Begins a pass through files of these sizes; what was not read in the pass before is not to be read any more.
   *
   * @param firstLsn - the first LSN that is counted as a record
   */
  begin(phase: ProgressPhase, sizes: readonly number[], firstLsn: Lsn): void {
    this.phase = phase;
    this.#passed = this.#bytes;
    this.#total = Math.max(this.#total, this.#passed + sizes.reduce((sum, size) => sum + size, 0));
    this.#sizes = sizes;
    this.#index = 0;
    this.#position = 0;
    this.#recordsBefore += this.#records;
    this.#records = 0;
    this.#firstLsn = firstLsn;
  }

  /**
   * The present file was read up to a position.
   *
   * @param nextLsn - the LSN behind the last record that was read
   */
  at(position: number, nextLsn: Lsn): void {
    this.#position = Math.max(this.#position, position);
    this.#records = Math.max(this.#records, nextLsn - this.#firstLsn);
  }

  /** The present file was read, or so much of it as is to be read; the next one follows. */
  pass(bytes = this.#size): void {
    this.#passed += Math.max(bytes, Math.min(this.#position, this.#size));
    this.#index++;
    this.#position = 0;
  }

  get value(): WalProgress {
    const { phase } = this;
    return {
      phase,
      bytes: Math.min(this.#bytes, this.#total),
      totalBytes: this.#total,
      records: this.#recordsBefore + this.#records,
    };
  }

  get #size(): number {
    return this.#sizes[this.#index] ?? 0;
  }

  get #bytes(): number {
    return this.#passed + Math.min(this.#position, this.#size);
  }
}

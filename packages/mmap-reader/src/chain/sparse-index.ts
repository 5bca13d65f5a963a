import type { Lsn } from '@walstack/codec';

/** Bytes between one entry and the next, initially. */
const SPACING_BYTES = 64 * 1024;

/** The maximum number of entries of one segment: when it is reached every other one is dropped. */
const ENTRIES_MAX = 256;

/**
 * The positions of some records of a segment, so that reading can begin near any record. Entries are added while the
 * segment is read or written, and take at most 4 KiB of memory.
 */
export class SparseIndex {
  #spacing = SPACING_BYTES;
  #positions: number[] = [];
  #lsns: Lsn[] = [];

  /** The number of entries. */
  get length(): number {
    return this.#positions.length;
  }

  /**
   * Adds an entry after the existing ones, if it is far enough from the last.
   *
   * @param position - a position in the file: of a frame or a block boundary
   * @param lsn - the next one from there on
   */
  note(position: number, lsn: Lsn): void {
    if (position < (this.#positions.at(-1) ?? 0) + this.#spacing) return;
    this.#positions.push(position);
    this.#lsns.push(lsn);
    if (this.#positions.length < ENTRIES_MAX) return;
    const everyOther = (_: number, index: number): boolean => index % 2 === 0;
    this.#positions = this.#positions.filter(everyOther);
    this.#lsns = this.#lsns.filter(everyOther);
    this.#spacing *= 2;
  }

  /** The last entry at or before a record; `undefined` when reading has to begin at the start of the segment. */
  before(lsn: Lsn): { readonly from: number; readonly nextLsn: Lsn } | undefined {
    let [low, high] = [0, this.#lsns.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#lsns[middle] as Lsn) <= lsn) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    return { from: this.#positions[low - 1] as number, nextLsn: this.#lsns[low - 1] as Lsn };
  }
}

import type { Lsn } from '@walstack/codec';

/** Bytes between one place and the next, at first. */
const GRAIN_BYTES = 64 * 1024;

/** Places of one segment, at most: beyond them every other one is dropped. */
const MOST_PLACES = 256;

/**
 * Where in a segment some of its records stand, so that reading can begin near any of them: noted while the segment is
 * read or written, in at most 4 KiB of memory.
 */
export class SparseIndex {
  #grain = GRAIN_BYTES;
  #positions: number[] = [];
  #lsns: Lsn[] = [];

  /** How many places there are. */
  get length(): number {
    return this.#positions.length;
  }

  /**
   * Takes note of a place behind those noted before, when it is worth it.
   *
   * @param position - in the file, of a frame or a block boundary
   * @param lsn - the next one from there on
   */
  note(position: number, lsn: Lsn): void {
    if (position < (this.#positions.at(-1) ?? 0) + this.#grain) return;
    this.#positions.push(position);
    this.#lsns.push(lsn);
    if (this.#positions.length < MOST_PLACES) return;
    const everyOther = (_: number, index: number): boolean => index % 2 === 0;
    this.#positions = this.#positions.filter(everyOther);
    this.#lsns = this.#lsns.filter(everyOther);
    this.#grain *= 2;
  }

  /** The last place at or before a record; `undefined` when there is none but the beginning. */
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

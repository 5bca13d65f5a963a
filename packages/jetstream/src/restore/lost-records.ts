import type { Lsn } from '@walstack/codec';

/** The records of a log that are lost in its holes. */
export class LostRecords {
  #holes: { readonly firstLsn: Lsn; readonly nextLsn: Lsn }[] = [];

  /** So many are lost from an LSN on. */
  add(firstLsn: Lsn, count: number): void {
    if (count > 0) this.#holes.push({ firstLsn, nextLsn: firstLsn + count });
  }

  /** The log was cut, and goes on with an LSN. */
  cutTo(lsn: Lsn): void {
    this.#holes = this.#holes
      .filter(({ firstLsn }) => firstLsn < lsn)
      .map(({ firstLsn, nextLsn }) => ({ firstLsn, nextLsn: Math.min(nextLsn, lsn) }));
  }

  /** How many there are from an LSN on, before another one. */
  countBetween(from: Lsn, to: Lsn): number {
    return this.#holes.reduce(
      (sum, { firstLsn, nextLsn }) => sum + Math.max(0, Math.min(nextLsn, to) - Math.max(firstLsn, from)),
      0,
    );
  }
}

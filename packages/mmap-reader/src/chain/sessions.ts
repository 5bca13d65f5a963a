import type { Lsn, RecordHeader } from '@walstack/codec';
import { sessionOf } from '@walstack/codec/internal';

/** The session of the opening that has made a segment: it has no mark. */
const FIRST_SESSION = '0'.repeat(16);

/**
 * Which opening of the log has written which records of a segment. A restored copy that goes on in the same segment as the
 * original assigns the same LSNs again, but in another session.
 */
export class Sessions {
  readonly #firstLsns: Lsn[] = [];
  readonly #ids: string[] = [];

  /** A mark was read; the next record has the LSN of the mark. */
  note(mark: RecordHeader): void {
    const id = sessionOf(mark);
    if (id !== undefined) this.begin(mark.lsn, id);
  }

  begin(firstLsn: Lsn, id: string): void {
    this.#firstLsns.push(firstLsn);
    this.#ids.push(id);
  }

  /** The sessions that begin before an LSN: the first LSN and the id of each. The first one of a segment has no mark. */
  before(lsn: Lsn): readonly (readonly [firstLsn: Lsn, id: string])[] {
    const all = this.#firstLsns.map((firstLsn, index) => [firstLsn, this.#ids[index] as string] as const);
    return all.filter(([firstLsn]) => firstLsn < lsn);
  }

  /** The session of a record, if all marks before it were noted. */
  of(lsn: Lsn): string {
    return this.#ids[this.#firstLsns.findLastIndex((firstLsn) => firstLsn <= lsn)] ?? FIRST_SESSION;
  }
}

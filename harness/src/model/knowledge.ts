/** What is noted about a log, so that it can be held against it after a crash. */
export type LogNote =
  /** A record was appended, and may be there. */
  | { readonly kind: 'appended'; readonly lsn: number; readonly payload: string }
  /** Everything up to this LSN was acknowledged. */
  | { readonly kind: 'durable'; readonly lsn: number }
  /** The log was opened with these records, which are durable by that. */
  | { readonly kind: 'found'; readonly firstLsn: number; readonly payloads: readonly string[] }
  /** The log was told that nothing before this LSN is needed. */
  | { readonly kind: 'truncated'; readonly lsn: number };

/**
 * What a log promises, in a few lines: everything acknowledged stays, in order and byte for byte, and what else is there
 * is what was appended under its LSN since the log was last opened without it.
 */
export class Knowledge {
  /** By LSN: the payload that must be there. */
  readonly #must = new Map<number, string>();
  /** By LSN: every payload that was ever appended under it. */
  readonly #may = new Map<number, Set<string>>();
  /** The last one. */
  readonly #latest = new Map<number, string>();
  #durableLsn = 0;
  /** Nothing from this LSN on may have been truncated. */
  #neededLsn = 1;

  constructor(notes: readonly LogNote[]) {
    for (const note of notes) this.#learn(note);
  }

  /** @throws an error that says which promise is broken */
  check(firstLsn: number, payloads: readonly string[], nextLsn: number): void {
    const end = firstLsn + payloads.length;
    if (end !== nextLsn) throw new Error(`replay ends before ${end}, the log before ${nextLsn}`);
    if (nextLsn <= this.#durableLsn) {
      throw new Error(`lost: ${this.#durableLsn} was acknowledged, the log ends with ${nextLsn - 1}`);
    }
    if (firstLsn > this.#neededLsn) {
      throw new Error(`lost: ${this.#neededLsn} is needed, the log begins with ${firstLsn}`);
    }
    for (const [index, payload] of payloads.entries()) this.#checkRecord(firstLsn + index, payload);
  }

  #checkRecord(lsn: number, payload: string): void {
    const must = this.#must.get(lsn);
    if (must === undefined ? this.#may.get(lsn)?.has(payload) === true : must === payload) return;
    throw new Error(
      `LSN ${lsn} is ${JSON.stringify(payload.slice(0, 20))}, and was ${JSON.stringify(must?.slice(0, 20))}`,
    );
  }

  /** What was not found stays away: it must not come back behind something else. */
  #dropFrom(nextLsn: number): void {
    this.#durableLsn = Math.max(this.#durableLsn, nextLsn - 1);
    for (const lsn of [...this.#may.keys()].filter((each) => each >= nextLsn)) {
      this.#may.delete(lsn);
      this.#latest.delete(lsn);
    }
  }

  #learn(note: LogNote): void {
    switch (note.kind) {
      case 'appended': {
        const payloads = this.#may.get(note.lsn) ?? new Set();
        this.#may.set(note.lsn, payloads.add(note.payload));
        this.#latest.set(note.lsn, note.payload);
        return;
      }
      case 'durable':
        for (let lsn = this.#durableLsn + 1; lsn <= note.lsn; lsn++) {
          const payload = this.#latest.get(lsn);
          if (payload !== undefined) this.#must.set(lsn, payload);
        }
        this.#durableLsn = Math.max(this.#durableLsn, note.lsn);
        return;
      case 'found':
        for (const [index, payload] of note.payloads.entries()) this.#must.set(note.firstLsn + index, payload);
        this.#dropFrom(note.firstLsn + note.payloads.length);
        return;
      case 'truncated':
        this.#neededLsn = Math.max(this.#neededLsn, note.lsn);
    }
  }
}

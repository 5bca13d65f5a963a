/** What is noted about a log, so that it can be held against it after a crash. */
export type LogNote =
  /** A record was appended, and may be there. */
  | {
      readonly kind: 'appended';
      readonly lsn: number;
      readonly payload: string;
      /** The batch that it belongs to, when there are others in it. */
      readonly batch?: { readonly firstLsn: number; readonly lastLsn: number };
    }
  /** Everything up to this LSN was acknowledged. */
  | { readonly kind: 'durable'; readonly lsn: number }
  /** The log was opened with these records, which are durable by that. */
  | { readonly kind: 'found'; readonly firstLsn: number; readonly payloads: readonly string[] }
  /** The log was told that nothing before this LSN is needed. */
  | { readonly kind: 'truncated'; readonly lsn: number }
  /** A record was found on the disk that was encrypted with this key stream, of which these are the first bytes. */
  | { readonly kind: 'encrypted'; readonly keyStream: string; readonly record: string };

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
  /** By payload: the batch of the record. */
  readonly #batches = new Map<string, { readonly firstLsn: number; readonly lastLsn: number }>();
  /** By key stream: what was encrypted with it. */
  readonly #encrypted = new Map<string, string>();

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
    this.#checkBatches(firstLsn, payloads, nextLsn);
  }

  /** A batch is there whole or not at all. */
  #checkBatches(firstLsn: number, payloads: readonly string[], nextLsn: number): void {
    for (const end of [payloads[0], payloads.at(-1)]) {
      const batch = end === undefined ? undefined : this.#batches.get(end);
      if (batch === undefined || (batch.firstLsn >= firstLsn && batch.lastLsn < nextLsn)) continue;
      const { firstLsn: first, lastLsn: last } = batch;
      throw new Error(`torn: of the batch ${first} to ${last} the log has ${firstLsn} to ${nextLsn - 1}`);
    }
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

  /** What is acknowledged ends with a batch. */
  #checkEndOfBatch(lsn: number): void {
    const batch = this.#batches.get(this.#latest.get(lsn) ?? '');
    if (batch === undefined || batch.lastLsn === lsn) return;
    throw new Error(`torn: ${lsn} was acknowledged, inside the batch ${batch.firstLsn} to ${batch.lastLsn}`);
  }

  /** A key stream belongs to one key and one nonce: nothing else may ever be encrypted with it. */
  #learnKeyStream(keyStream: string, record: string): void {
    const before = this.#encrypted.get(keyStream);
    if (before !== undefined && before !== record) {
      throw new Error(`repeated: ${record} was encrypted with the key and the nonce of ${before}`);
    }
    this.#encrypted.set(keyStream, record);
  }

  #learn(note: LogNote): void {
    switch (note.kind) {
      case 'appended': {
        const payloads = this.#may.get(note.lsn) ?? new Set();
        this.#may.set(note.lsn, payloads.add(note.payload));
        this.#latest.set(note.lsn, note.payload);
        if (note.batch !== undefined) this.#batches.set(note.payload, note.batch);
        return;
      }
      case 'encrypted':
        this.#learnKeyStream(note.keyStream, note.record);
        return;
      case 'durable':
        this.#checkEndOfBatch(note.lsn);
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

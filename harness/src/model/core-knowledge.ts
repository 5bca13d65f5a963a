/** An entry that was appended to the log of a core. */
export interface KnownEntry {
  readonly epoch: number;
  /** Tells it from all others. */
  readonly content: string;
}

/** What is noted about a per-core log, so that it can be held against it after a crash. */
export type CoreNote =
  /** An entry was appended, and may be there. */
  | { readonly kind: 'appended'; readonly coreId: number; readonly entry: KnownEntry }
  /** Behind so many entries of a core, a commit of that number was appended. */
  | { readonly kind: 'committed'; readonly coreId: number; readonly count: number }
  /** So many entries of a core were acknowledged, of those that its log was found with or that came behind. */
  | {
      readonly kind: 'durable';
      readonly coreId: number;
      readonly count: number;
      /** The last commit among them. */
      readonly committed?: number;
    }
  /** The epoch was acknowledged as complete. */
  | {
      readonly kind: 'epoch';
      readonly epoch: number;
      /** By core, the last commit in it or before. */
      readonly committed?: ReadonlyMap<number, number>;
    }
  /** A snapshot was made durable, with so many entries of each core. */
  | { readonly kind: 'snapshot'; readonly id: number; readonly cores: ReadonlyMap<number, readonly KnownEntry[]> }
  /** What was committed on any core is about to be forgotten. */
  | { readonly kind: 'forgetting' }
  /** It is. */
  | { readonly kind: 'forgotten' }
  /** The checkpoint was acknowledged. */
  | { readonly kind: 'checkpoint'; readonly id: number }
  /** All but these entries, those of the snapshot first, is about to be dropped. */
  | { readonly kind: 'leaving'; readonly cores: ReadonlyMap<number, readonly KnownEntry[]> }
  /** The log was opened with these entries, those of the snapshot first, and they are durable by that. */
  | {
      readonly kind: 'found';
      readonly cores: ReadonlyMap<number, readonly KnownEntry[]>;
      /** What was committed last, by core. */
      readonly committed?: ReadonlyMap<number, number>;
    };

/** What a recovered per-core log says. */
export interface FoundCores {
  /** The last checkpoint, 0 when there is none. */
  readonly checkpointId: number;
  readonly completeEpoch: number;
  /** Whether only complete epochs were taken. */
  readonly left: boolean;
  /** Behind the checkpoint, by core. */
  readonly cores: ReadonlyMap<number, readonly KnownEntry[]>;
  /** What was committed last, by core; nothing where no commit is known. */
  readonly committed?: ReadonlyMap<number, number>;
}

/**
 * What a per-core log promises, in a few lines: the entries of each core are a prefix of what was appended to it since it
 * was last opened, with everything in it that was acknowledged; a checkpoint has a snapshot; and of an epoch that is said to
 * be complete, every log has everything.
 */
export class CoreKnowledge {
  readonly #appended = new Map<number, KnownEntry[]>();
  readonly #durable = new Map<number, number>();
  /** By core: what may have been committed last. */
  readonly #committed = new Map<number, readonly number[]>();
  /** By core: the last commit that was acknowledged. */
  readonly #durableCommit = new Map<number, number>();
  /** The last one in an epoch that is complete: it is there, whatever is left out. */
  readonly #completeCommit = new Map<number, number>();
  readonly #snapshots = new Map<number, ReadonlyMap<number, readonly KnownEntry[]>>();
  /** What is there of each core once everything was dropped that is about to be. */
  #kept: ReadonlyMap<number, readonly KnownEntry[]> | undefined;
  /** Whether every commit may be gone. */
  #forgetting = false;
  #epoch = 0;
  #checkpointId = 0;

  constructor(notes: readonly CoreNote[]) {
    for (const note of notes) this.#learn(note);
  }

  /** What was appended to a core, as far as it was not found to be gone. */
  appendedTo(coreId: number): readonly KnownEntry[] {
    return this.#appended.get(coreId) ?? [];
  }

  /**
   * @returns all entries by core: those of the snapshot, and what was found behind it
   * @throws an error that says which promise is broken
   */
  check(found: FoundCores): ReadonlyMap<number, readonly KnownEntry[]> {
    const { checkpointId, completeEpoch } = found;
    if (checkpointId < this.#checkpointId) throw new Error(`checkpoint ${this.#checkpointId} is lost: ${checkpointId}`);
    if (completeEpoch < this.#epoch) throw new Error(`epoch ${this.#epoch} was complete, and ${completeEpoch} is`);
    const snapshot = checkpointId === 0 ? new Map<number, readonly KnownEntry[]>() : this.#snapshots.get(checkpointId);
    if (snapshot === undefined) throw new Error(`checkpoint ${checkpointId} has no snapshot`);
    const all = new Map<number, readonly KnownEntry[]>();
    for (const coreId of new Set([...this.#appended.keys(), ...found.cores.keys()])) {
      const entries = [...(snapshot.get(coreId) ?? []), ...(found.cores.get(coreId) ?? [])];
      this.#checkCore(coreId, entries, found);
      this.#checkCommit(coreId, entries.length, found);
      all.set(coreId, entries);
    }
    return all;
  }

  #checkCore(coreId: number, entries: readonly KnownEntry[], { left, completeEpoch }: FoundCores): void {
    const appended = this.appendedTo(coreId);
    for (const [index, { epoch, content }] of entries.entries()) {
      const expected = appended[index];
      if (expected?.content === content && expected.epoch === epoch) continue;
      const was = expected === undefined ? 'nothing' : `${expected.content} of epoch ${expected.epoch}`;
      throw new Error(`entry ${index} of core ${coreId} is ${content} of epoch ${epoch}, and was ${was}`);
    }
    // What was about to be dropped is dropped, or not yet.
    if (this.#kept !== undefined && entries.length === (this.#kept.get(coreId)?.length ?? 0)) return;
    const complete = appended.filter(({ epoch }) => epoch <= completeEpoch).length;
    if (entries.length < complete)
      throw new Error(`core ${coreId} has lost entries of epoch ${completeEpoch}, complete`);
    if (left && entries.length > complete) throw new Error(`core ${coreId} has entries that were to be left`);
    const acknowledged = this.#durable.get(coreId) ?? 0;
    if (!left && entries.length < acknowledged) {
      throw new Error(`lost: ${acknowledged} entries of core ${coreId} were acknowledged, there are ${entries.length}`);
    }
  }

  /** A commit is there when it was acknowledged or something behind it is there, and it is not when something before it is missing. */
  #checkCommit(coreId: number, entries: number, { committed: all, left }: FoundCores): void {
    const committed = all?.get(coreId) ?? 0;
    if (this.#forgetting && committed === 0) return;
    const possible = this.#committed.get(coreId) ?? [0];
    // What is left goes with its commits.
    const durable = left || this.#kept !== undefined ? this.#completeCommit : this.#durableCommit;
    const acknowledged = durable.get(coreId) ?? 0;
    const atLeast = Math.max(acknowledged, ...possible.filter((count) => count < entries));
    if (possible.includes(committed) && committed >= atLeast && committed <= entries) return;
    throw new Error(`core ${coreId} has ${entries} entries, and committed ${committed} of ${possible.join(', ')}`);
  }

  #entriesOf(coreId: number): KnownEntry[] {
    const known = this.#appended.get(coreId) ?? [];
    this.#appended.set(coreId, known);
    return known;
  }

  #learn(note: CoreNote): void {
    switch (note.kind) {
      case 'appended':
        this.#entriesOf(note.coreId).push(note.entry);
        return;
      case 'committed':
        this.#committed.set(note.coreId, [...(this.#committed.get(note.coreId) ?? [0]), note.count]);
        return;
      case 'durable':
        this.#durable.set(note.coreId, Math.max(note.count, this.#durable.get(note.coreId) ?? 0));
        this.#durableCommit.set(note.coreId, Math.max(note.committed ?? 0, this.#durableCommit.get(note.coreId) ?? 0));
        return;
      case 'epoch':
        this.#epoch = Math.max(this.#epoch, note.epoch);
        for (const [coreId, count] of note.committed ?? []) {
          this.#completeCommit.set(coreId, Math.max(count, this.#completeCommit.get(coreId) ?? 0));
        }
        return;
      case 'snapshot':
        this.#snapshots.set(note.id, note.cores);
        return;
      case 'forgetting':
        this.#forgetting = true;
        return;
      case 'forgotten':
        this.#forgetting = false;
        this.#committed.clear();
        this.#durableCommit.clear();
        this.#completeCommit.clear();
        return;
      case 'checkpoint':
        this.#checkpointId = Math.max(this.#checkpointId, note.id);
        return;
      case 'leaving':
        this.#kept = note.cores;
        return;
      case 'found':
        this.#kept = undefined;
        this.#forgetting = false;
        for (const [coreId, entries] of note.cores) {
          this.#appended.set(coreId, [...entries]);
          this.#durable.set(coreId, entries.length);
          const last = note.committed?.get(coreId) ?? 0;
          const before = this.#committed.get(coreId)?.filter((count) => count < last) ?? [];
          this.#committed.set(coreId, [...before, last]);
          this.#durableCommit.set(coreId, last);
        }
    }
  }
}

import { isDeepStrictEqual } from 'node:util';

/** A file that is to be kept aside, whatever becomes of the log. */
export interface LostFile {
  readonly name: string;
  /** Its bytes, one character for each. */
  readonly content: string;
  /** Whether there may be others of its name: it is one of those then. */
  readonly hasCopies?: boolean;
}

/** Stands for the payload of a record that is lost in a hole. */
export const HOLE = '(hole)';

/** The name under which a checkpoint is noted: no hold of a scenario has it. */
export const CHECKPOINT = 'checkpoint';

/** With this before its name, the position of a follower is noted like a hold: no hold of a scenario has such a name. */
export const FOLLOWER = 'follower ';

/** Records that are there as a whole or not at all. */
export interface Batch {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** The records of a backup: LSNs from one on, and the payload of each. */
export interface BackedUp {
  readonly firstLsn: number;
  readonly payloads: readonly string[];
}

/** What is noted about a log, so that it can be held against it after a crash. */
export type LogNote =
  /** A record was appended, and may be there. */
  | {
      readonly kind: 'appended';
      readonly lsn: number;
      readonly payload: string;
      /** The batch that it belongs to, when there are others in it. */
      readonly batch?: Batch;
    }
  /** Everything up to this LSN was acknowledged. */
  | { readonly kind: 'durable'; readonly lsn: number }
  /** The log was opened with these records, which are durable by that. */
  | {
      readonly kind: 'found';
      readonly firstLsn: number;
      readonly payloads: readonly string[];
      /** The checkpoint and the holds that it was opened with. */
      readonly claims?: Readonly<Record<string, number>>;
      /** The positions of followers. They are in files of their own, and opening the log does not make them durable. */
      readonly followers?: Readonly<Record<string, number | undefined>>;
    }
  /** A truncation was asked for: nothing before this LSN is needed. */
  | { readonly kind: 'truncated'; readonly lsn: number }
  /** A truncation has returned, and the log begins here: what was before is gone for good. */
  | { readonly kind: 'gone'; readonly firstLsn: number }
  /** Everything behind this LSN is about to go: it is there as a whole until then. */
  | { readonly kind: 'cutting'; readonly lsn: number; readonly firstLsn?: number }
  /** Everything behind this LSN is gone. */
  | { readonly kind: 'cut'; readonly lsn: number; readonly firstLsn?: number }
  /** Everything is about to go, and the log to go on with this LSN. */
  | { readonly kind: 'resetting'; readonly lsn: number }
  | { readonly kind: 'reset'; readonly lsn: number }
  /** The record behind this LSN is destroyed, and the log ends before it: none of these files may get lost by that. */
  | { readonly kind: 'damaged'; readonly lsn: number; readonly files: readonly LostFile[] }
  /** These records are about to be destroyed, in a log that is salvaged around them. */
  | { readonly kind: 'holing'; readonly lsns: readonly number[] }
  /** They are: this file must not get lost by that. */
  | { readonly kind: 'holed'; readonly file: LostFile }
  /** A checkpoint, or a hold of this name, is about to have this LSN; without one the hold is about to go. */
  | { readonly kind: 'claiming'; readonly name: string; readonly lsn: number | undefined }
  /** It has. */
  | { readonly kind: 'claimed'; readonly name: string; readonly lsn: number | undefined }
  /** A backup of what is in the log is about to be made, or of what will be when a cut is done: these LSNs at least. */
  | { readonly kind: 'backing-up'; readonly firstLsn: number; readonly nextLsn: number }
  /** It was made, and contains this. */
  | { readonly kind: 'backed-up'; readonly backup: BackedUp }
  /** The backup is about to be opened for writing: from then on it is a log of its own. */
  | { readonly kind: 'restoring' }
  /** A record was found on the disk that was encrypted with this key stream, of which these are the first bytes. */
  | { readonly kind: 'encrypted'; readonly keyStream: string; readonly record: string };

/** What is left of a log. */
interface Cut {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

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
  /** Everything before it was truncated, for good. */
  #goneBelow = 1;
  /** What may have become of the log meanwhile: all that is behind `lastLsn` is gone, and before `firstLsn`. */
  #cut: Cut | undefined;
  /** By the name of the hold, or of the checkpoint: the LSNs that it may have, in the order in which they were asked for. */
  #claims = new Map<string, readonly (number | undefined)[]>([[CHECKPOINT, [0]]]);
  /** Where the log began when it was last reset: nothing can be held before. */
  #resetLsn = 1;
  /** By LSN: every payload that was ever appended under it, cut off or not. */
  readonly #ever = new Map<number, Set<string>>();
  /** The backup that was made last. */
  #backup: BackedUp | undefined;
  /** What those that were begun since contain at least. */
  #backups: readonly BackedUp[] = [];
  #isRestored = false;
  /** Files that have to be somewhere. */
  files: readonly LostFile[] = [];
  /** By payload: the batch of the record. */
  readonly #batches = new Map<string, Batch>();
  /** LSNs of records that are destroyed. */
  readonly #holes = new Set<number>();
  /** By key stream: what was encrypted with it. */
  readonly #encrypted = new Map<string, string>();

  constructor(notes: readonly LogNote[]) {
    for (const note of notes) this.#learn(note);
  }

  /** @throws an error that says which promise is broken */
  check(firstLsn: number, payloads: readonly string[], nextLsn: number): void {
    const end = firstLsn + payloads.length;
    if (end !== nextLsn) throw new Error(`replay ends before ${end}, the log before ${nextLsn}`);
    if (nextLsn <= this.#durableLsn && !this.#isCut(firstLsn, nextLsn)) {
      throw new Error(`lost: ${this.#durableLsn} was acknowledged, the log ends with ${nextLsn - 1}`);
    }
    if (firstLsn > this.#neededLsn && !this.#isCut(firstLsn, nextLsn)) {
      throw new Error(`lost: ${this.#neededLsn} is needed, the log begins with ${firstLsn}`);
    }
    if (firstLsn < this.#goneBelow && !this.#isCut(firstLsn, nextLsn)) {
      throw new Error(`back again: the log was truncated to ${this.#goneBelow}, and begins with ${firstLsn}`);
    }
    for (const [index, payload] of payloads.entries()) this.#checkRecord(firstLsn + index, payload);
    this.#checkBatches(firstLsn, payloads, nextLsn);
  }

  /**
   * Holds the checkpoint and the holds against what was noted.
   *
   * @param isKnown - whether a claim could be read
   * @throws an error that says which promise is broken
   */
  checkClaims(
    firstLsn: number,
    found: Readonly<Record<string, number | undefined>>,
    isKnown: (name: string) => boolean = () => true,
  ): void {
    for (const name of new Set([...this.#claims.keys(), ...Object.keys(found)])) {
      if (!isKnown(name)) continue;
      const lsn = found[name];
      const possible = this.#claims.get(name);
      if (possible === undefined ? lsn !== undefined : !possible.includes(lsn)) {
        throw new Error(`forgotten: ${name} is ${lsn}, and was ${[...(possible ?? [])].join(' or ')}`);
      }
      const resetLsn = Math.max(this.#resetLsn, this.#cut?.firstLsn ?? 1);
      if (name === CHECKPOINT || lsn === undefined || firstLsn <= Math.max(lsn, resetLsn)) continue;
      throw new Error(`lost: the hold ${name} keeps ${lsn}, the log begins with ${firstLsn}`);
    }
  }

  /** By name: what the followers that have certainly stored a position may have stored. */
  get followers(): ReadonlyMap<string, readonly (number | undefined)[]> {
    const stored = [...this.#claims].filter(([name, lsns]) => name.startsWith(FOLLOWER) && !lsns.includes(undefined));
    return new Map(stored.map(([name, lsns]) => [name.slice(FOLLOWER.length), lsns]));
  }

  /** Whether a backup was ever begun, and not restored. */
  get hasBackup(): boolean {
    return !this.#isRestored && (this.#backup !== undefined || this.#backups.length > 0);
  }

  /**
   * Holds a backup against what was noted: it is the last one that was made, or one that was begun since.
   *
   * @param found - `undefined` when there is none
   * @throws an error that says which promise is broken
   */
  checkBackup(found: BackedUp | undefined): void {
    if (found === undefined) {
      if (this.#backup === undefined) return;
      throw new Error(`lost: a backup was made up to ${lastOf(this.#backup)}, and there is none`);
    }
    if (this.#backup !== undefined && isDeepStrictEqual(found, this.#backup)) return;
    if (this.#backups.some((begun) => this.#goesOn(begun, found))) return;
    throw new Error(
      `the backup has ${found.firstLsn} to ${lastOf(found)}; the last one had ${this.#backup?.firstLsn} to ` +
        `${this.#backup === undefined ? undefined : lastOf(this.#backup)}, and those begun since would have ` +
        `${this.#backups.map((begun) => `${begun.firstLsn} to ${lastOf(begun)} or more`).join(', ')}`,
    );
  }

  /** Whether a backup contains what it is to contain, but for what was truncated, and else what was appended behind it. */
  #goesOn(begun: BackedUp, found: BackedUp): boolean {
    if (found.firstLsn < begun.firstLsn || lastOf(found) < lastOf(begun)) return false;
    return found.payloads.every((payload, index) => {
      const lsn = found.firstLsn + index;
      if (lsn > lastOf(begun)) return this.#ever.get(lsn)?.has(payload) === true;
      return begun.payloads[lsn - begun.firstLsn] === payload;
    });
  }

  /** Whether the log is as a cut that was begun leaves it. */
  #isCut(firstLsn: number, nextLsn: number): boolean {
    if (this.#cut === undefined || nextLsn !== this.#cut.lastLsn + 1) return false;
    // One that goes on with the next LSN anyway is known by what is left before it.
    return firstLsn >= this.#cut.firstLsn && firstLsn <= Math.max(this.#neededLsn, this.#cut.firstLsn);
  }

  /** A batch is there whole or not at all, but for what a cut drops of it. */
  #checkBatches(firstLsn: number, payloads: readonly string[], nextLsn: number): void {
    const isCut = this.#isCut(firstLsn, nextLsn);
    for (const end of [payloads[0], payloads.at(-1)]) {
      const batch = end === undefined ? undefined : this.#batches.get(end);
      if (batch === undefined || (batch.firstLsn >= firstLsn && (isCut || batch.lastLsn < nextLsn))) continue;
      const { firstLsn: first, lastLsn: last } = batch;
      throw new Error(`torn: of the batch ${first} to ${last} the log has ${firstLsn} to ${nextLsn - 1}`);
    }
  }

  #checkRecord(lsn: number, payload: string): void {
    const must = this.#must.get(lsn);
    if (payload === HOLE && this.#holes.has(lsn)) return;
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

  /** Everything behind an LSN is gone: what comes next has nothing to do with it. */
  #cutAfter({ firstLsn, lastLsn }: Cut): void {
    for (const known of [this.#must, this.#may, this.#latest] as readonly Map<number, unknown>[]) {
      for (const lsn of [...known.keys()].filter((each) => each > lastLsn || each < firstLsn)) known.delete(lsn);
    }
    // What a cut leaves of a batch is all there ever was of it.
    for (const [payload, batch] of this.#batches) {
      if (batch.firstLsn <= lastLsn && batch.lastLsn > lastLsn) this.#batches.set(payload, { ...batch, lastLsn });
    }
    this.#durableLsn = lastLsn;
    this.#neededLsn = Math.max(firstLsn, Math.min(this.#neededLsn, lastLsn + 1));
    this.#goneBelow = firstLsn > 1 ? firstLsn : Math.min(this.#goneBelow, lastLsn + 1);
    this.#resetLsn = firstLsn > 1 ? firstLsn : Math.min(this.#resetLsn, lastLsn + 1);
    this.#cut = undefined;
  }

  /** What a cut behind an LSN makes of claims, in a log that begins with `firstLsn`; before it is done, it may have or not. */
  #lowerClaims(lastLsn: number, isDone: boolean, firstLsn = 1): void {
    for (const [name, lsns] of this.#claims) {
      // Nothing is held before the first record that there can be.
      const lowest = name === CHECKPOINT ? 0 : firstLsn;
      const lowered = [...lsns].map((lsn) => (lsn === undefined ? lsn : Math.min(lsn, Math.max(lowest, lastLsn))));
      this.#claims.set(name, isDone ? lowered : [...lsns, ...lowered]);
    }
  }

  /** What a reset makes of holds. */
  #moveHolds(lsn: number): void {
    for (const [name, lsns] of this.#claims) {
      if (name === CHECKPOINT) continue;
      this.#claims.set(
        name,
        [...lsns, lsn].filter((each) => each !== undefined || lsns.includes(undefined)),
      );
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

  /** What was asked for behind it may be, too: another call is under way. A checkpoint never goes back by one. */
  #claimed(name: string, lsn: number | undefined): void {
    const lsns = this.#claims.get(name) ?? [];
    if (name === CHECKPOINT && lsn !== undefined) {
      const notBelow = lsns.filter((each) => each !== undefined && each >= lsn);
      this.#claims.set(name, notBelow.length === 0 ? [lsn] : notBelow);
      return;
    }
    const at = lsns.indexOf(lsn, 1);
    this.#claims.set(name, at < 0 ? [lsn] : lsns.slice(at));
  }

  #learn(note: LogNote): void {
    switch (note.kind) {
      case 'appended': {
        const payloads = this.#may.get(note.lsn) ?? new Set();
        this.#may.set(note.lsn, payloads.add(note.payload));
        this.#latest.set(note.lsn, note.payload);
        this.#ever.set(note.lsn, (this.#ever.get(note.lsn) ?? new Set()).add(note.payload));
        if (note.batch !== undefined) this.#batches.set(note.payload, note.batch);
        return;
      }
      case 'backing-up': {
        const lsns = Array.from({ length: note.nextLsn - note.firstLsn }, (_, index) => note.firstLsn + index);
        const payloads = lsns.map((lsn) => this.#must.get(lsn) ?? this.#latest.get(lsn) ?? '');
        this.#backups = [...this.#backups, { firstLsn: note.firstLsn, payloads }];
        return;
      }
      case 'backed-up':
        this.#backup = note.backup;
        this.#backups = [];
        return;
      case 'restoring':
        this.#isRestored = true;
        return;
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
        if (this.#isCut(note.firstLsn, note.firstLsn + note.payloads.length)) this.#cutAfter(this.#cut as Cut);
        this.#cut = undefined;
        if (note.claims !== undefined) {
          const before = this.#claims;
          this.#claims = new Map(Object.entries(note.claims).map(([name, lsn]) => [name, [lsn]]));
          for (const [name, lsns] of before) {
            if (!name.startsWith(FOLLOWER)) continue;
            const isRead = Object.hasOwn(note.followers ?? {}, name);
            this.#claims.set(name, isRead ? [...lsns, note.followers?.[name]] : lsns);
          }
        }
        for (const [index, payload] of note.payloads.entries()) this.#must.set(note.firstLsn + index, payload);
        this.#dropFrom(note.firstLsn + note.payloads.length);
        return;
      case 'truncated':
        this.#neededLsn = Math.max(this.#neededLsn, note.lsn);
        return;
      case 'gone':
        this.#goneBelow = Math.max(this.#goneBelow, note.firstLsn);
        return;
      case 'cutting':
        this.#cut = { firstLsn: 1, lastLsn: note.lsn };
        this.#lowerClaims(note.lsn, false, note.firstLsn);
        return;
      case 'damaged':
        this.files = note.files;
        this.#cutAfter({ firstLsn: 1, lastLsn: note.lsn });
        this.#lowerClaims(note.lsn, false);
        return;
      case 'holing':
        for (const lsn of note.lsns) this.#holes.add(lsn);
        return;
      case 'holed':
        this.files = [...this.files, note.file];
        return;
      case 'cut':
        this.#cutAfter({ firstLsn: 1, lastLsn: note.lsn });
        this.#lowerClaims(note.lsn, true, note.firstLsn);
        return;
      case 'resetting':
        this.#cut = { firstLsn: note.lsn, lastLsn: note.lsn - 1 };
        this.#lowerClaims(note.lsn - 1, false);
        this.#moveHolds(note.lsn);
        return;
      case 'reset':
        this.#cutAfter({ firstLsn: note.lsn, lastLsn: note.lsn - 1 });
        this.#lowerClaims(note.lsn - 1, true);
        this.#moveHolds(note.lsn);
        return;
      case 'claiming':
        this.#claims.set(note.name, [...(this.#claims.get(note.name) ?? [undefined]), note.lsn]);
        return;
      case 'claimed':
        this.#claimed(note.name, note.lsn);
    }
  }
}

const lastOf = ({ firstLsn, payloads }: BackedUp): number => firstLsn + payloads.length - 1;

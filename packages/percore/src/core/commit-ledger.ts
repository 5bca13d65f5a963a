import type { Committed } from './commit.js';

/** Where a source, or the watermark, was committed last: the epoch and the LSN of that entry. */
interface CommitPlace {
  readonly epoch: number;
  readonly lsn: number;
  /** Where it was committed last in an earlier epoch; `Infinity` where it was not, or where that is not known. */
  readonly earlierLsn: number;
}

/** By source; those that are not in it were committed before a checkpoint, which says so. */
export interface CommitPlaces {
  readonly offsets: ReadonlyMap<string, CommitPlace>;
  readonly watermark: CommitPlace | undefined;
  /** Sources that were committed before the core was taken away, and not since, whether it takes part again or not. */
  readonly left: ReadonlySet<string>;
}

export const NO_PLACES: CommitPlaces = { offsets: new Map(), watermark: undefined, left: new Set() };

/** What is committed, and where. */
interface KnownCommits {
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
}

/** The same without what was committed before an LSN. */
export function withCommitsSince<T extends KnownCommits>(known: T, before: number): T {
  const ledger = new CommitLedger(known.committed, known.commitPlaces);
  ledger.forgetBefore(before);
  return { ...known, committed: ledger.committed, commitPlaces: ledger.places };
}

/** A value, where it was committed, and whether its core was taken away after that. */
interface Slot {
  value: bigint;
  epoch: number;
  lsn: number;
  earlierLsn: number;
  left: boolean;
}

/**
 * What is committed, as commits come in: a commit costs as much as the sources that it names, however many there are.
 */
export class CommitLedger {
  readonly #offsets = new Map<string, Slot>();
  #watermark: Slot | undefined;
  #snapshot: { readonly committed: Committed; readonly places: CommitPlaces } | undefined;

  constructor({ offsets, watermark }: Committed, places: CommitPlaces) {
    for (const [source, offset] of offsets) {
      this.#offsets.set(source, slotOf(offset, places.offsets.get(source), places.left.has(source)));
    }
    this.#watermark = watermark === undefined ? undefined : slotOf(watermark, places.watermark, false);
  }

  /** What is committed now: a copy, the same one until there is a further commit. */
  get committed(): Committed {
    return this.#copy().committed;
  }

  /** Where it was. */
  get places(): CommitPlaces {
    return this.#copy().places;
  }

  /** The oldest entry from which something of it is known; `Infinity` where there is none. */
  get neededFrom(): number {
    let oldest = this.#watermark?.lsn ?? Number.POSITIVE_INFINITY;
    for (const { lsn } of this.#offsets.values()) if (lsn < oldest) oldest = lsn;
    return oldest;
  }

  /** The newest entry from which something of it is known, as far as that is known; 0 where there is none. */
  get lastLsn(): number {
    let newest = knownLsn(this.#watermark);
    for (const slot of this.#offsets.values()) newest = Math.max(newest, knownLsn(slot));
    return newest;
  }

  /** The oldest entry from which something is known that was committed before an epoch; `Infinity` where there is none. */
  endedFrom(epoch: number): number {
    let oldest = this.#watermark === undefined ? Number.POSITIVE_INFINITY : lsnBefore(this.#watermark, epoch);
    for (const slot of this.#offsets.values()) oldest = Math.min(oldest, lsnBefore(slot, epoch));
    return oldest;
  }

  /** Takes a commit, and the place of its entry. */
  add({ offsets, watermark }: Committed, epoch: number, lsn: number): void {
    this.#snapshot = undefined;
    for (const [source, value] of offsets) {
      const slot = this.#offsets.get(source);
      if (slot === undefined) this.#offsets.set(source, newSlot(value, epoch, lsn));
      else {
        slot.earlierLsn = lsnBefore(slot, epoch);
        slot.value = value;
        slot.epoch = epoch;
        slot.lsn = lsn;
        slot.left = false;
      }
    }
    if (watermark === undefined) return;
    const earlierLsn = this.#watermark === undefined ? Number.POSITIVE_INFINITY : lsnBefore(this.#watermark, epoch);
    this.#watermark = { ...newSlot(watermark, epoch, lsn), earlierLsn };
  }

  /** The core is taken away here. */
  noteLeft(): void {
    this.#snapshot = undefined;
    for (const slot of this.#offsets.values()) slot.left = true;
  }

  /** Forgets what was committed before an LSN. */
  forgetBefore(before: number): void {
    this.#snapshot = undefined;
    for (const [source, { lsn }] of this.#offsets) if (!isSince(lsn, before)) this.#offsets.delete(source);
    if (this.#watermark !== undefined && !isSince(this.#watermark.lsn, before)) this.#watermark = undefined;
  }

  #copy(): { readonly committed: Committed; readonly places: CommitPlaces } {
    if (this.#snapshot === undefined) {
      const offsets = new Map<string, bigint>();
      const places = new Map<string, CommitPlace>();
      const left = new Set<string>();
      for (const [source, slot] of this.#offsets) {
        offsets.set(source, slot.value);
        const place = placeOf(slot);
        if (place !== undefined) places.set(source, place);
        if (slot.left) left.add(source);
      }
      const watermark = this.#watermark;
      this.#snapshot = {
        committed: { offsets, watermark: watermark?.value },
        places: { offsets: places, watermark: watermark && placeOf(watermark), left },
      };
    }
    return this.#snapshot;
  }
}

/** Where the LSN is not known, it was before a checkpoint. */
const isSince = (lsn: number, before: number): boolean => lsn >= before && lsn !== Number.POSITIVE_INFINITY;

/** Where it was committed last before an epoch. */
const lsnBefore = (slot: Slot, epoch: number): number => (slot.epoch < epoch ? slot.lsn : slot.earlierLsn);

const knownLsn = (slot: Slot | undefined): number =>
  slot === undefined || slot.lsn === Number.POSITIVE_INFINITY ? 0 : slot.lsn;

const newSlot = (value: bigint, epoch: number, lsn: number): Slot => ({
  value,
  epoch,
  lsn,
  earlierLsn: Number.POSITIVE_INFINITY,
  left: false,
});

const slotOf = (value: bigint, place: CommitPlace | undefined, left: boolean): Slot => ({
  value,
  epoch: place?.epoch ?? 0,
  lsn: place?.lsn ?? Number.POSITIVE_INFINITY,
  earlierLsn: place?.earlierLsn ?? Number.POSITIVE_INFINITY,
  left,
});

const placeOf = ({ epoch, lsn, earlierLsn }: Slot): CommitPlace | undefined =>
  lsn === Number.POSITIVE_INFINITY ? undefined : { epoch, lsn, earlierLsn };

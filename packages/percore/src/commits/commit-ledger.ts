import type { Committed } from './commit.js';

/** Where a source, or the watermark, was last committed: the epoch and the LSN of that entry. */
interface CommitPlace {
  readonly epoch: number;
  readonly lsn: number;
  /** The LSN of its last commit in an earlier epoch; `Infinity` when there is none, or when it is not known. */
  readonly earlierLsn: number;
}

/** Places by source; a source without a place was committed before the checkpoint that holds its offset. */
export interface CommitPlaces {
  readonly offsets: ReadonlyMap<string, CommitPlace>;
  readonly watermark: CommitPlace | undefined;
  /** Sources whose last commit precedes the retirement of the core, whether the core takes part again or not. */
  readonly retired: ReadonlySet<string>;
  /** Sources that another core has committed in a later epoch, before the checkpoint that holds the offset. */
  readonly outdated: ReadonlySet<string>;
  /** The epoch of that checkpoint; 0 when there is none. */
  readonly checkpointEpoch: number;
}

export const NO_PLACES: CommitPlaces = {
  offsets: new Map(),
  watermark: undefined,
  retired: new Set(),
  outdated: new Set(),
  checkpointEpoch: 0,
};

/** The committed offsets and watermark, and the places of their entries. */
interface KnownCommits {
  readonly committed: Committed;
  readonly commitPlaces: CommitPlaces;
}

/** Returns a copy without what was committed before an LSN. */
export function withCommitsSince<T extends KnownCommits>(known: T, before: number): T {
  const ledger = new CommitLedger(known.committed, known.commitPlaces);
  ledger.forgetBefore(before);
  return { ...known, committed: ledger.committed, commitPlaces: ledger.places };
}

/** A value, the place of its commit, and whether its core was retired after that, or the value outdated by a checkpoint. */
interface Slot {
  value: bigint;
  epoch: number;
  lsn: number;
  earlierLsn: number;
  retired: boolean;
  outdated: boolean;
}

/**
 * The committed offsets and watermark of one core, updated with each commit. The cost of a commit depends on the number
 * of sources that it names, and not on the number of sources in the ledger.
 */
export class CommitLedger {
  readonly #offsets = new Map<string, Slot>();
  #watermark: Slot | undefined;
  readonly #checkpointEpoch: number;
  #snapshot: { readonly committed: Committed; readonly places: CommitPlaces } | undefined;

  constructor({ offsets, watermark }: Committed, places: CommitPlaces) {
    const { retired, outdated, checkpointEpoch } = places;
    this.#checkpointEpoch = checkpointEpoch;
    for (const [source, offset] of offsets) {
      const slot = slotOf(offset, places.offsets.get(source));
      this.#offsets.set(source, { ...slot, retired: retired.has(source), outdated: outdated.has(source) });
    }
    this.#watermark = watermark === undefined ? undefined : slotOf(watermark, places.watermark);
  }

  /** What is committed now: a copy, the same object until the ledger changes. */
  get committed(): Committed {
    return this.#copy().committed;
  }

  /** The places of the entries that committed it; cached like {@link committed}. */
  get places(): CommitPlaces {
    return this.#copy().places;
  }

  /** The LSN of the oldest entry that a current value comes from; `Infinity` when there is none. */
  get neededFrom(): number {
    let oldest = this.#watermark?.lsn ?? Number.POSITIVE_INFINITY;
    for (const { lsn } of this.#offsets.values()) if (lsn < oldest) oldest = lsn;
    return oldest;
  }

  /** The LSN of the newest entry that a current value comes from; 0 when none is known. */
  get lastLsn(): number {
    let newest = knownLsn(this.#watermark);
    for (const slot of this.#offsets.values()) newest = Math.max(newest, knownLsn(slot));
    return newest;
  }

  /** The oldest LSN that holds the value of a source, or of the watermark, as of before an epoch; `Infinity` for none. */
  endedFrom(epoch: number): number {
    let oldest = this.#watermark === undefined ? Number.POSITIVE_INFINITY : lsnBefore(this.#watermark, epoch);
    for (const slot of this.#offsets.values()) oldest = Math.min(oldest, lsnBefore(slot, epoch));
    return oldest;
  }

  /** Applies a commit, with the place of its entry. */
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
        slot.retired = false;
        slot.outdated = false;
      }
    }
    if (watermark === undefined) return;
    const earlierLsn = this.#watermark === undefined ? Number.POSITIVE_INFINITY : lsnBefore(this.#watermark, epoch);
    this.#watermark = { ...newSlot(watermark, epoch, lsn), earlierLsn };
  }

  /** Records that the core retires here. */
  markRetired(): void {
    this.#snapshot = undefined;
    for (const slot of this.#offsets.values()) slot.retired = true;
  }

  /** Removes what was committed before an LSN. */
  forgetBefore(before: number): void {
    this.#snapshot = undefined;
    for (const [source, { lsn }] of this.#offsets) if (!isSince(lsn, before)) this.#offsets.delete(source);
    if (this.#watermark !== undefined && !isSince(this.#watermark.lsn, before)) this.#watermark = undefined;
  }

  #copy(): { readonly committed: Committed; readonly places: CommitPlaces } {
    if (this.#snapshot === undefined) {
      const offsets = new Map<string, bigint>();
      const places = new Map<string, CommitPlace>();
      const retired = new Set<string>();
      const outdated = new Set<string>();
      for (const [source, slot] of this.#offsets) {
        offsets.set(source, slot.value);
        const place = placeOf(slot);
        if (place !== undefined) places.set(source, place);
        if (slot.retired) retired.add(source);
        if (slot.outdated) outdated.add(source);
      }
      const watermark = this.#watermark;
      this.#snapshot = {
        committed: { offsets, watermark: watermark?.value },
        places: {
          offsets: places,
          watermark: watermark && placeOf(watermark),
          retired,
          outdated,
          checkpointEpoch: this.#checkpointEpoch,
        },
      };
    }
    return this.#snapshot;
  }
}

/** An unknown LSN (`Infinity`) means a commit before a checkpoint. */
const isSince = (lsn: number, before: number): boolean => lsn >= before && lsn !== Number.POSITIVE_INFINITY;

/** The LSN of the last commit before an epoch. */
const lsnBefore = (slot: Slot, epoch: number): number => (slot.epoch < epoch ? slot.lsn : slot.earlierLsn);

const knownLsn = (slot: Slot | undefined): number =>
  slot === undefined || slot.lsn === Number.POSITIVE_INFINITY ? 0 : slot.lsn;

const newSlot = (value: bigint, epoch: number, lsn: number): Slot => ({
  value,
  epoch,
  lsn,
  earlierLsn: Number.POSITIVE_INFINITY,
  retired: false,
  outdated: false,
});

const slotOf = (value: bigint, place: CommitPlace | undefined): Slot => ({
  value,
  epoch: place?.epoch ?? 0,
  lsn: place?.lsn ?? Number.POSITIVE_INFINITY,
  earlierLsn: place?.earlierLsn ?? Number.POSITIVE_INFINITY,
  retired: false,
  outdated: false,
});

const placeOf = ({ epoch, lsn, earlierLsn }: Slot): CommitPlace | undefined =>
  lsn === Number.POSITIVE_INFINITY ? undefined : { epoch, lsn, earlierLsn };

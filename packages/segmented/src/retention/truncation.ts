import { type Checkpoint, checkInteger, invalidType, type Lsn, outOfRange, WalError } from '@walstack/codec';
import { type Segment, truncated } from '@walstack/mmap-reader/segments';
import { afterStep, type IoRoutine, type RoutineQueue } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { endOfKept } from '../recovery/analyze-log.js';
import { type ChainLink, isEmpty, linkBehind } from '../segments/segment.js';
import { isFailureOfFile } from '../segments/segment-file.js';
import { countWhile, type Segments } from '../segments/segment-list.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { loweredTo, mapHolds, sameCheckpoint } from './checkpoint-store.js';
import { dropsAnything, firstRetained } from './retention.js';

/** What a truncation did. */
export interface TruncateResult {
  /** Segments whose files were removed. */
  readonly segmentsDeleted: number;
  /** Segments kept as free files for reuse. */
  readonly segmentsRecycled: number;
  /** Bytes of the files that were removed. */
  readonly bytesReclaimed: number;
  /**
   * Segments that are not part of the log any more, and whose files could not be removed: tried again by the next truncation,
   * and when the log is opened.
   */
  readonly segmentsLeft: number;
}

const NOTHING: TruncateResult = Object.freeze({
  segmentsDeleted: 0,
  segmentsRecycled: 0,
  bytesReclaimed: 0,
  segmentsLeft: 0,
});

/** Told what truncation does. */
export interface TruncationListener {
  /** Every record behind this LSN is gone; the files that held it go next. */
  readonly cut: (lastLsn: Lsn) => void;
  /** Files are gone. */
  readonly truncated: (result: TruncateResult) => void;
}

/** Holds at most, and characters of a name at most: the file `checkpoint` must stay below 1 MiB whatever they are. */
const MOST_HOLDS = 1024;
const LONGEST_NAME = 128;

/**
 * Where the log begins and where it ends, as far as that is not the business of appending: truncation at both ends, the
 * checkpoint, holds, retention.
 *
 * The routines run one after another in a lane of their own, beside the groups. What has to come between two groups (a
 * roll, a cut) joins the lane of the groups for just that.
 */
export class Truncation {
  readonly #world: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #store: CheckpointStore;
  readonly #groups: RoutineQueue;
  readonly #listener: TruncationListener;
  /** What readers in this process still need. */
  readonly #needs = new Set<() => Lsn>();
  /** Segments that are not part of the log any more, and whose files are still to be removed. */
  #toRemove: readonly Segment[] = [];

  /** @param groups - the lane of the groups */
  constructor(
    world: Environment,
    settings: Settings,
    writer: SegmentWriter,
    store: CheckpointStore,
    groups: RoutineQueue,
    listener: TruncationListener,
  ) {
    this.#listener = listener;
    this.#world = world;
    this.#settings = settings;
    this.#writer = writer;
    this.#store = store;
    this.#groups = groups;
  }

  /** The last LSN that the application no longer needs; 0 when there is none. */
  get checkpointLsn(): Lsn {
    return this.#store.current.checkpointLsn;
  }

  /** What the holds need; one that was made before the log began where it does now needs everything. */
  get holds(): Checkpoint['holds'] {
    const { firstLsn } = this.#writer;
    return mapHolds(this.#store.current.holds, (lsn) => Math.max(lsn, firstLsn));
  }

  /** Makes the checkpoint durable that was read when the log was opened, where that was put off. */
  settleCheckpoint(): IoRoutine<void> {
    return this.#store.settle();
  }

  /**
   * Removes the segments that hold nothing but records below `lsn`, and below every hold. That they are gone is durable
   * on return.
   *
   * @param lsn - the first LSN that is still needed; the next LSN empties the log
   */
  *before(lsn: Lsn): IoRoutine<TruncateResult> {
    const writer = this.#writer;
    writer.throwIfFailed();
    // Asked anew after each wait: a reader may have come, and records been appended.
    const needed = () => this.#neededFrom(lsn);
    if (needed() >= writer.nextLsn) {
      yield* this.#groups.join(() => this.#rollUnless(() => needed() < writer.nextLsn));
    }
    return yield* this.#dropBelow(() => firstKept(writer.chain, needed()));
  }

  /** Drops the records behind `lsn`; nothing may be appended meanwhile. That they are gone is durable on return. */
  *after(lsn: Lsn): IoRoutine<TruncateResult> {
    this.#writer.throwIfFailed();
    const hidden = yield* this.#groups.join(() => this.#cutAfter(lsn));
    return yield* this.#dropCutOff(hidden);
  }

  /** Drops every record and goes on with `lsn`; nothing may be appended meanwhile. Durable on return. */
  *resetTo(lsn: Lsn): IoRoutine<TruncateResult> {
    this.#writer.throwIfFailed();
    const hidden = yield* this.#groups.join(() => this.#startAnew(lsn));
    return yield* this.#dropCutOff(hidden);
  }

  /** Notes durably that the application needs nothing up to `lsn`, and drops what is not to be retained. */
  *checkpoint(lsn: Lsn): IoRoutine<void> {
    const writer = this.#writer;
    writer.throwIfFailed();
    if (lsn <= this.checkpointLsn) {
      yield* this.#store.settle();
      return;
    }
    // A cut may have come before. What gets the LSN during the sync may be left out of it.
    if (lsn >= writer.nextLsn) throw outOfRange('lsn', `at most ${writer.nextLsn - 1}, the last LSN`, lsn);
    if (lsn > writer.durableLsn) yield* this.#groups.join(() => writer.sync());
    yield* this.#replace({ ...this.#store.current, checkpointLsn: lsn });
    yield* this.retain();
  }

  /** Keeps everything from `lsn` on, until the hold moves or is released. Durable on return. */
  *hold(name: string, lsn: Lsn): IoRoutine<void> {
    this.#writer.throwIfFailed();
    const { firstLsn, nextLsn } = this.#writer;
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
    if (lsn > nextLsn) throw outOfRange('lsn', `at most ${nextLsn}, the next LSN`, lsn);
    // Else a crash could leave it ahead of the log, and it would not keep what gets those LSNs then.
    if (lsn - 1 > this.#writer.durableLsn) yield* this.#groups.join(() => this.#writer.sync());
    const { current } = this.#store;
    const holds = { ...current.holds, [name]: lsn };
    if (Object.keys(holds).length > MOST_HOLDS) throw tooManyHolds(name);
    yield* this.#replace({ ...current, holds });
    yield* this.retain();
  }

  /** Gives up a hold. Durable on return. @returns whether there was one of this name */
  *releaseHold(name: string): IoRoutine<boolean> {
    this.#writer.throwIfFailed();
    const { current } = this.#store;
    if (!Object.hasOwn(current.holds, name)) {
      yield* this.#store.settle();
      return false;
    }
    const holds = Object.fromEntries(Object.entries(current.holds).filter(([each]) => each !== name));
    yield* this.#replace({ ...current, holds });
    yield* this.retain();
    return true;
  }

  /** Drops what the options say is not to be retained. On a disk without room to note it, that is put off. */
  *retain(): IoRoutine<void> {
    if (!dropsAnything(this.#settings) || this.#writer.failure !== undefined) return;
    const first = () => {
      const checkpoint = { ...this.#store.current, holds: this.#claims };
      return firstRetained(this.#writer.chain, checkpoint, this.#settings, this.#world.now());
    };
    try {
      yield* this.#dropBelow(first);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#writer.failure !== undefined) throw error;
    }
  }

  /** Keeps everything from the LSN on that `needed` says whenever it is asked. @returns what ends it */
  keepFor(needed: () => Lsn): () => void {
    // Two readers may come with one function. One that cannot say what it needs may need everything.
    const need = (): Lsn => {
      try {
        return checkInteger('needed()', needed());
      } catch (error) {
        afterStep(() => {
          throw error;
        });
        return 0;
      }
    };
    this.#needs.add(need);
    return () => {
      this.#needs.delete(need);
    };
  }

  /** The first LSN that each hold keeps, and readers in this process under a name that no hold can have. */
  get #claims(): Checkpoint['holds'] {
    if (this.#needs.size === 0) return this.holds;
    return { ...this.holds, '': Math.min(...[...this.#needs].map((need) => need())) };
  }

  /** The first LSN that is needed, where the application needs `lsn` and what is behind it. */
  #neededFrom(lsn: Lsn): Lsn {
    return Math.min(lsn, ...Object.values(this.#claims));
  }

  *#rollUnless(needless: () => boolean): IoRoutine<void> {
    if (!needless()) yield* this.#writer.roll();
  }

  /** Takes the segments behind `lsn` out of the log, in the lane of the groups. @returns `undefined` when nothing is behind it */
  *#cutAfter(lsn: Lsn): IoRoutine<readonly Segment[] | undefined> {
    const writer = this.#writer;
    yield* writer.sync();
    if (lsn < writer.firstLsn - 1) throw truncated(lsn, writer.firstLsn);
    if (lsn >= writer.nextLsn) throw outOfRange('lsn', `at most ${writer.nextLsn - 1}, the last LSN`, lsn);
    if (lsn === writer.nextLsn - 1) return undefined;
    const { kept, from } = yield* this.#keptUpTo(lsn);
    const hidden = yield* this.#restartAt(lsn + 1, from, kept);
    this.#listener.cut(lsn);
    return hidden;
  }

  /** Takes all segments out of the log, in the lane of the groups. @returns `undefined` when the log is so already */
  *#startAnew(lsn: Lsn): IoRoutine<readonly Segment[] | undefined> {
    const writer = this.#writer;
    yield* writer.sync();
    if (lsn === writer.nextLsn && lsn === writer.firstLsn) return undefined;
    const newest = writer.segments.at(-1) as Segment;
    const hidden = yield* this.#restartAt(lsn, { ...linkBehind(newest), predecessor: undefined }, []);
    this.#listener.cut(0);
    return hidden;
  }

  /**
   * Has the log go on with another LSN. A checkpoint and holds that are ahead of it go back durably before the log does, and
   * only when nothing but a failure for good can keep the log from that.
   */
  *#restartAt(firstLsn: Lsn, from: ChainLink, kept: readonly Segment[]): IoRoutine<readonly Segment[]> {
    const before = this.#store.current;
    const lowered = loweredTo(firstLsn - 1, before);
    try {
      return yield* this.#writer.restartAt(firstLsn, from, kept, () => this.#replace(lowered));
    } catch (error) {
      // There was room for the checkpoint, and then none for a name.
      if (this.#store.current !== before && this.#writer.failure === undefined) yield* this.#putBack(before);
      throw error;
    }
  }

  *#putBack(checkpoint: Checkpoint): IoRoutine<void> {
    try {
      yield* this.#store.replace(checkpoint);
    } catch (error) {
      this.#writer.fail(error);
    }
  }

  /** The segments with records up to `lsn`, the last of them cut behind it, and what the next one takes over. */
  *#keptUpTo(lsn: Lsn): IoRoutine<{ readonly kept: readonly Segment[]; readonly from: ChainLink }> {
    const { segments } = this.#writer;
    const kept = segments.filter(({ header }) => header.firstLsn <= lsn);
    const last = kept.at(-1);
    if (last === undefined) {
      const first = segments[0] as Segment;
      return { kept, from: linkBehind({ ...first, nextLsn: first.header.firstLsn }) };
    }
    const nextLsn = lsn + 1;
    const end = last.nextLsn === nextLsn ? last.end : yield* endOfKept(this.#world.io, last, nextLsn);
    const cut = { ...last, end, nextLsn };
    return { kept: [...kept.slice(0, -1), cut], from: linkBehind(cut) };
  }

  /** Gets rid of the files of segments that a cut has taken out of the log. @param hidden - `undefined`: there was none */
  *#dropCutOff(hidden: readonly Segment[] | undefined): IoRoutine<TruncateResult> {
    const result = yield* this.#drop(hidden ?? []);
    // One that leaves every file where it is is a cut all the same.
    if (hidden !== undefined && result === NOTHING) this.#listener.truncated(result);
    return result;
  }

  *#replace(checkpoint: Checkpoint): IoRoutine<void> {
    if (sameCheckpoint(checkpoint, this.#store.current)) yield* this.#store.settle();
    else yield* this.#store.replace(checkpoint);
  }

  /**
   * Takes the segments below one out of the log.
   *
   * @param firstKept - the number of that one as things are now. It is lower where a reader has come while it was noted.
   */
  *#dropBelow(firstKept: () => number): IoRoutine<TruncateResult> {
    const writer = this.#writer;
    const { first } = writer.sealed;
    let number = firstKept();
    if (first === undefined || first.header.number >= number) return yield* this.#drop([]);
    let noted: number;
    do {
      noted = number;
      yield* this.#replace({ ...this.#store.current, firstSegment: noted });
      number = Math.min(noted, firstKept());
    } while (number < noted);
    return yield* this.#drop(writer.detachBelow(noted));
  }

  /**
   * Gets rid of the files of segments that are not part of the log any more. One that cannot be removed keeps no other from
   * being removed, and is left for the next time: the log goes on without it as well as without its file.
   */
  *#drop(segments: readonly Segment[]): IoRoutine<TruncateResult> {
    const toRemove = this.#toRemove.length === 0 ? segments : this.#toRemove.concat(segments);
    if (toRemove.length === 0) return NOTHING;
    const { allocator, directorySync } = this.#writer;
    const left: Segment[] = [];
    let segmentsDeleted = 0;
    let segmentsRecycled = 0;
    let bytesReclaimed = 0;
    // What a failure that concerns the log leaves is dropped the next time.
    this.#toRemove = toRemove;
    for (const segment of toRemove) {
      const size = this.#sizeOf(segment);
      const disposal = yield* allocator.retire(segment);
      if (disposal === 'left') left.push(segment);
      else if (disposal === 'recycled') segmentsRecycled++;
      else {
        segmentsDeleted++;
        bytesReclaimed += size;
      }
    }
    this.#toRemove = left;
    try {
      yield* directorySync.sync();
    } catch (error) {
      this.#writer.fail(error);
      throw error;
    }
    allocator.publishFreed();
    const result = Object.freeze({ segmentsDeleted, segmentsRecycled, bytesReclaimed, segmentsLeft: left.length });
    this.#listener.truncated(result);
    return result;
  }

  /** Bytes of a segment's file; 0 when it cannot be told. */
  #sizeOf({ path }: Segment): number {
    try {
      return this.#world.io.stat(path).size;
    } catch (error) {
      if (isFailureOfFile(error)) return 0;
      throw error;
    }
  }
}

/** Number of the first segment that holds a record ≥ `needed`, or that the log cannot do without. There is at least one. */
function firstKept(segments: Segments, needed: Lsn): number {
  // Only the newest one can be empty.
  const unneeded = countWhile(segments, (segment) => segment.nextLsn <= needed && !isEmpty(segment));
  return (segments.at(Math.min(unneeded, segments.length - 1)) as Segment).header.number;
}

/** Returns `name` when a hold can have it. @throws `TypeError`, `RangeError` with Node's codes */
export function checkHoldName(name: unknown): string {
  if (typeof name !== 'string') throw invalidType('name', 'a string', name);
  if (name === '' || name.length > LONGEST_NAME) throw outOfRange('name', `1 to ${LONGEST_NAME} characters long`, name);
  return name;
}

function tooManyHolds(name: string): WalError {
  return new WalError(
    'WAL_TOO_LARGE',
    `${MOST_HOLDS} holds are there already: nothing was held for ${name}; release one`,
    {
      limit: MOST_HOLDS,
      actual: MOST_HOLDS + 1,
    },
  );
}

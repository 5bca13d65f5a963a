import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import { checkInteger, invalidType, outOfRange } from '@walstack/codec/internal';
import { type Segment, truncated } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import { afterStep, type RoutineQueue } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';
import type { Followers } from '../followers/followers.js';
import type { Settings } from '../options.js';
import { endOfKept } from '../recovery/analyze-log.js';
import { type ChainLink, isEmpty, linkBehind } from '../segments/segment.js';
import { countWhile, type Segments } from '../segments/segment-list.js';
import { NOTHING_REMOVED, type SegmentRemoval, type TruncateResult } from '../write/allocation/segment-removal.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import { BeginningOfLog } from './beginning-of-log.js';
import { type CheckpointStore, loweredTo, mapHolds } from './checkpoint-store.js';
import { dropsAnything, firstRetained } from './retention.js';

/** Callbacks for what truncation has done. */
export interface TruncationListener {
  /** Runs before all records behind `lastLsn` are dropped. An error that it throws ends the cut, with the log unchanged. */
  readonly cutting: (lastLsn: Lsn) => IoRoutine<void>;
  /** All records behind `lastLsn` were dropped; their files are removed next. */
  readonly cut: (lastLsn: Lsn) => void;
  /** A cut has removed no file. */
  readonly truncated: (result: TruncateResult) => void;
}

/** Limits of the number of holds and the length of their names: they keep the file `checkpoint` below 1 MiB. */
const HOLDS_MAX = 1024;
const HOLD_NAME_LENGTH_MAX = 128;

/**
 * Moves the beginning and the end of the log: truncation at both ends, the checkpoint, holds, retention.
 *
 * The routines run one after another in the maintenance queue, concurrently with groups. A step that must not run
 * concurrently with a group (a roll, a cut) joins the write queue for that step only.
 */
export class Truncation {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #store: CheckpointStore;
  readonly #writeQueue: RoutineQueue;
  readonly #removal: SegmentRemoval;
  readonly #beginning: BeginningOfLog;
  readonly #listener: TruncationListener;
  readonly #followers: Followers;
  /** For each reader in this process, a function that returns the first LSN that it needs. */
  readonly #readerNeeds = new Set<() => Lsn>();

  /** @param writeQueue - runs groups; a roll or a cut joins it */
  constructor(
    environment: Environment,
    settings: Settings,
    writer: SegmentWriter,
    store: CheckpointStore,
    writeQueue: RoutineQueue,
    followers: Followers,
    listener: TruncationListener,
  ) {
    this.#followers = followers;
    this.#listener = listener;
    this.#environment = environment;
    this.#settings = settings;
    this.#writer = writer;
    this.#removal = writer.removal;
    this.#beginning = new BeginningOfLog(writer, store, followers);
    this.#store = store;
    this.#writeQueue = writeQueue;
  }

  /** The checkpoint, with the beginning that the log has. */
  get current(): Checkpoint {
    return this.#beginning.current;
  }

  /** The last LSN that the application no longer needs; 0 when there is none. */
  get checkpointLsn(): Lsn {
    return this.#store.current.checkpointLsn;
  }

  /** The first LSN that each hold keeps. A hold on an LSN before the first one of the log keeps everything. */
  get holds(): Checkpoint['holds'] {
    const { firstLsn } = this.#writer;
    return mapHolds(this.#store.current.holds, (lsn) => Math.max(lsn, firstLsn));
  }

  /** Makes the checkpoint that was read when the log was opened durable, if that was deferred. */
  ensureCheckpointDurable(): IoRoutine<void> {
    return this.#store.ensureDurable();
  }

  /** Whether the file `checkpoint` says something else than the log is: {@link takeBack}. */
  get isStale(): boolean {
    return this.#store.isStale;
  }

  /** {@link BeginningOfLog.takeBack} */
  takeBack(): IoRoutine<void> {
    return this.#beginning.takeBack();
  }

  /**
   * Removes the segments whose records are all below `lsn` and below every hold and follower. The removal is durable on return.
   *
   * @param lsn - the first LSN that is still needed; the next LSN empties the log, as far as there is room for the segment
   * that the log goes on in
   */
  *before(lsn: Lsn): IoRoutine<TruncateResult> {
    const writer = this.#writer;
    writer.throwIfFailed();
    yield* this.#followers.readIfAny();
    // Computed again after each wait: meanwhile readers may have been added and records appended.
    const needed = () => this.#neededFrom(lsn);
    const removed = this.#removal.since();
    yield* needed() >= writer.nextLsn ? this.#empty(needed) : this.#dropSealed(needed);
    const result = removed();
    const keptFor = this.#followers.needingBefore(lsn);
    return keptFor.length === 0 ? result : Object.freeze({ ...result, keptFor });
  }

  /** Drops the records behind `lsn`; nothing may be appended meanwhile. Durable on return. */
  *after(lsn: Lsn): IoRoutine<TruncateResult> {
    this.#writer.throwIfFailed();
    const removed = this.#removal.since();
    yield* this.#dropSuperseded(yield* this.#writeQueue.join(() => this.#cutAfter(lsn)));
    return removed();
  }

  /** Drops every record and continues the log with `lsn`; nothing may be appended meanwhile. Durable on return. */
  *resetTo(lsn: Lsn): IoRoutine<TruncateResult> {
    this.#writer.throwIfFailed();
    const removed = this.#removal.since();
    yield* this.#dropSuperseded(yield* this.#writeQueue.join(() => this.#dropAll(lsn)));
    return removed();
  }

  /** Stores durably that the application needs nothing up to `lsn`, and applies retention. */
  *checkpoint(lsn: Lsn): IoRoutine<void> {
    const writer = this.#writer;
    writer.throwIfFailed();
    if (lsn <= this.checkpointLsn) {
      yield* this.#store.ensureDurable();
      return;
    }
    const nowMs = this.retentionMs();
    // A cut may have run before this call. And a record that gets this LSN during the sync below is not covered by it.
    if (lsn >= writer.nextLsn) throw outOfRange('lsn', `at most ${writer.nextLsn - 1}, the last LSN`, lsn);
    if (lsn > writer.durableLsn) yield* this.#writeQueue.join(() => writer.sync());
    yield* this.#store.change({ ...this.#store.current, checkpointLsn: lsn });
    yield* this.retain(nowMs);
  }

  /** Keeps everything from `lsn` on until the hold is moved or released. Durable on return. */
  *hold(name: string, lsn: Lsn): IoRoutine<void> {
    this.#writer.throwIfFailed();
    const nowMs = this.retentionMs();
    const { firstLsn, nextLsn } = this.#writer;
    if (lsn < firstLsn) throw truncated(lsn, firstLsn);
    if (lsn > nextLsn) throw outOfRange('lsn', `at most ${nextLsn}, the next LSN`, lsn);
    // Else a crash could leave the hold ahead of the log, and it would not keep the records that get those LSNs later.
    if (lsn - 1 > this.#writer.durableLsn) yield* this.#writeQueue.join(() => this.#writer.sync());
    const { current } = this.#store;
    const holds = { ...current.holds, [name]: lsn };
    if (Object.keys(holds).length > HOLDS_MAX) throw tooManyHolds(name);
    yield* this.#store.change({ ...current, holds });
    yield* this.retain(nowMs);
  }

  /** Releases a hold. Durable on return. @returns whether there was one with this name */
  *releaseHold(name: string): IoRoutine<boolean> {
    this.#writer.throwIfFailed();
    const { current } = this.#store;
    if (!Object.hasOwn(current.holds, name)) {
      yield* this.#store.ensureDurable();
      return false;
    }
    const nowMs = this.retentionMs();
    const holds = Object.fromEntries(Object.entries(current.holds).filter(([each]) => each !== name));
    yield* this.#store.change({ ...current, holds });
    yield* this.retain(nowMs);
    return true;
  }

  /** The time for retention by age. What the clock of the application throws ends a call before it has changed anything. */
  retentionMs(): number {
    return this.#settings.retainAgeMs === undefined ? Number.NaN : Number(this.#environment.now());
  }

  /**
   * Applies the retention options. On a full disk this is deferred.
   *
   * @param nowMs - from the clock, which may throw. Default: read here
   */
  *retain(nowMs = this.retentionMs()): IoRoutine<void> {
    if (this.#writer.failure !== undefined || !(this.isStale || dropsAnything(this.#settings))) return;
    const first = () => {
      const checkpoint = { ...this.#store.current, holds: this.#claims };
      return firstRetained(this.#writer.chain, checkpoint, this.#settings, nowMs);
    };
    try {
      yield* this.takeBack();
      if (!dropsAnything(this.#settings)) return;
      yield* this.#followers.readIfAny();
      yield* this.#beginning.dropBelow(first, 'expired');
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#writer.failure !== undefined) throw error;
    }
  }

  /** Keeps everything from the LSN on that `needed` returns at each truncation. @returns a function that ends this */
  keepFor(needed: () => Lsn): () => void {
    // A wrapper, as two readers may pass the same function. If `needed` fails, the reader may need everything.
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
    this.#readerNeeds.add(need);
    return () => {
      this.#readerNeeds.delete(need);
    };
  }

  /**
   * The first LSN that each hold keeps; under the empty name, which no hold can have, that of the readers in this
   * process and of the followers with a name.
   */
  get #claims(): Checkpoint['holds'] {
    const needed = Math.min(this.#followers.neededLsn, ...[...this.#readerNeeds].map((need) => need()));
    return needed === Number.POSITIVE_INFINITY ? this.holds : { ...this.holds, '': needed };
  }

  /** The first LSN that is needed when the application needs `lsn` and everything behind it. */
  #neededFrom(lsn: Lsn): Lsn {
    return Math.min(lsn, ...Object.values(this.#claims));
  }

  #dropSealed(needed: () => Lsn): IoRoutine<void> {
    return this.#beginning.dropBelow(() => firstKept(this.#writer.chain, needed()), 'truncated');
  }

  /**
   * Begins a segment behind a log of which nothing is needed, and removes what is before. On a full disk what is sealed makes
   * the room for that: it is removed first, while there is the room for its removal. Where that is not enough, the log keeps
   * its newest segments.
   */
  *#empty(needed: () => Lsn): IoRoutine<void> {
    const writer = this.#writer;
    const roll = (): IoRoutine<void> => this.#writeQueue.join(() => this.#rollUnless(() => needed() < writer.nextLsn));
    const drop = (): IoRoutine<void> => this.#dropSealed(needed);
    if (writer.noSpace === undefined && (yield* this.#hasRoom(roll))) {
      yield* drop();
      return;
    }
    yield* writer.reserve.restore();
    const { firstLsn } = writer;
    yield* drop();
    if (writer.firstLsn > firstLsn) {
      if (yield* this.#hasRoom(roll)) yield* this.#hasRoom(drop);
    } else {
      yield* roll();
      yield* drop();
    }
  }

  /** @returns whether there was room for what a routine does; if not, nothing has changed */
  *#hasRoom(routine: () => IoRoutine<void>): IoRoutine<boolean> {
    try {
      yield* routine();
      return true;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#writer.failure !== undefined) throw error;
      return false;
    }
  }

  *#rollUnless(needless: () => boolean): IoRoutine<void> {
    if (!needless()) yield* this.#writer.roll();
  }

  /**
   * Takes the segments behind `lsn` out of the log; runs in the write queue.
   *
   * @returns `undefined` when nothing is behind it
   */
  *#cutAfter(lsn: Lsn): IoRoutine<readonly Segment[] | undefined> {
    const writer = this.#writer;
    yield* writer.leavingOutMarks(writer.syncWithReserve());
    if (lsn < writer.firstLsn - 1) throw truncated(lsn, writer.firstLsn);
    if (lsn >= writer.nextLsn) throw outOfRange('lsn', `at most ${writer.nextLsn - 1}, the last LSN`, lsn);
    if (lsn === writer.nextLsn - 1) return undefined;
    const { kept, from } = yield* this.#keptUpTo(lsn);
    const superseded = yield* this.#restartAt(lsn + 1, lsn, from, kept);
    this.#listener.cut(lsn);
    return superseded;
  }

  /**
   * Takes all segments out of the log; runs in the write queue.
   *
   * @returns `undefined` when the log is empty and at `lsn` already
   */
  *#dropAll(lsn: Lsn): IoRoutine<readonly Segment[] | undefined> {
    const writer = this.#writer;
    yield* writer.leavingOutMarks(writer.syncWithReserve());
    if (lsn === writer.nextLsn && lsn === writer.firstLsn) return undefined;
    const newest = writer.segments.at(-1) as Segment;
    const superseded = yield* this.#restartAt(lsn, 0, { ...linkBehind(newest), predecessor: undefined }, []);
    this.#listener.cut(0);
    return superseded;
  }

  /**
   * Continues the log with another LSN. A checkpoint and holds that are ahead of it are lowered durably first, and only
   * when the new segment is allocated, so that only a final failure can still prevent the restart.
   *
   * @param lastLsn - the last LSN that is left
   */
  *#restartAt(firstLsn: Lsn, lastLsn: Lsn, from: ChainLink, kept: readonly Segment[]): IoRoutine<readonly Segment[]> {
    const { cutting } = this.#listener;
    const before = this.#store.current;
    const lowered = loweredTo(firstLsn - 1, before);
    try {
      const replace = (): IoRoutine<void> => this.#store.change(lowered);
      return yield* this.#writer.restartAt(firstLsn, from, kept, function* () {
        yield* cutting(lastLsn);
        yield* replace();
      });
    } catch (error) {
      // There was room for the checkpoint, but not for the name of the new segment.
      if (this.#store.current !== before && this.#writer.failure === undefined) yield* this.#restoreCheckpoint(before);
      throw error;
    }
  }

  *#restoreCheckpoint(checkpoint: Checkpoint): IoRoutine<void> {
    try {
      yield* this.#store.replace(checkpoint);
    } catch (error) {
      this.#writer.fail(error);
    }
  }

  /** The segments with records up to `lsn`, the last of them cut behind it, and the chain link for the next one. */
  *#keptUpTo(lsn: Lsn): IoRoutine<{ readonly kept: readonly Segment[]; readonly from: ChainLink }> {
    const { segments } = this.#writer;
    const kept = segments.filter(({ header }) => header.firstLsn <= lsn);
    const last = kept.at(-1);
    if (last === undefined) {
      const first = segments[0] as Segment;
      return { kept, from: linkBehind({ ...first, nextLsn: first.header.firstLsn }) };
    }
    const nextLsn = lsn + 1;
    const end = last.nextLsn === nextLsn ? last.end : yield* endOfKept(this.#environment.io, last, nextLsn);
    const cut = { ...last, end, nextLsn };
    return { kept: [...kept.slice(0, -1), cut], from: linkBehind(cut) };
  }

  /**
   * Removes the files of segments that a cut has taken out of the log.
   *
   * @param superseded - `undefined`: nothing was cut
   */
  *#dropSuperseded(superseded: readonly Segment[] | undefined): IoRoutine<void> {
    const hasAnnounced = yield* this.#removal.remove(superseded ?? []);
    // A cut that removes no file is announced as well.
    if (superseded !== undefined && !hasAnnounced) this.#listener.truncated(NOTHING_REMOVED);
  }
}

/**
 * Number of the first segment that holds a record ≥ `needed`; at most that of the newest segment. There is at least
 * one.
 */
function firstKept(segments: Segments, needed: Lsn): number {
  // Only the newest one can be empty.
  const unneeded = countWhile(segments, (segment) => segment.nextLsn <= needed && !isEmpty(segment));
  return (segments.at(Math.min(unneeded, segments.length - 1)) as Segment).header.number;
}

/** Returns `name` when it is valid for a hold. @throws `TypeError`, `RangeError` with Node's codes */
export function checkHoldName(name: unknown): string {
  if (typeof name !== 'string') throw invalidType('name', 'a string', name);
  if (name === '' || name.length > HOLD_NAME_LENGTH_MAX)
    throw outOfRange('name', `1 to ${HOLD_NAME_LENGTH_MAX} characters long`, name);
  return name;
}

function tooManyHolds(name: string): WalError {
  return new WalError(
    'WAL_TOO_LARGE',
    `the log already has ${HOLDS_MAX} holds: ${name} was not added; release one first`,
    {
      limit: HOLDS_MAX,
      actual: HOLDS_MAX + 1,
    },
  );
}

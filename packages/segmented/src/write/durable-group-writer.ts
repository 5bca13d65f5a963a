import { sealFrames, WalError } from '@walstack/codec';
import { CompletionRouter, type IoRoutine, ioSteps, type Outcome } from '@walstack/storage-io';
import type { Arena, Extent } from '../append/arena.js';
import type { CoarseClock } from '../append/coarse-clock.js';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import { positionAt } from '../segments/segment.js';
import type { DiskReserve } from './allocation/disk-reserve.js';
import type { SegmentAllocator } from './allocation/segment-allocator.js';
import { fileOf, type SegmentFiles } from './allocation/segment-files.js';
import type { FinalFailure } from './final-failure.js';
import { writeOpenedMark } from './opened-mark.js';
import type { Item, Pipeline } from './pipeline.js';
import type { Roll } from './roll.js';
import type { SegmentChain } from './segment-chain.js';
import type { Stall } from './stall.js';
import type { LogEnd, Watermarks } from './watermarks.js';
import type { WriterCounters, WriterParts } from './writer-parts.js';

const DURABLE = { durable: true } as const;

/** A write that found no room, and its place in the order of the results. */
interface HeldWrite {
  readonly extent: Extent;
  readonly item: Item;
  /** Whether the write was a durable one. */
  readonly alone: boolean;
}

/** Writes what was encoded in groups, and makes them durable: by durable writes, or by a sync behind the writes. */
export class DurableGroupWriter {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #counters: WriterCounters;
  readonly #failure: FinalFailure;
  readonly #stall: Stall;
  readonly #watermarks: Watermarks;
  readonly #chain: SegmentChain;
  readonly #arena: Arena;
  readonly #clock: CoarseClock;
  readonly #isPipelined: boolean;
  readonly #pipeline: Pipeline;
  readonly #allocator: SegmentAllocator;
  readonly #reserve: DiskReserve;
  readonly #files: SegmentFiles;
  readonly #roll: Roll;
  readonly #router: CompletionRouter;
  /** Writes that found no room. Their memory is not released. */
  #held: HeldWrite[] = [];
  /** What was taken for the same groups, and could not be started behind them. */
  #unstarted: readonly Extent[] = [];

  constructor(parts: WriterParts, files: SegmentFiles, roll: Roll) {
    this.#environment = parts.environment;
    this.#settings = parts.settings;
    this.#counters = parts.counters;
    this.#failure = parts.failure;
    this.#stall = parts.stall;
    this.#watermarks = parts.watermarks;
    this.#chain = parts.chain;
    this.#arena = parts.arena;
    this.#clock = parts.clock;
    this.#isPipelined = parts.isPipelined;
    this.#pipeline = parts.pipeline;
    this.#allocator = parts.allocator;
    this.#reserve = parts.reserve;
    this.#files = files;
    this.#roll = roll;
    this.#router = CompletionRouter.for(parts.environment.io);
  }

  /** The largest number of groups in flight. */
  get maxInFlight(): number {
    const segment = this.#chain.current;
    const { io } = this.#environment;
    if (!this.#isPipelined || segment?.file === undefined) return 1;
    // The kernel serialises durable writes through the page cache anyway.
    return segment.file.direct || !io.capabilities.realFiles ? this.#settings.maxInFlight : 1;
  }

  /** Writes everything appended so far to the operating system. Not durable on return. */
  *flush(): IoRoutine<void> {
    yield* this.#failure.guarded(this.#writeAll(false));
  }

  /** Makes everything appended so far durable. */
  *sync(): IoRoutine<void> {
    yield* this.#failure.guarded(this.syncAll());
  }

  /**
   * Starts the writes that make everything appended so far durable: {@link untilDurable} waits for them.
   */
  *submit(): IoRoutine<void> {
    // Earlier writes that are not durable need a sync, which covers only writes that were completed before it.
    const alone = this.#isPipelined && this.#chain.current?.dirty !== true;
    yield* this.#failure.guarded(alone ? this.#startGroup(true) : this.syncAll());
  }

  /**
   * {@link submit} without a routine, in the common case: nothing has to be waited for before the write of what was
   * appended. Called while no other routine of the write queue runs.
   *
   * @returns whether it has done so; if not, nothing was changed
   */
  submitAtOnce(): boolean {
    const { current } = this.#chain;
    if (this.#failure.error !== undefined || this.#stall.error !== undefined || !this.#isPipelined) return false;
    if (current === undefined || !current.isBegun || current.dirty) return false;
    if (!this.#arena.isOnlyFor(current) || !this.#hasRoomInFlight) return false;
    try {
      const [extent] = this.#take();
      if (extent === undefined) return true;
      this.#startWrite(extent, true);
      this.#environment.io.flush();
      return true;
    } catch (error) {
      throw this.#failure.fail(error);
    }
  }

  /**
   * {@link untilDurable} without a routine.
   *
   * @param ended - called once, perhaps before this returns: with `undefined`, the failure of the log, or why it waits for
   * room
   */
  whenDurable(end: LogEnd, ended: (failure: unknown) => void): void {
    this.#pipeline.when(
      () => this.#watermarks.isDurable(end),
      (held) => ended(held ? undefined : this.#failure.reason()),
    );
  }

  /** Waits until everything up to a submitted end is durable. May run concurrently with other routines. */
  untilDurable(end: LogEnd): IoRoutine<void> {
    return this.#until(() => this.#watermarks.isDurable(end));
  }

  /** Waits for everything in flight, and writes what has found no room; nothing else that was appended. Not durable on return. */
  *settle(): IoRoutine<void> {
    yield* this.#failure.guarded(this.#settle());
  }

  /**
   * Waits for everything in flight, and discards everything appended and not yet submitted. A mark that has found no room waits on.
   *
   * @returns how many records
   */
  *discard(): IoRoutine<number> {
    const holdsMark = this.#stall.error !== undefined;
    yield* holdsMark ? this.#pipeline.ended() : this.#failure.guarded(this.#drained());
    const discarded = this.#watermarks.nextLsn - this.#watermarks.writtenLsn - 1;
    const { current } = this.#chain;
    this.#arena.discard();
    this.#chain.active = current;
    current?.discardUnwritten();
    this.#watermarks.nextLsn = this.#watermarks.writtenLsn + 1;
    return discarded;
  }

  /** {@link sync}, as a step of a routine whose failure is final. */
  *syncAll(): IoRoutine<void> {
    const lsn = this.#watermarks.nextLsn - 1;
    yield* this.#writeAll(true);
    const segment = this.#chain.current;
    const position = segment === undefined ? 0 : positionAt(segment.asWritten);
    if (segment?.dirty === true) yield* this.#files.datasync(segment);
    this.#watermarks.provenDurable(lsn, position);
  }

  /** Waits until a condition holds that depends on what is in flight. @throws the first failure */
  #until(holds: () => boolean): IoRoutine<void> {
    return this.#failure.unless(this.#pipeline.until(holds));
  }

  #drained(): IoRoutine<void> {
    return this.#until(() => this.#pipeline.isEmpty);
  }

  /** @param toSync - whether the writes are to become durable, as durable writes or by a sync after them */
  *#writeAll(toSync: boolean): IoRoutine<void> {
    yield* this.#startGroup(toSync);
    yield* this.#drained();
  }

  /** Starts writing everything encoded so far, and rolls where it continues in the next segment. */
  *#startGroup(toSync: boolean): IoRoutine<void> {
    if (this.#stall.error !== undefined) yield* this.#goOnWriting(toSync);
    if (!this.#hasRoomInFlight) yield* this.#roomInFlight();
    yield* this.#start(this.#take(), toSync);
  }

  *#start(extents: readonly Extent[], toSync: boolean): IoRoutine<void> {
    let started = 0;
    try {
      for (const extent of extents) {
        if (extent.segment !== this.#chain.current) yield* this.#roll.start(extent.segment);
        if (!this.#hasRoomInFlight) yield* this.#roomInFlight();
        if (!extent.segment.isBegun) yield* this.#begin(extent, toSync);
        this.#startWrite(extent, toSync);
        started++;
      }
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#failure.error !== undefined) throw error;
      // The rest of the group stays in memory.
      this.#unstarted = extents.slice(started);
      throw this.#stallFor(error, this.#hasRecords(this.#unstarted));
    }
    // Submitted at once, and not at the end of this turn of the event loop: the disk works while further records are
    // encoded.
    if (extents.length > 0) this.#environment.io.flush();
  }

  *#settle(): IoRoutine<void> {
    if (this.#stall.error !== undefined) yield* this.#goOnWriting(false);
    yield* this.#drained();
  }

  /**
   * Writes again what found no room, and then the rest of its groups. What only makes the log faster is given up for that.
   *
   * @throws why there is still none
   */
  *#goOnWriting(toSync: boolean): IoRoutine<void> {
    for (let isPreparedGone = false; ; isPreparedGone = true) {
      try {
        yield* this.#writeAgain(toSync);
        break;
      } catch (error) {
        if (error !== this.#stall.error || isPreparedGone || !(yield* this.#allocator.releasePrepared())) throw error;
        // The calls that make room need it more than records do.
        yield* this.#reserve.restore();
      }
    }
    this.#stall.end();
    this.#reserve.want();
  }

  *#writeAgain(toSync: boolean): IoRoutine<void> {
    do {
      this.#pipeline.unstall();
      yield* this.#writeHeld([...this.#held]);
      const unstarted = this.#unstarted;
      this.#unstarted = [];
      yield* this.#start(unstarted, toSync);
      // A write that was in flight may have found no room meanwhile.
    } while (this.#held.length > 0);
  }

  /**
   * Repeats writes that found no room, each as a whole. Where they were durable ones, a datasync makes them durable: a durable
   * write may consist of a write and a sync, and where it was the sync that found no room, this one fails as well, for good.
   */
  *#writeHeld(held: readonly HeldWrite[]): IoRoutine<void> {
    const { io } = this.#environment;
    for (const { extent } of held) {
      try {
        yield* ioSteps.write(io, fileOf(extent.segment), extent.bytes, extent.position);
      } catch (error) {
        if (!WalError.is(error, 'WAL_NO_SPACE') || this.#failure.error !== undefined) throw error;
        // What was appended since a mark found no room waits behind it.
        throw this.#stallFor(error, !this.#watermarks.isEverythingDurable);
      }
    }
    const toSync = held.filter(({ alone }) => alone).map(({ extent }) => fileOf(extent.segment));
    for (const file of new Set(toSync)) {
      yield* ioSteps.datasync(io, file);
      this.#counters.syncs++;
    }
    this.#held = this.#held.filter((each) => !held.includes(each));
    for (const { extent, item } of held) {
      this.#arena.release(extent);
      this.#pipeline.beginAgain();
      this.#pipeline.end(item, { value: undefined });
    }
  }

  /** Ends the group: what it consists of. */
  #take(): Extent[] {
    const extents = this.#arena.take();
    this.#clock.forget();
    // A mark alone does not count as a group.
    const taken = extents.at(-1)?.nextLsn ?? 0;
    if (taken > this.#watermarks.takenLsn) {
      this.#watermarks.takenLsn = taken;
      this.#counters.groups++;
    }
    return extents;
  }

  /** Called before the first write to a segment. */
  *#begin({ segment, position, bytes, nextLsn }: Extent, toSync: boolean): IoRoutine<void> {
    yield* this.#goOn(segment);
    segment.isBegun = true;
    // Not for a mark alone, and not for a flush, which waits for no disk.
    if (!toSync || nextLsn <= segment.nextWrittenLsn) return;
    yield* this.#allocator.prepareBeginning(segment, position, bytes.length);
  }

  /** Called before anything else is written to a segment that an earlier opening has closed. */
  *#goOn(segment: ActiveSegment): IoRoutine<void> {
    const { continuation } = segment;
    if (continuation === undefined) return;
    const file = fileOf(segment);
    this.#counters.bytesWritten += yield* writeOpenedMark(this.#environment, file, segment, continuation);
    try {
      // Apart from the write, which may find no room: a sync that fails is final, on a full disk as well.
      yield* ioSteps.datasync(this.#environment.io, file);
    } catch (error) {
      throw this.#failure.fail(error);
    }
    this.#counters.marks++;
    this.#counters.syncs++;
  }

  /** Starts a write, and prepares the next segment. */
  #startWrite(extent: Extent, toSync: boolean): void {
    const { segment, position, bytes } = extent;
    // A durable write does not make earlier writes durable that were not: then a sync is needed.
    const alone = toSync && !segment.dirty && this.#environment.io.capabilities.durableWrites;
    if (!alone) segment.dirty = true;
    this.#writeExtent(extent, alone);
    // A flush waits for no disk: writing zeros would only take the disk's time. And until the current segment is named, its
    // own file is `next.seg`.
    if (toSync && segment === this.#chain.named) {
      this.#allocator.prepareAhead(segment, position + bytes.length, bytes.length);
      // Not for a mark alone.
      if (this.#reserve.isDue && extent.nextLsn > segment.nextWrittenLsn) this.#reserve.make();
    }
  }

  get #hasRoomInFlight(): boolean {
    return this.#pipeline.running < this.maxInFlight;
  }

  #roomInFlight(): IoRoutine<void> {
    return this.#until(() => this.#hasRoomInFlight);
  }

  #writeExtent(extent: Extent, alone: boolean): void {
    const { segment, bytes, position, from, to } = extent;
    const file = fileOf(segment);
    sealFrames(bytes, from, to, position + from, segment.header.blockBytes, segment.seed);
    const item = this.#pipeline.begin(() => this.#onWritten(extent, alone));
    const ended = (outcome: Outcome<void>): void => {
      if (!('error' in outcome)) {
        if (alone) this.#counters.syncs++;
        this.#arena.release(extent);
      } else if (WalError.is(outcome.error, 'WAL_NO_SPACE') && this.#failure.error === undefined) {
        this.#hold({ extent, item, alone }, outcome.error);
        return;
      }
      this.#pipeline.end(item, outcome);
    };
    ioSteps.startWrite(this.#router, file, bytes, position, alone ? DURABLE : undefined, ended);
  }

  /** Keeps a write that found no room. */
  #hold(write: HeldWrite, error: WalError): void {
    this.#held.push(write);
    this.#stallFor(error, this.#hasRecords([write.extent]), write.item);
  }

  /**
   * Has the log wait for room, and ends what waits for anything in flight. The reason is there first: what is ended without one
   * would count as durable.
   *
   * @param holdsRecords - whether records are among what waits, and not only a mark
   * @param item - the write that found none; without one, nothing was in flight
   * @returns the error that calls reject with
   */
  #stallFor(error: WalError, holdsRecords: boolean, item?: Item): WalError {
    const reason = this.#stall.begin(error, holdsRecords);
    this.#pipeline.stall(item);
    return reason;
  }

  /** Whether there are records in extents, and not only a mark: that is written when everything before it is durable. */
  #hasRecords(extents: readonly Extent[]): boolean {
    return extents.some(({ nextLsn }) => nextLsn - 1 > this.#watermarks.durableLsn);
  }

  /**
   * Called in order when an extent and everything before it was written.
   *
   * @param alone - whether the write was a durable one
   */
  #onWritten({ segment, bytes, position, to, nextLsn }: Extent, alone: boolean): void {
    segment.written(position + to, nextLsn);
    this.#counters.bytesWritten += bytes.length;
    this.#watermarks.writtenLsn = nextLsn - 1;
    if (alone) this.#watermarks.provenDurable(nextLsn - 1, positionAt(segment.asWritten));
  }
}

import type { KeyRing, Lsn, WalError } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import { CompletionRouter, type IoRoutine } from '@walstack/storage-io';
import { Arena } from '../append/arena.js';
import { CoarseClock } from '../append/coarse-clock.js';
import { RecordEncoder } from '../append/record-encoder.js';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { DirectorySync } from '../segments/directory-sync.js';
import type { ChainLink } from '../segments/segment.js';
import { writesSideBySide } from '../segments/segment-file.js';
import type { SegmentList, Segments } from '../segments/segment-list.js';
import { DiskReserve } from './allocation/disk-reserve.js';
import { SegmentAllocator } from './allocation/segment-allocator.js';
import { SegmentFiles } from './allocation/segment-files.js';
import { SegmentRemoval, type TruncateResult } from './allocation/segment-removal.js';
import { makeRoom } from './allocation/with-room.js';
import { DurableGroupWriter } from './durable-group-writer.js';
import { FinalFailure } from './final-failure.js';
import type { LogStart } from './log-start.js';
import { MarkWriter } from './mark-writer.js';
import { Pipeline } from './pipeline.js';
import { Restart } from './restart.js';
import { Roll } from './roll.js';
import { SegmentChain } from './segment-chain.js';
import { Stall } from './stall.js';
import { type LogEnd, Watermarks } from './watermarks.js';
import type { WriterCounters, WriterParts } from './writer-parts.js';

/**
 * Writes the one active segment of a log, by its parts: {@link RecordEncoder} encodes records into memory,
 * {@link DurableGroupWriter} writes them in groups and makes them durable, {@link Roll} goes from segment to segment.
 *
 * The encoder only encodes. The routines do the I/O; they must not run concurrently, so the caller runs them in the write
 * queue. If the backend can have several durable writes in flight, several groups are in flight: {@link submit} starts one
 * and does not wait for it. A roll is then in flight as well: groups are written into the next segment while the old one is
 * sealed and the new one is named, and are acknowledged when that is done.
 *
 * After the first failure nothing is accepted any more: only recovery can find out what the disk holds.
 */
export class SegmentWriter {
  readonly counters: WriterCounters = {
    records: 0,
    groups: 0,
    syncs: 0,
    marks: 0,
    rolls: 0,
    recycled: 0,
    bytesWritten: 0,
  };
  readonly encoder: RecordEncoder;
  readonly allocator: SegmentAllocator;
  /** Removes the files of segments that are not part of the log any more. */
  readonly removal: SegmentRemoval;
  readonly reserve: DiskReserve;
  /** Syncs the log's directory. */
  readonly directorySync: DirectorySync;
  readonly #failure: FinalFailure;
  readonly #stall = new Stall();
  readonly #watermarks: Watermarks;
  readonly #chain: SegmentChain;
  readonly #arena: Arena;
  readonly #pipeline: Pipeline;
  /** Prepares the next segment, for which normally nothing waits. */
  readonly #background: Pipeline;
  readonly #files: SegmentFiles;
  readonly #groups: DurableGroupWriter;
  readonly #marks: MarkWriter;
  readonly #roll: Roll;
  readonly #restart: Restart;
  #discarded = 0;

  /**
   * @param onRoll - called when a segment was sealed and the name of the next one is durable
   * @param onRemoved - called with the result when files of segments were removed
   * @param throwUnlessWritable - throws when the log accepts no records now: it is closed, or being cut
   */
  constructor(
    environment: Environment,
    settings: Settings,
    start: LogStart,
    onRoll: () => void,
    onRemoved: (result: TruncateResult) => void,
    throwUnlessWritable: () => void,
  ) {
    const isPipelined = writesSideBySide(environment.io);
    const failure = new FinalFailure(settings, this.#stall, () => {
      this.#pipeline.stop();
      this.#background.stop();
    });
    this.#failure = failure;
    const router = CompletionRouter.for(environment.io);
    this.#pipeline = new Pipeline(router, failure.fail);
    this.#background = new Pipeline(router, failure.fail);
    this.#watermarks = new Watermarks(failure, start.nextLsn, start.durableLsn);
    this.#chain = new SegmentChain(environment, settings, start, this.#watermarks, (segment, end) =>
      this.allocator.isLeftAt(segment, end),
    );
    this.#watermarks.durablePosition = this.#chain.position;
    this.#arena = new Arena(environment.io, settings.segmentBytes, settings.padGroups, isPipelined);
    this.directorySync = new DirectorySync(environment, settings.directory, failure.fail);
    this.allocator = new SegmentAllocator(
      environment,
      settings,
      this.directorySync,
      this.#background,
      () => failure.error,
      this.#stall,
      start.free,
      // A segment that the log goes on in may still get writes of a killed process, as all older ones.
      start.active?.continuation === undefined ? (start.active?.header.number ?? start.nextNumber) : start.nextNumber,
    );
    this.removal = new SegmentRemoval(environment.io, this.allocator, this.directorySync, onRemoved);
    this.reserve = new DiskReserve(environment, settings, this.#background, start.reservedBytes ?? 0);
    const parts: WriterParts = {
      environment,
      settings,
      counters: this.counters,
      failure,
      stall: this.#stall,
      watermarks: this.#watermarks,
      chain: this.#chain,
      arena: this.#arena,
      clock: new CoarseClock(environment.now),
      isPipelined,
      pipeline: this.#pipeline,
      allocator: this.allocator,
      removal: this.removal,
      reserve: this.reserve,
      directorySync: this.directorySync,
      throwUnlessWritable,
    };
    this.encoder = new RecordEncoder(parts);
    this.#files = new SegmentFiles(parts);
    this.#roll = new Roll(parts, this.#files, () => {
      this.reserve.want();
      onRoll();
    });
    this.#groups = new DurableGroupWriter(parts, this.#files, this.#roll);
    this.#marks = new MarkWriter(parts, this.#groups);
    this.#restart = new Restart(parts, this.#files);
  }

  get nextLsn(): Lsn {
    return this.#watermarks.nextLsn;
  }

  /** The LSN behind the last record that was handed to the backend. */
  get takenLsn(): Lsn {
    return this.#watermarks.takenLsn;
  }

  get writtenLsn(): Lsn {
    return this.#watermarks.writtenLsn;
  }

  get durableLsn(): Lsn {
    return this.#watermarks.durableLsn;
  }

  /** Position of the next frame in the log: behind everything encoded, padding included. */
  get position(): number {
    return this.#chain.position;
  }

  get durablePosition(): number {
    return this.#watermarks.durablePosition;
  }

  /** The highest LSN that a restart has dropped: records up to it that are not in the log any more had been durable. */
  get droppedLsn(): Lsn {
    return this.#watermarks.droppedLsn;
  }

  /** The present end of the log. */
  get appended(): LogEnd {
    return this.#watermarks.appended;
  }

  /** Whether everything up to an end is durable, or was before it was cut off. */
  isDurable(end: LogEnd): boolean {
    return this.#watermarks.isDurable(end);
  }

  /** Whether the last thing written is a mark, or nothing was written yet. */
  get endsWithMark(): boolean {
    return this.#watermarks.endsWithMark;
  }

  get pendingBytes(): number {
    return this.#arena.pendingBytes;
  }

  /** The number of records that {@link close} has discarded. */
  get discarded(): number {
    return this.#discarded;
  }

  /** The largest number of groups in flight. */
  get maxInFlight(): number {
    return this.#groups.maxInFlight;
  }

  /** Whether the current segment is written with direct I/O. */
  get directIo(): boolean {
    return this.#chain.current?.file?.direct ?? false;
  }

  /** The first failure; then nothing is accepted any more. */
  get failure(): WalError | undefined {
    return this.#failure.error;
  }

  /** Why appended records wait for room on the disk; `undefined` while none do. No failure: they are in memory. */
  get noSpace(): WalError | undefined {
    return this.#failure.error === undefined ? this.#stall.error : undefined;
  }

  /** Whether records are among what {@link noSpace} is about, and not only a mark. */
  get recordsWait(): boolean {
    return this.noSpace !== undefined && this.#stall.holdsRecords;
  }

  /** Sealed segments of the chain, from the oldest to the newest. */
  get sealed(): SegmentList {
    return this.#chain.sealed;
  }

  /** The newest named segment as far as it was written; `undefined` when there is none yet. */
  get active(): Segment | undefined {
    return this.#chain.newest;
  }

  /**
   * The segment that records are encoded into, perhaps still without a file; `undefined` when the next append plans
   * one.
   */
  get planned(): Segment | undefined {
    return this.#chain.active;
  }

  /** All segments as far as they were written, from the oldest to the newest. */
  get segments(): readonly Segment[] {
    return this.#chain.toArray();
  }

  /** The same segments as a view, without copying an array. */
  get chain(): Segments {
    return this.#chain.view;
  }

  get coreId(): number | undefined {
    return this.#chain.coreId;
  }

  /** 16 bytes, as in every segment of the log. */
  get logId(): Uint8Array {
    return this.#chain.logId;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get keyRing(): KeyRing | undefined {
    return this.#chain.keyRing;
  }

  /**
   * The LSN from which on the log is encrypted: records before it may be plaintext. `undefined` while it is not known.
   */
  get encryptedFrom(): Lsn | undefined {
    return this.#chain.encryptedFrom;
  }

  /** The first LSN in the log; the next one when there is no record. */
  get firstLsn(): Lsn {
    return this.#chain.firstLsn;
  }

  /** First LSN of the segment that the next record is encoded into, unless that record rolls. */
  get activeFirstLsn(): Lsn {
    return this.#chain.active?.header.firstLsn ?? this.nextLsn;
  }

  /**
   * Encrypts from now on with the current key of a ring. Called before the first append: an empty segment is replaced.
   *
   * @param encryptedFrom - the LSN from which on the log is encrypted; used if that was not known yet
   */
  useKeyRing(ring: KeyRing, encryptedFrom: Lsn | undefined): void {
    this.#chain.useKeyRing(ring, encryptedFrom);
  }

  /** Records a final failure: from now on nothing is accepted. @returns the first failure */
  fail(error: unknown): WalError {
    return this.#failure.fail(error);
  }

  /** @throws an error with the code of the first failure */
  throwIfFailed(): void {
    this.#failure.throwIfFailed();
  }

  /** {@link DurableGroupWriter.flush} */
  flush(): IoRoutine<void> {
    return this.#groups.flush();
  }

  /** {@link DurableGroupWriter.sync} */
  sync(): IoRoutine<void> {
    return this.#groups.sync();
  }

  /** {@link DurableGroupWriter.submit} */
  submit(): IoRoutine<void> {
    return this.#groups.submit();
  }

  /** {@link DurableGroupWriter.submitAtOnce} */
  submitAtOnce(): boolean {
    return this.#groups.submitAtOnce();
  }

  /** {@link DurableGroupWriter.whenDurable} */
  whenDurable(end: LogEnd, ended: (failure: unknown) => void): void {
    this.#groups.whenDurable(end, ended);
  }

  /** {@link DurableGroupWriter.untilDurable} */
  untilDurable(end: LogEnd): IoRoutine<void> {
    return this.#groups.untilDurable(end);
  }

  /** {@link MarkWriter.mark} */
  mark(type: number): IoRoutine<void> {
    return this.#marks.mark(type);
  }

  /** {@link sync}, for a call that ends something: a mark that has found no room takes some of the reserve, and records take none. */
  syncWithReserve(): IoRoutine<void> {
    return this.#writeWithReserve(
      () => this.sync(),
      () => this.#watermarks.isEverythingDurable,
    );
  }

  /** {@link Roll.begin} */
  begin(): IoRoutine<void> {
    return this.#roll.begin();
  }

  /** {@link Roll.now} */
  roll(): IoRoutine<void> {
    return this.#roll.now(() => this.syncWithReserve());
  }

  /** Rolls to a new segment, which is encrypted with the current key, unless there is no segment yet. */
  rotate(): IoRoutine<void> {
    return this.#chain.active === undefined ? this.sync() : this.roll();
  }

  /** {@link Restart.at} */
  restartAt(
    firstLsn: Lsn,
    from: ChainLink,
    kept: readonly Segment[],
    note: () => IoRoutine<void>,
  ): IoRoutine<readonly Segment[]> {
    return this.#restart.at(firstLsn, from, kept, note);
  }

  /** Takes the sealed segments below a number out of the chain. @returns these segments, whose files can be removed */
  detachBelow(belowNumber: number): readonly Segment[] {
    return this.#chain.sealed.dropBelow(belowNumber);
  }

  /**
   * Makes everything durable, writes the mark of a clean close, and closes the file.
   *
   * @param discard - discard everything appended and not yet submitted
   */
  *close(markType: number, discard: boolean): IoRoutine<void> {
    try {
      if (discard) {
        // What was handed to the operating system is not discarded.
        yield* this.leavingOutMarks(
          this.#writeWithReserve(() => this.#groups.settle()),
          discard,
        );
        this.#discarded = yield* this.#groups.discard();
      }
      const sync = () => this.leavingOutMarks(this.#writeWithReserve(() => this.sync()));
      yield* sync();
      yield* this.leavingOutMarks(this.mark(markType));
      if (this.noSpace !== undefined) yield* sync();
      const segment = this.#chain.current;
      if (segment?.file !== undefined) yield* this.#failure.guarded(this.#files.trimPreallocation(segment));
    } catch (error) {
      // There will be no later attempt.
      throw error === this.noSpace ? this.#failure.fail(error) : error;
    } finally {
      yield* this.releaseFiles();
    }
  }

  /**
   * Runs what may find no room for a mark. Where nothing else waits for some, the mark does not matter: everything is durable.
   *
   * @param discard - whether what was not handed to the backend is discarded next. Default `false`.
   */
  *leavingOutMarks(write: IoRoutine<void>, discard = false): IoRoutine<void> {
    try {
      yield* write;
    } catch (error) {
      const { isEverythingTakenDurable, isEverythingDurable } = this.#watermarks;
      if (error !== this.noSpace || !(discard ? isEverythingTakenDurable : isEverythingDurable)) throw error;
    }
  }

  /**
   * Writes what has found no room with the reserve.
   *
   * @param mayTake - whether it may take that. Default: yes, as nothing needs it behind the last records, unless the disk has no room for
   * the mark either
   */
  *#writeWithReserve(write: () => IoRoutine<void>, mayTake = () => true): IoRoutine<void> {
    for (;;) {
      try {
        yield* write();
        return;
      } catch (error) {
        if (this.noSpace === undefined || error !== this.noSpace || !mayTake() || !(yield* makeRoom(this))) throw error;
      }
    }
  }

  /** Waits for everything in flight, even if it fails, and closes the files as they are. */
  *releaseFiles(): IoRoutine<void> {
    yield* this.#pipeline.ended();
    yield* this.#background.ended();
    yield* this.allocator.close();
    this.#files.close(this.#chain.named);
    this.#files.close(this.#chain.current);
  }
}

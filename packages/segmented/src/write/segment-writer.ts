import {
  blockEnd,
  type Checkpoint,
  CodecNumber,
  ENCRYPTION_TAG_BYTES,
  FRAME_HEADER_BYTES,
  frameStart,
  type KeyRing,
  type Lsn,
  MARK_FRAME_BYTES,
  MarkType,
  RecordFlag,
  recordFrameBytes,
  SCOPE_BYTES,
  type SegmentCipher,
  sealFrames,
  WalError,
  writeMark,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import { invalidMemory, lengthOf } from '@walstack/codec/internal';
import type { Segment } from '@walstack/mmap-reader/internal';
import { CompletionRouter, type IoRoutine, ioSteps } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import { announce, announceFailure, writerChannels } from '../diagnostics.js';
import { createdAt, type Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { ActiveSegment } from '../segments/active-segment.js';
import { DirectorySync } from '../segments/directory-sync.js';
import { currentKeyOf, statementOf } from '../segments/keys.js';
import { closingOnFailure } from '../segments/new-segment.js';
import { BEGINNING, type ChainLink, headerOf, isEmpty, linkBehind, metaOf, positionAt } from '../segments/segment.js';
import { cutToSize, discardNextSegment, nameNextSegment, writesSideBySide } from '../segments/segment-file.js';
import { SegmentList, type Segments } from '../segments/segment-list.js';
import { Arena, type Extent } from './arena.js';
import { BlockPreallocator, isRangeIdle } from './block-preallocator.js';
import { CoarseClock } from './coarse-clock.js';
import { Pipeline } from './pipeline.js';
import { compressed, type RecordBody } from './record-body.js';
import { SegmentAllocator } from './segment-allocator.js';

/** The state of the log that a writer starts with: as recovery left it, or new. */
export interface LogStart {
  readonly logId: Uint8Array;
  /** `undefined` in a log that belongs to no core. */
  readonly coreId: number | undefined;
  /** Sealed segments of the chain, from the oldest to the newest. */
  readonly sealed: readonly Segment[];
  /** An empty segment whose name is durable; `undefined` when the next append plans one. */
  readonly active: ActiveSegment | undefined;
  readonly nextLsn: Lsn;
  /** Everything up to it survives a crash. Default: every record. */
  readonly durableLsn?: Lsn;
  /** The number of the next segment. */
  readonly nextNumber: number;
  readonly checkpoint: Checkpoint | undefined;
  /** Whether the checkpoint is known to be durable. Default `true`. */
  readonly checkpointIsDurable?: boolean;
  /** Names of the free segment files. */
  readonly free: readonly string[];
  /** The LSN from which on the log is encrypted; `undefined` while it is not known, as there is no ring. */
  readonly encryptedFrom?: Lsn | undefined;
}

/** An end of the log, at some moment. */
export interface LogEnd {
  readonly lastLsn: Lsn;
  /** How often the log had been restarted at another LSN than the next one. */
  readonly generation: number;
}

/** Counters of a writer since it was created. */
export interface WriterCounters {
  records: number;
  groups: number;
  syncs: number;
  marks: number;
  rolls: number;
  recycled: number;
  bytesWritten: number;
}

/**
 * Writes the one active segment of a log: encodes records into memory, writes them in groups, makes them durable, and
 * rolls from segment to segment.
 *
 * `append` only encodes. The routines do the I/O; they must not run concurrently, so the caller runs them in the write
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
  readonly #environment: Environment;
  readonly #clock: CoarseClock;
  readonly #settings: Settings;
  readonly #logId: Uint8Array;
  readonly #coreId: number | undefined;
  /** Whether every write is a durable one, with others in flight. */
  readonly #pipelined: boolean;
  readonly #pipeline: Pipeline;
  /** Runs preallocation, which normally nothing waits for. */
  readonly #background: Pipeline;
  readonly #preallocator: BlockPreallocator;
  readonly allocator: SegmentAllocator;
  /** Syncs the log's directory. */
  readonly directorySync: DirectorySync;
  readonly #onRoll: () => void;
  readonly #arena: Arena;
  readonly #sealed: SegmentList;
  /** The segment that records are encoded into; it may still be a plan without a file. */
  #active: ActiveSegment | undefined;
  /** The segment whose file is written to: the active one, or one before it. */
  #current: ActiveSegment | undefined;
  /** The newest segment whose name is durable: the current one, or the one before it during a roll. */
  #named: ActiveSegment | undefined;
  #nextLsn: Lsn;
  /** Everything up to this LSN was handed to the operating system. */
  #writtenLsn: Lsn;
  /** Everything up to this LSN survives a crash. Never inside a batch. */
  #durableLsn: Lsn;
  /** Every byte of the log before this position survives a crash. */
  #durablePosition: number;
  #nextNumber: number;
  #generation = 0;
  /** The highest LSN that a restart has dropped: it was durable before. */
  #droppedLsn: Lsn = 0;
  /** The LSN behind the last record of the last group. */
  #takenLsn: Lsn;
  #keyRing: KeyRing | undefined;
  #encryptedFrom: Lsn | undefined;
  #endsWithMark = true;
  #failure: WalError | undefined;

  /** @param onRoll - called when a segment was sealed and the name of the next one is durable */
  constructor(environment: Environment, settings: Settings, start: LogStart, onRoll: () => void) {
    this.#environment = environment;
    this.#clock = new CoarseClock(environment.now);
    this.#settings = settings;
    this.#onRoll = onRoll;
    this.#logId = start.logId;
    this.#coreId = start.coreId;
    this.#pipelined = writesSideBySide(environment.io);
    const router = CompletionRouter.for(environment.io);
    const fail = (error: unknown): WalError => this.fail(error);
    this.#pipeline = new Pipeline(router, fail);
    this.#background = new Pipeline(router, fail);
    this.#preallocator = new BlockPreallocator(environment, settings, this.#background);
    this.directorySync = new DirectorySync(environment, settings.directory, fail);
    const failure = () => this.#failure;
    const firstOwn = start.active?.header.number ?? start.nextNumber;
    this.allocator = new SegmentAllocator(
      environment,
      settings,
      this.directorySync,
      this.#background,
      failure,
      start.free,
      firstOwn,
    );
    this.#arena = new Arena(environment.io, settings.segmentBytes, settings.padGroups || this.#pipelined);
    this.#sealed = new SegmentList(start.sealed);
    this.#active = start.active;
    this.#current = start.active;
    this.#named = start.active;
    this.#nextLsn = start.nextLsn;
    this.#takenLsn = start.nextLsn;
    this.#writtenLsn = start.nextLsn - 1;
    this.#durableLsn = start.durableLsn ?? start.nextLsn - 1;
    this.#durablePosition = this.position;
    this.#nextNumber = start.nextNumber;
    this.#keyRing = settings.keyRing;
    this.#encryptedFrom = start.encryptedFrom;
  }

  get nextLsn(): Lsn {
    return this.#nextLsn;
  }

  get writtenLsn(): Lsn {
    return this.#writtenLsn;
  }

  get durableLsn(): Lsn {
    return this.#durableLsn;
  }

  /** Position of the next frame in the log: behind everything encoded, padding included. */
  get position(): number {
    if (this.#active !== undefined) return positionAt(this.#active);
    const { last } = this.#sealed;
    return last === undefined ? 0 : linkBehind(last).firstPosition;
  }

  get durablePosition(): number {
    return this.#durablePosition;
  }

  get pendingBytes(): number {
    return this.#arena.pendingBytes;
  }

  /** The largest number of groups in flight. */
  get maxInFlight(): number {
    const segment = this.#current;
    const { io } = this.#environment;
    if (!this.#pipelined || segment?.file === undefined) return 1;
    // The kernel serialises durable writes through the page cache anyway.
    return segment.file.direct || !io.capabilities.realFiles ? this.#settings.maxInFlight : 1;
  }

  /** Whether the current segment is written with direct I/O. */
  get directIo(): boolean {
    return this.#current?.file?.direct ?? false;
  }

  /** The first failure; then nothing is accepted any more. */
  get failure(): WalError | undefined {
    return this.#failure;
  }

  /** Sealed segments of the chain, from the oldest to the newest. */
  get sealed(): SegmentList {
    return this.#sealed;
  }

  /** The newest named segment as far as it was written; `undefined` when there is none yet. */
  get active(): Segment | undefined {
    return this.#named?.asWritten;
  }

  /**
   * The segment that records are encoded into, perhaps still without a file; `undefined` when the next append plans
   * one.
   */
  get planned(): Segment | undefined {
    return this.#active;
  }

  /** All segments as far as they were written, from the oldest to the newest. */
  get segments(): readonly Segment[] {
    const { active } = this;
    const segments = this.#sealed.toArray();
    if (active !== undefined) segments.push(active);
    return segments;
  }

  /** The same segments as a view, without copying an array. */
  get chain(): Segments {
    return this.#sealed.viewFrom(0, this.active);
  }

  get coreId(): number | undefined {
    return this.#coreId;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get keyRing(): KeyRing | undefined {
    return this.#keyRing;
  }

  /**
   * The LSN from which on the log is encrypted: records before it may be plaintext. `undefined` while it is not known.
   */
  get encryptedFrom(): Lsn | undefined {
    return this.#encryptedFrom;
  }

  /**
   * Encrypts from now on with the current key of a ring. Called before the first append: an empty segment is replaced.
   *
   * @param encryptedFrom - the LSN from which on the log is encrypted; used if that was not known yet
   */
  useKeyRing(ring: KeyRing, encryptedFrom: Lsn | undefined): void {
    this.#keyRing = ring;
    this.#encryptedFrom ??= encryptedFrom;
  }

  /** Whether the last thing written is a mark, or nothing was written yet. */
  get endsWithMark(): boolean {
    return this.#endsWithMark;
  }

  /** The first LSN in the log; the next one when there is no record. */
  get firstLsn(): Lsn {
    return (this.#sealed.first ?? this.#named)?.header.firstLsn ?? this.#nextLsn;
  }

  /** First LSN of the segment that the next record is encoded into, unless that record rolls. */
  get activeFirstLsn(): Lsn {
    return this.#active?.header.firstLsn ?? this.#nextLsn;
  }

  /**
   * Encodes a record. Neither written nor durable on return. If it throws, nothing was appended.
   *
   * @returns its LSN
   */
  append(given: RecordBody): Lsn {
    const lsn = this.#nextLsn;
    const generation = this.#generation;
    if (lsn === Number.MAX_SAFE_INTEGER) throw usedUp();
    const { compressor } = this.#settings;
    const body = compressor === undefined ? given : compressed(given, compressor);
    const frameBytes = this.#frameBytesOf(body);
    // The clock and the random bytes of a new segment may be the application's functions, which may detach the record's
    // memory.
    const isClockRead = this.#clock.isRead;
    const now = this.#clock.read();
    const segment = this.#segmentFor(frameBytes, now);
    this.#requireNext(lsn, generation);
    const elapsedMs = now - segment.header.createdAtMs;
    this.#encode(segment, body, frameBytes, 0, elapsedMs, isClockRead && segment === this.#active);
    this.#active = segment;
    return lsn;
  }

  /**
   * Encodes the records of a batch into one segment and one chunk, which is written as a whole. So the durable LSN, which
   * moves from write to write, is never inside a batch. Neither written nor durable on return.
   *
   * @param given - at least one
   * @returns the LSN of the last one
   */
  appendBatch(given: readonly RecordBody[]): Lsn {
    const lsn = this.#nextLsn;
    const generation = this.#generation;
    const lastLsn = lsn + given.length - 1;
    if (lastLsn >= Number.MAX_SAFE_INTEGER) throw usedUp();
    const { compressor } = this.#settings;
    const bodies = compressor === undefined ? given : given.map((body) => compressed(body, compressor));
    const bytes = this.#runBytesMost(bodies);
    const now = this.#clock.read();
    const segment = this.#segmentFor(bytes, now);
    this.#requireNext(lsn, generation);
    const elapsedMs = now - segment.header.createdAtMs;
    this.#arena.makeRoom(segment, bytes);
    this.#active = segment;
    try {
      for (const body of bodies) {
        const flags = this.#nextLsn === lastLsn ? 0 : RecordFlag.batchContinues;
        this.#encode(segment, body, this.#frameBytesOf(body), flags, elapsedMs, true);
      }
    } catch (error) {
      // Not expected, as a batch owns copies of its bytes. But the records encoded so far must not remain without the
      // rest.
      throw this.fail(error);
    }
    return lastLsn;
  }

  /** Writes everything appended so far to the operating system. Not durable on return. */
  *flush(): IoRoutine<void> {
    yield* this.#guarded(this.#writeAll(false));
  }

  /** Makes everything appended so far durable. */
  *sync(): IoRoutine<void> {
    yield* this.#guarded(this.#syncAll());
  }

  /**
   * Starts the writes that make everything appended so far durable: {@link untilDurable} waits for them.
   */
  *submit(): IoRoutine<void> {
    // Earlier writes that are not durable need a sync, which covers only writes that were completed before it.
    const alone = this.#pipelined && this.#current?.dirty !== true;
    yield* this.#guarded(alone ? this.#startGroup(true) : this.#syncAll());
  }

  /** The highest LSN that a restart has dropped: records up to it that are not in the log any more had been durable. */
  get droppedLsn(): Lsn {
    return this.#droppedLsn;
  }

  /** The present end of the log. */
  get appended(): LogEnd {
    return { lastLsn: this.#nextLsn - 1, generation: this.#generation };
  }

  /** Whether everything up to an end is durable, or was durable before a restart dropped it. */
  isDurable({ lastLsn, generation }: LogEnd): boolean {
    return generation !== this.#generation || this.#durableLsn >= lastLsn;
  }

  /** Waits until everything up to a submitted end is durable. May run concurrently with other routines. */
  *untilDurable(end: LogEnd): IoRoutine<void> {
    yield* this.#until(() => this.isDurable(end));
  }

  /**
   * Writes a mark and makes it durable, if everything appended is durable already; else it does nothing.
   *
   * @param type - one of `MarkType`
   */
  *mark(type: number): IoRoutine<void> {
    yield* this.#guarded(this.#writeMark(type));
  }

  /**
   * Makes everything durable and creates a new segment, unless the newest one has no record.
   *
   * @throws `WAL_NO_SPACE` when the disk is full: not a final failure unless something was appended meanwhile
   */
  *roll(): IoRoutine<void> {
    const before = this.#active;
    const last = before ?? this.#sealed.last;
    if (last !== undefined && isEmpty(last)) {
      yield* this.sync();
      return;
    }
    // Planned before anything waits: records appended meanwhile are encoded into the new segment.
    const next = this.#plan();
    this.#active = next;
    yield* this.sync();
    // Records appended during the sync were written with it, and have carried out this roll already, or further ones.
    if (this.#named !== undefined && this.#named.header.number >= next.header.number) return;
    try {
      yield* this.#makeFile(next);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#active !== next || !isEmpty(next)) throw this.fail(error);
      this.#active = before;
      throw error;
    }
    const old = this.#current;
    // Set first: if the log has failed meanwhile, this file is closed with the log.
    this.#current = next;
    try {
      yield* this.#guarded(this.#seal(old, next));
      yield* this.#nameOrRefuse(next);
    } catch (error) {
      if (this.#failure === undefined) this.#goBackTo(old, before, next, error);
      throw error;
    }
    this.#activate(next);
  }

  /** There was no room for the name of a segment: what was appended for it has no place any more, and else nothing has changed. */
  #goBackTo(
    old: ActiveSegment | undefined,
    before: ActiveSegment | undefined,
    next: ActiveSegment,
    error: unknown,
  ): void {
    if (this.#active !== next || !isEmpty(next)) {
      this.fail(error);
      return;
    }
    this.#closeFileOf(next);
    this.#current = old;
    this.#active = before;
  }

  /**
   * Creates a segment for the next record, if there is none.
   *
   * @throws `WAL_NO_SPACE` when the disk is full: not a final failure, as nothing was lost
   */
  *begin(): IoRoutine<void> {
    this.throwIfFailed();
    if (this.#active !== undefined) return;
    const next = this.#plan();
    yield* this.#makeFile(next);
    yield* closingOnFailure(this.#environment, next, this.#nameFirst(next));
    this.#activate(next);
    this.#active = next;
  }

  /**
   * Continues the log in a new segment with another LSN. Called when everything appended is durable; nothing may be
   * appended until it is done.
   *
   * @param from - the chain link of the new segment
   * @param kept - the segments that remain in the log, from the oldest to the newest
   * @param note - writes what has to be durable before the new segment is named; runs once its file is allocated
   * @returns the segments that are not part of the log any more
   * @throws `WAL_NO_SPACE` when the disk has no room for the new segment or its name, and errors of `note`: then the log is
   * unchanged; `WAL_STATE` when something is pending
   */
  *restartAt(
    firstLsn: Lsn,
    from: ChainLink,
    kept: readonly Segment[],
    note: () => IoRoutine<void>,
  ): IoRoutine<readonly Segment[]> {
    this.throwIfFailed();
    if (!this.#isSettled) throw pending(this.#settings.directory);
    const next = this.#planned(firstLsn, from, kept);
    try {
      yield* this.#makeFile(next);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : this.fail(error);
    }
    yield* closingOnFailure(this.#environment, next, this.#nameInstead(next, note));
    const keptNumbers = new Set(kept.map(({ header }) => header.number));
    const before: Segment[] = this.#sealed.toArray();
    if (this.#current !== undefined) before.push(this.#current);
    const superseded = before.filter(({ header }) => !keptNumbers.has(header.number));
    this.#closeFileOf(this.#current);
    this.#sealed.replace(kept);
    this.#active = next;
    this.#current = next;
    this.#named = next;
    this.#generation++;
    this.#droppedLsn = Math.max(this.#droppedLsn, this.#nextLsn - 1);
    this.#nextLsn = firstLsn;
    this.#takenLsn = firstLsn;
    if (this.#encryptedFrom !== undefined) this.#encryptedFrom = Math.min(this.#encryptedFrom, firstLsn);
    this.#writtenLsn = firstLsn - 1;
    this.#durableLsn = firstLsn - 1;
    this.#durablePosition = this.position;
    this.#endsWithMark = true;
    return superseded;
  }

  /** Names a segment that supersedes the ones which the log continues without. */
  *#nameInstead(next: ActiveSegment, note: () => IoRoutine<void>): IoRoutine<void> {
    try {
      yield* note();
    } catch (error) {
      yield* this.#discardFile(next);
      throw error;
    }
    if (this.#current !== undefined) yield* this.#guarded(this.#trimPreallocation(this.#current));
    yield* this.#nameOrRefuse(next);
    // Records appended meanwhile would be written into the superseded segment, and the log would continue there.
    if (!this.#isSettled) throw this.fail(pending(this.#settings.directory));
  }

  /** Rolls to a new segment, which is encrypted with the current key, unless there is no segment yet. */
  *rotate(): IoRoutine<void> {
    if (this.#active === undefined) yield* this.sync();
    else yield* this.roll();
  }

  /** Takes the sealed segments below a number out of the chain. @returns these segments, whose files can be removed */
  detachBelow(belowNumber: number): readonly Segment[] {
    return this.#sealed.dropBelow(belowNumber);
  }

  /** Waits for everything in flight, and discards everything appended and not yet submitted. */
  *#discard(): IoRoutine<void> {
    yield* this.#guarded(this.#drained());
    this.#arena.discard();
    this.#active = this.#current;
    this.#active?.discardUnwritten();
    this.#nextLsn = this.#writtenLsn + 1;
  }

  /**
   * Makes everything durable, writes the mark of a clean close, and closes the file.
   *
   * @param discard - discard everything appended and not yet submitted
   */
  *close(markType: number, discard: boolean): IoRoutine<void> {
    try {
      if (discard) yield* this.#discard();
      yield* this.sync();
      yield* this.mark(markType);
      const segment = this.#current;
      if (segment?.file !== undefined) yield* this.#guarded(this.#trimPreallocation(segment));
    } finally {
      yield* this.releaseFiles();
    }
  }

  /** Waits for everything in flight, even if it fails, and closes the files as they are. */
  *releaseFiles(): IoRoutine<void> {
    yield* this.#pipeline.ended();
    yield* this.#background.ended();
    yield* this.allocator.close();
    this.#closeFileOf(this.#named);
    this.#closeFileOf(this.#current);
  }

  /** @throws an error with the code of the first failure */
  throwIfFailed(): void {
    if (this.#failure === undefined) return;
    const { code, path } = this.#failure;
    throw new WalError(
      code,
      `the log has failed and accepts nothing any more (${this.#failure.message}): open it again to recover what is ` +
        'really on the disk',
      path === undefined ? {} : { path },
      { cause: this.#failure },
    );
  }

  /**
   * Runs a routine whose failure is final: after a failed sync, a later successful one does not prove durable what the
   * kernel dropped.
   */
  *#guarded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    this.throwIfFailed();
    let result: T;
    try {
      result = yield* routine;
    } catch (error) {
      throw this.fail(error);
    }
    // A background routine may have failed meanwhile.
    if (this.#failure !== undefined) throw this.#failure;
    return result;
  }

  /**
   * Records a final failure: from now on nothing is accepted.
   *
   * @returns the first failure
   */
  fail(error: unknown): WalError {
    if (this.#failure === undefined) {
      this.#failure = WalError.is(error)
        ? error
        : new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
      announceFailure(this.#settings, this.#failure);
    }
    this.#pipeline.stop();
    this.#background.stop();
    return this.#failure;
  }

  /** @throws `WAL_STATE` when the application's clock or source of random bytes has appended to the log or cut it */
  #requireNext(lsn: Lsn, generation: number): void {
    if (this.#nextLsn !== lsn || this.#generation !== generation) throw appendedMeanwhile(this.#settings.directory);
  }

  /** The segment for a frame: a new one when the active one would become too long, or is too old. */
  #segmentFor(frameBytes: number, now: number): ActiveSegment {
    const active = this.#active;
    if (active !== undefined) {
      // A record cannot express so long a time since the segment was created. A time that a header cannot hold is
      // ignored.
      const elapsedMs = now - active.header.createdAtMs;
      if (elapsedMs > ELAPSED_MS_MAX && elapsedMs <= Number.MAX_SAFE_INTEGER) return this.#plan();
      if (isEmpty(active)) return this.#isCurrent(active) ? active : this.#plan();
      const { segmentBytes } = this.#settings;
      // The common case, without a division: the frame fits even if it has to skip the end of a block.
      if (active.end + FRAME_HEADER_BYTES + frameBytes <= segmentBytes) return active;
      if (frameStart(active.end, active.header.blockBytes) + frameBytes <= segmentBytes) return active;
    }
    return this.#plan();
  }

  /** Whether new segments would use the same key. Another ring may have a different key with the same id. */
  #isCurrent({ header, keyRing }: ActiveSegment): boolean {
    return keyRing === this.#keyRing && header.keyId === currentKeyOf(keyRing);
  }

  #plan(): ActiveSegment {
    const active = this.#active;
    const { first, last: lastSealed } = this.#sealed;
    const last = active ?? lastSealed;
    const before = [first, last].filter((segment) => segment !== undefined);
    return this.#planned(this.#nextLsn, last === undefined ? BEGINNING : linkBehind(last), before);
  }

  /** @param before - the kept segments; the oldest and the newest are enough */
  #planned(firstLsn: Lsn, from: ChainLink, before: readonly Segment[]): ActiveSegment {
    const plan = {
      logId: this.#logId,
      number: this.#nextNumber++,
      firstLsn,
      blockBytes: this.#settings.blockBytes,
      createdAtMs: createdAt(this.#environment),
      segmentId: this.#environment.randomBytes(16),
      coreId: this.#coreId,
      keyId: currentKeyOf(this.#keyRing),
      encryptedFrom: statementOf(before, this.#encryptedFrom ?? 0, firstLsn),
    };
    return new ActiveSegment(this.#settings.directory, headerOf(plan, from), this.#keyRing);
  }

  /**
   * Encodes a record. It gets its LSN and its offset only when it is completely encoded, so that a failure leaves no gap.
   *
   * @param isSteady - whether no function of the application was called since the record was checked
   */
  #encode(
    segment: ActiveSegment,
    body: RecordBody,
    frameBytes: number,
    batchFlag: number,
    elapsedMs: number,
    isSteady: boolean,
  ): void {
    const { type, meta, metaBytes, payload, scope, codec } = body;
    const { cipher } = segment;
    const lsn = this.#nextLsn;
    const offset = this.#arena.place(segment, frameBytes);
    const { bytes, view } = this.#arena;
    const flags =
      batchFlag |
      (scope === undefined ? 0 : RecordFlag.scoped) |
      (codec === CodecNumber.none ? 0 : RecordFlag.compressed) |
      (cipher === undefined ? 0 : RecordFlag.encrypted);
    writeRecordHeader(view, offset, frameBytes, lsn, type, this.#durableLsn, metaBytes, flags, codec, elapsedMs);
    let at = offset + MARK_FRAME_BYTES;
    if (scope !== undefined) {
      writeScope(view, at, scope);
      at += SCOPE_BYTES;
    }
    // If another thread grows shared memory meanwhile, the copy extends behind the frame, which is overwritten later.
    if (metaBytes > 0) copyInto(bytes, meta, at);
    copyInto(bytes, payload, at + metaBytes);
    if (!isSteady) requireUnchanged(body);
    if (cipher !== undefined) this.#encrypt(cipher, offset, frameBytes, scope !== undefined, lsn);
    this.#arena.placed(offset + frameBytes, lsn + 1);
    this.#nextLsn = lsn + 1;
    segment.nextLsn = lsn + 1;
    this.#endsWithMark = false;
    this.counters.records++;
  }

  /** Encrypts a record in place. A failure is final: the cipher is not used again. */
  #encrypt(cipher: SegmentCipher, offset: number, frameBytes: number, scoped: boolean, lsn: Lsn): void {
    try {
      cipher.encrypt(this.#arena.bytes, offset, frameBytes, scoped, lsn);
    } catch (error) {
      throw this.fail(error);
    }
  }

  #frameBytesOf({ payloadBytes, metaBytes, scope }: RecordBody): number {
    const bytes = recordFrameBytes(payloadBytes, metaBytes, scope !== undefined);
    return this.#keyRing === undefined ? bytes : bytes + ENCRYPTION_TAG_BYTES;
  }

  /**
   * Upper bound of the bytes of consecutive records: a frame cannot start in the last bytes of a block, and skips them.
   */
  #runBytesMost(bodies: readonly RecordBody[]): number {
    let bytes = 0;
    for (const body of bodies) bytes += this.#frameBytesOf(body);
    const skipped = FRAME_HEADER_BYTES - 1;
    return bytes + skipped * (Math.ceil(bytes / (this.#settings.blockBytes - skipped)) + 1);
  }

  /** Waits until a condition holds that depends on what is in flight. @throws the first failure */
  *#until(holds: () => boolean): IoRoutine<void> {
    if (!(yield* this.#pipeline.until(holds))) throw this.#failure;
  }

  *#drained(): IoRoutine<void> {
    yield* this.#until(() => this.#pipeline.isEmpty);
  }

  /** @param toSync - whether the writes are to become durable, as durable writes or by a sync after them */
  *#writeAll(toSync: boolean): IoRoutine<void> {
    yield* this.#startGroup(toSync);
    yield* this.#drained();
  }

  *#syncAll(): IoRoutine<void> {
    const lsn = this.#nextLsn - 1;
    yield* this.#writeAll(true);
    const segment = this.#current;
    const position = segment === undefined ? 0 : positionAt(segment.asWritten);
    if (segment?.dirty === true) yield* this.#datasync(segment);
    this.#provenDurable(lsn, position);
  }

  /** Starts writing everything encoded so far, and rolls where it continues in the next segment. */
  *#startGroup(toSync: boolean): IoRoutine<void> {
    if (!this.#hasRoomInFlight) yield* this.#roomInFlight();
    const extents = this.#arena.take();
    this.#clock.forget();
    // A mark alone does not count as a group.
    const taken = extents.at(-1)?.nextLsn ?? 0;
    if (taken > this.#takenLsn) {
      this.#takenLsn = taken;
      this.counters.groups++;
    }
    for (const extent of extents) {
      if (extent.segment !== this.#current) yield* this.#startRoll(extent.segment);
      if (!this.#hasRoomInFlight) yield* this.#roomInFlight();
      yield* this.#startWrite(extent, toSync);
    }
    // Submitted at once, and not at the end of this turn of the event loop: the disk works while further records are
    // encoded.
    if (extents.length > 0) this.#environment.io.flush();
  }

  /** Starts a write, and preallocation for the writes behind it. */
  *#startWrite(extent: Extent, toSync: boolean): IoRoutine<void> {
    const { segment, position, bytes } = extent;
    const end = position + bytes.length;
    if (!isRangeIdle(segment, position, end) && !(yield* this.#preallocator.untilIdle(segment, position, end))) {
      throw this.#failure;
    }
    // A durable write does not make earlier writes durable that were not: then a sync is needed.
    const alone = toSync && !segment.dirty && this.#environment.io.capabilities.durableWrites;
    if (!alone) segment.dirty = true;
    this.#pipeline.start(this.#writeExtent(extent, alone), () => this.#onWritten(extent, alone));
    // A flush waits for no disk: writing zeros would only take the disk's time.
    if (toSync) this.#preallocator.preallocateAhead(segment, end, bytes.length);
    // Until the current segment is named, its own file is `next.seg`.
    if (segment === this.#named) this.allocator.preallocateAhead(end);
  }

  /** Whether everything appended is durable and nothing is in flight. */
  get #isSettled(): boolean {
    return this.#arena.isTaken && this.#pipeline.isEmpty && this.#durableLsn === this.#nextLsn - 1;
  }

  get #hasRoomInFlight(): boolean {
    return this.#pipeline.running < this.maxInFlight;
  }

  *#roomInFlight(): IoRoutine<void> {
    yield* this.#until(() => this.#hasRoomInFlight);
  }

  *#writeExtent(extent: Extent, alone: boolean): IoRoutine<void> {
    const { io } = this.#environment;
    const { segment, bytes, position } = extent;
    const file = fileOf(segment);
    sealFrames(bytes, 0, bytes.length, position, segment.header.blockBytes, segment.seed);
    yield* ioSteps.write(io, file, bytes, position, alone ? DURABLE : undefined);
    if (alone) this.counters.syncs++;
    this.#arena.release(extent);
  }

  /**
   * Called in order when an extent and everything before it was written.
   *
   * @param alone - whether the write was a durable one
   */
  #onWritten({ segment, bytes, position, nextLsn }: Extent, alone: boolean): void {
    segment.written(position + bytes.length, nextLsn);
    this.counters.bytesWritten += bytes.length;
    this.#writtenLsn = nextLsn - 1;
    if (alone) this.#provenDurable(this.#writtenLsn, positionAt(segment.asWritten));
  }

  #provenDurable(lsn: Lsn, position: number): void {
    // Writes that were in flight at a failure prove nothing.
    if (this.#failure !== undefined) return;
    this.#durableLsn = Math.max(this.#durableLsn, lsn);
    this.#durablePosition = Math.max(this.#durablePosition, position);
  }

  *#datasync(segment: ActiveSegment): IoRoutine<void> {
    // Not concurrently with the sync of a preallocation: the kernel reports a write error to only one of two syncs.
    if (segment.file?.direct === true) yield* this.#untilPreallocationIdle(segment);
    yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    segment.dirty = false;
    this.counters.syncs++;
  }

  /** Creates the file of a planned segment, with its header only. */
  *#makeFile(next: ActiveSegment): IoRoutine<void> {
    const { file, preallocatedEnd, recycled } = yield* this.allocator.allocate(next.header);
    next.file = file;
    next.preallocatedEnd = preallocatedEnd;
    if (!recycled) return;
    this.counters.recycled++;
    const { directory } = this.#settings;
    if (writerChannels.recycle.hasSubscribers)
      announce(writerChannels.recycle, { directory, segment: next.header.number });
  }

  /** Waits until no block of a segment is being preallocated. */
  *#untilPreallocationIdle(segment: ActiveSegment): IoRoutine<void> {
    if (!(yield* this.#preallocator.untilIdle(segment, 0, Number.POSITIVE_INFINITY))) throw this.#failure;
  }

  /** Truncates the file of a segment behind its last used block. */
  *#trimPreallocation(segment: ActiveSegment): IoRoutine<void> {
    yield* this.#untilPreallocationIdle(segment);
    const { blockBytes } = segment.header;
    yield* cutToSize(this.#environment.io, fileOf(segment), segment.end, blockBytes);
    // If the next segment finds no room, this one is written on.
    segment.preallocatedEnd = Math.min(segment.preallocatedEnd, blockEnd(segment.end, blockBytes));
  }

  /**
   * Starts a roll: from here on writes go to the next segment, whose header is durable before any other byte of it is
   * written. The rest of the roll is in flight, and the next roll waits for its end.
   */
  *#startRoll(next: ActiveSegment): IoRoutine<void> {
    yield* this.#until(() => this.#named === this.#current);
    // A roll never goes back: it would rename another file to the name of an existing segment.
    if (this.#current !== undefined && next.header.number <= this.#current.header.number) throw rollsBack(next.path);
    if (!this.#pipelined) yield* this.#drained();
    yield* this.#makeFile(next);
    const old = this.#current;
    this.#current = next;
    this.#pipeline.start(this.#completeRoll(old, next), () => this.#activate(next));
    if (!this.#pipelined) yield* this.#drained();
  }

  /**
   * Seals the old segment and names the next one. The old one is durable and trimmed before the new one is named, and the
   * name is durable before anything in the new one is acknowledged.
   */
  *#completeRoll(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    yield* this.#seal(old, next);
    yield* this.#name(next);
    if (old !== undefined && isEmpty(old)) yield* this.#removeReplaced(old);
  }

  /** Makes the old segment durable, and cuts it behind its last used block. */
  *#seal(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    if (old !== undefined) {
      yield* this.#until(() => old.isWritten);
      if (old.dirty) yield* this.#datasync(old);
      this.#provenDurable(next.header.firstLsn - 1, next.header.firstPosition);
      yield* this.#trimPreallocation(old);
    }
  }

  /** Removes an empty segment, which the chain does not contain any more. */
  *#removeReplaced(old: ActiveSegment): IoRoutine<void> {
    this.#closeFileOf(old);
    try {
      yield* ioSteps.remove(this.#environment.io, old.path);
    } catch {
      // The file remains and is removed when the log is opened.
    }
  }

  /** Renames `next.seg` to the name of a segment; durable on return. */
  *#name(next: ActiveSegment): IoRoutine<void> {
    yield* nameNextSegment(this.#environment.io, this.#settings.directory, next.header);
    yield* this.directorySync.sync();
  }

  /** The same, where a failure of the rename is not final. */
  *#nameFirst(next: ActiveSegment): IoRoutine<void> {
    yield* this.#name(next);
    this.throwIfFailed();
  }

  /** The same, where a rename that fails on a full disk is not final: then nothing has changed. */
  *#nameOrRefuse(next: ActiveSegment): IoRoutine<void> {
    try {
      yield* nameNextSegment(this.#environment.io, this.#settings.directory, next.header);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : this.fail(error);
    }
    yield* this.directorySync.sync();
    this.throwIfFailed();
  }

  /**
   * Called when the next segment is named: adds the old one to the sealed segments, unless it was empty and is
   * replaced.
   */
  #activate(next: ActiveSegment): void {
    const { last } = this.#sealed;
    if (last !== undefined && isEmpty(last)) this.#sealed.pop();
    const old = this.#named;
    if (old !== undefined && !isEmpty(old)) {
      this.#closeFileOf(old);
      this.counters.rolls++;
      const { header, path, end, sparseIndex } = old;
      const sealed = { header, path, end, nextLsn: next.header.firstLsn, sparseIndex };
      this.#sealed.push(sealed);
      this.#announceRoll(sealed, next);
    }
    this.#current = next;
    this.#named = next;
    if (old !== undefined) this.#onRoll();
  }

  #announceRoll(sealed: Segment, active: ActiveSegment): void {
    if (!writerChannels.roll.hasSubscribers) return;
    const { directory } = this.#settings;
    announce(writerChannels.roll, {
      directory,
      sealed: metaOf(sealed, 'sealed'),
      active: metaOf(active.asWritten, 'active'),
    });
  }

  /** Closes and removes the file of a segment that is not named yet. */
  *#discardFile(next: ActiveSegment): IoRoutine<void> {
    const { file } = next;
    next.file = undefined;
    if (file !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, file);
  }

  #closeFileOf(segment: ActiveSegment | undefined): void {
    const file = segment?.file;
    if (file === undefined || segment === undefined) return;
    segment.file = undefined;
    closeFile(this.#environment.io, file);
  }

  *#writeMark(type: number): IoRoutine<void> {
    const marked = this.#segmentForMark;
    // Without room for it the write would fail, and with it a log of which everything is durable.
    if (marked === undefined || !(yield* this.#hasRoomForMark(marked))) return;
    // Checked again after the clock, as that and calls during the reservation may have appended records.
    const now = this.#environment.now();
    const segment = this.#segmentForMark;
    if (segment === undefined || segment !== marked) return;
    const elapsedMs = now - segment.header.createdAtMs;
    const offset = this.#arena.place(segment, MARK_FRAME_BYTES);
    writeMark(this.#arena.view, offset, this.#nextLsn, type, elapsedMs);
    this.#arena.placed(offset + MARK_FRAME_BYTES, this.#nextLsn);
    // In a recycled file the earlier bytes behind the mark would look like a torn tail.
    if (type === MarkType.closed) this.#arena.pad();
    this.#endsWithMark = true;
    this.counters.marks++;
    yield* this.#syncAll();
  }

  /** The segment for a mark; `undefined` unless everything appended is durable. */
  get #segmentForMark(): ActiveSegment | undefined {
    const segment = this.#active;
    return segment === this.#named && this.#durableLsn === this.#nextLsn - 1 ? segment : undefined;
  }

  *#hasRoomForMark(segment: ActiveSegment): IoRoutine<boolean> {
    const start = frameStart(segment.end, segment.header.blockBytes);
    return yield* this.#preallocator.reserve(segment, segment.end, start + MARK_FRAME_BYTES);
  }
}

/** Looked up once: the compiler would look up a method of typed arrays at every call. */
const { set } = Uint8Array.prototype;

/** @throws `TypeError` when the memory of the bytes is gone, or they are more than fit */
function copyInto(target: Uint8Array, bytes: Uint8Array, at: number): void {
  try {
    set.call(target, bytes, at);
  } catch {
    throw changed();
  }
}

/** @throws `TypeError` when the length of a record's memory has changed since it was checked */
function requireUnchanged({ payload, payloadBytes, meta, metaBytes }: RecordBody): void {
  if (lengthOf(payload) !== payloadBytes || lengthOf(meta) !== metaBytes) throw changed();
}

function changed(): TypeError {
  return invalidMemory('payload or meta', 'changed its length while the record was encoded: nothing was appended');
}

/** The longest time since the creation of its segment that a record can express: about 49.7 days. */
const ELAPSED_MS_MAX = 0xffff_ffff;

const DURABLE = { durable: true } as const;

function usedUp(): WalError {
  return new WalError('WAL_RANGE', 'the log has no LSNs left: nothing was appended; begin a new log', {
    limit: Number.MAX_SAFE_INTEGER - 1,
  });
}

function pending(directory: string): WalError {
  return new WalError('WAL_STATE', `records in ${directory} are pending: the log cannot continue with another LSN`, {
    path: directory,
    state: 'pending',
  });
}

function appendedMeanwhile(directory: string): WalError {
  const what =
    'the clock or the source of random bytes appended to the log, or cut it: nothing else was appended; append again';
  return new WalError('WAL_STATE', what, { path: directory, state: 'appended' });
}

function rollsBack(path: string): WalError {
  return new WalError('WAL_STATE', `records are pending for ${path}, which is sealed already`, { path, state: 'left' });
}

function fileOf(segment: ActiveSegment): NonNullable<ActiveSegment['file']> {
  if (segment.file === undefined)
    throw new WalError('WAL_STATE', `${segment.path} is not open`, { path: segment.path });
  return segment.file;
}

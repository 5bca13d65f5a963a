import {
  type Checkpoint,
  CodecNumber,
  ENCRYPTION_TAG_BYTES,
  FRAME_HEADER_BYTES,
  frameStart,
  invalidMemory,
  type KeyRing,
  type Lsn,
  lengthOf,
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
import type { Segment } from '@walstack/mmap-reader/segments';
import { CompletionRouter, closeFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
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

/** Where a writer begins: what recovery left, or a new log. */
export interface LogStart {
  readonly logId: Uint8Array;
  /** `undefined` in a log that belongs to no core. */
  readonly coreId: number | undefined;
  /** Sealed segments of the chain, from the oldest to the newest. */
  readonly sealed: readonly Segment[];
  /** A segment whose name is durable and that holds nothing yet; `undefined` when the next append is to make one. */
  readonly active: ActiveSegment | undefined;
  readonly nextLsn: Lsn;
  /** Everything up to it survives a crash. Default: every record. */
  readonly durableLsn?: Lsn;
  /** The number for the next segment that is made. */
  readonly nextNumber: number;
  readonly checkpoint: Checkpoint | undefined;
  /** Whether no power cut takes the checkpoint back. Default: it is so. */
  readonly checkpointIsDurable?: boolean;
  /** Names of freed segments that wait for reuse. */
  readonly free: readonly string[];
  /** From which LSN on the log is encrypted; `undefined` while that is not known, as there is no ring. */
  readonly encryptedFrom?: Lsn | undefined;
}

/** An end that the log has had. */
export interface LogEnd {
  readonly lastLsn: Lsn;
  /** How often the log had gone on with another LSN than the next one. */
  readonly generation: number;
}

/** Counters of a writer since it was made. */
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
 * `append` only encodes. The routines do the I/O; they must not interleave, which is the business of whoever runs them.
 * Where the backend can make writes durable side by side, several groups are under way: {@link submit} starts one and
 * does not wait for it. A roll is then one of the things under way: groups go into the next segment while the old one is
 * sealed and the new one gets its name, and count when that is done.
 *
 * After the first failure nothing is accepted any more: what the disk holds is for recovery to find out.
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
  /** Whether every write is a durable one, side by side with others. */
  readonly #pipelined: boolean;
  readonly #pipeline: Pipeline;
  /** What is done ahead of need, and is not waited for as a rule. */
  readonly #background: Pipeline;
  readonly #preallocator: BlockPreallocator;
  readonly allocator: SegmentAllocator;
  /** Makes the names in the directory durable. */
  readonly directorySync: DirectorySync;
  readonly #onRoll: () => void;
  readonly #arena: Arena;
  readonly #sealed: SegmentList;
  /** The segment that is encoded into; perhaps only a plan. */
  #active: ActiveSegment | undefined;
  /** The segment whose file is written into: the active one, or one before it. */
  #current: ActiveSegment | undefined;
  /** The newest segment that has its name for good: the current one, or the one before it while a roll is under way. */
  #named: ActiveSegment | undefined;
  #nextLsn: Lsn;
  /** Everything up to it was handed to the operating system. */
  #writtenLsn: Lsn;
  /** Everything up to it survives a crash. Moves to the ends of batches only. */
  #durableLsn: Lsn;
  /** Every byte of the log before it survives a crash. */
  #durablePosition: number;
  #nextNumber: number;
  #generation = 0;
  /** Everything up to it that is not in the log any more was durable before it was dropped. */
  #droppedLsn: Lsn = 0;
  /** The LSN behind the last record that a group took. */
  #takenLsn: Lsn;
  #keyRing: KeyRing | undefined;
  #encryptedFrom: Lsn | undefined;
  #endsWithMark = true;
  #failure: WalError | undefined;

  /** @param onRoll - told when a segment was sealed and the next one has its name for good */
  constructor(world: Environment, settings: Settings, start: LogStart, onRoll: () => void) {
    this.#environment = world;
    this.#clock = new CoarseClock(world.now);
    this.#settings = settings;
    this.#onRoll = onRoll;
    this.#logId = start.logId;
    this.#coreId = start.coreId;
    this.#pipelined = writesSideBySide(world.io);
    const router = CompletionRouter.for(world.io);
    this.#pipeline = new Pipeline(router, (error) => this.fail(error));
    this.#background = new Pipeline(router, (error) => this.fail(error));
    this.#preallocator = new BlockPreallocator(world, settings, this.#background);
    this.directorySync = new DirectorySync(world, settings.directory, (error) => this.fail(error));
    const failure = () => this.#failure;
    const firstOwn = start.active?.header.number ?? start.nextNumber;
    this.allocator = new SegmentAllocator(
      world,
      settings,
      this.directorySync,
      this.#background,
      failure,
      start.free,
      firstOwn,
    );
    this.#arena = new Arena(world.io, settings.segmentBytes, settings.padGroups || this.#pipelined);
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

  /** Where in the log the next frame is looked for: behind everything encoded, padding included. */
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

  /** How many groups may be under way side by side. */
  get maxInFlight(): number {
    const segment = this.#current;
    const { io } = this.#environment;
    if (!this.#pipelined || segment?.file === undefined) return 1;
    // Durable writes through the page cache of the operating system wait for each other anyway.
    return segment.file.direct || !io.capabilities.realFiles ? this.#settings.maxInFlight : 1;
  }

  /** Whether the segment that is written into is written around the page cache. */
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

  /** The newest segment as far as it was written; `undefined` when the next append is to make one. */
  get active(): Segment | undefined {
    return this.#named?.asWritten;
  }

  /** The segment that records go to, unless it is full; perhaps only a plan. `undefined` when the next append is to make one. */
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

  /** The same as they are now, without an array of them. */
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

  /** From which LSN on the log is encrypted; `undefined` while that is not known: records before it may be in the clear. */
  get encryptedFrom(): Lsn | undefined {
    return this.#encryptedFrom;
  }

  /**
   * Encrypts from now on with the current key of a ring. Nothing was appended yet: an empty segment is replaced.
   *
   * @param encryptedFrom - from which LSN on the log is encrypted, where that was not known
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

  /** First LSN of the segment that the next record goes to, unless it rolls. */
  get activeFirstLsn(): Lsn {
    return this.#active?.header.firstLsn ?? this.#nextLsn;
  }

  /**
   * Encodes a record. Neither written nor durable on return. What throws has appended nothing.
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
    // The clock and the randomness of a new segment are the application's, and may do anything with the memory of the record.
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
   * Encodes the records of a batch: in one segment and in one piece, which is written as a whole. So the durable LSN, which
   * moves from piece to piece, is never inside a batch. Neither written nor durable on return.
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
      // Its bytes are its own, and nothing is known that could keep them from being encoded; those before it must not stay alone.
      this.fail(error);
      throw error;
    }
    return lastLsn;
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  *flush(): IoRoutine<void> {
    yield* this.#guarded(this.#writeAll(false));
  }

  /** Makes everything appended so far durable. */
  *sync(): IoRoutine<void> {
    yield* this.#guarded(this.#syncAll());
  }

  /**
   * Does what makes everything appended so far durable, as far as it need not be waited for: see {@link untilDurable}.
   */
  *submit(): IoRoutine<void> {
    // What was written without being durable needs a sync of its own, which covers only what has completed before it.
    const alone = this.#pipelined && this.#current?.dirty !== true;
    yield* this.#guarded(alone ? this.#startGroup(true) : this.#syncAll());
  }

  /** What was dropped up to this LSN was durable before. */
  get droppedLsn(): Lsn {
    return this.#droppedLsn;
  }

  /** How far the log goes now. */
  get appended(): LogEnd {
    return { lastLsn: this.#nextLsn - 1, generation: this.#generation };
  }

  /** Whether everything up to an end that the log has had is durable, or was before it began anew. */
  isDurable({ lastLsn, generation }: LogEnd): boolean {
    return generation !== this.#generation || this.#durableLsn >= lastLsn;
  }

  /** Waits until everything up to an end that was submitted is durable. May be run beside other routines. */
  *untilDurable(end: LogEnd): IoRoutine<void> {
    yield* this.#until(() => this.isDurable(end));
  }

  /**
   * Writes a mark and makes it durable: only when everything appended is durable already, else nothing happens.
   *
   * @param type - why, one of `MarkType`
   */
  *mark(type: number): IoRoutine<void> {
    yield* this.#guarded(this.#writeMark(type));
  }

  /**
   * Makes everything durable, and a new segment behind it, unless the newest one has no record.
   *
   * @throws `WAL_NO_SPACE` when there is no room for it: as long as nothing was appended meanwhile, no failure for good
   */
  *roll(): IoRoutine<void> {
    const before = this.#active;
    const last = before ?? this.#sealed.last;
    if (last !== undefined && isEmpty(last)) {
      yield* this.sync();
      return;
    }
    // Planned before anything waits: what is appended meanwhile has its place behind the old segment.
    const next = this.#plan();
    this.#active = next;
    yield* this.sync();
    // What was appended while groups before it were awaited went along, and had this roll carried out, or further ones.
    if (this.#named !== undefined && this.#named.header.number >= next.header.number) return;
    try {
      yield* this.#makeFile(next);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#active !== next || !isEmpty(next)) this.fail(error);
      else this.#active = before;
      throw error;
    }
    const old = this.#current;
    // Known before anything is looked at: where the log has failed meanwhile, its file is closed with the log.
    this.#current = next;
    yield* this.#guarded(this.#goOnIn(old, next));
  }

  /**
   * Makes a segment for the next record, if there is none.
   *
   * @throws `WAL_NO_SPACE` when there is no room for it, which is no failure for good: nothing was lost
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
   * Goes on in a new segment with another LSN, whatever came before. To be called when everything appended is durable;
   * nothing may be appended before it is done.
   *
   * @param from - what the new segment takes over
   * @param kept - what remains of the log, from the oldest to the newest segment
   * @param note - what has to be durable before the new segment has its name; runs when there is room for that
   * @returns the segments that are not part of the log any more
   * @throws `WAL_NO_SPACE` when there is no room for the new segment or its name, and what `note` throws: the log is as it was
   * then; `WAL_STATE` when something is pending
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
      if (!WalError.is(error, 'WAL_NO_SPACE')) this.fail(error);
      throw error;
    }
    yield* closingOnFailure(this.#environment, next, this.#nameInstead(next, note));
    const keptNumbers = new Set(kept.map(({ header }) => header.number));
    const before: Segment[] = this.#sealed.toArray();
    if (this.#current !== undefined) before.push(this.#current);
    const hidden = before.filter(({ header }) => !keptNumbers.has(header.number));
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
    return hidden;
  }

  /** Gives a segment its name in place of what the log is to go on without. */
  *#nameInstead(next: ActiveSegment, note: () => IoRoutine<void>): IoRoutine<void> {
    try {
      yield* note();
    } catch (error) {
      yield* this.#discardFile(next);
      throw error;
    }
    if (this.#current !== undefined) yield* this.#guarded(this.#trimPreallocation(this.#current));
    yield* this.#nameOrRefuse(next);
    // What was appended meanwhile would be written into the segment that was left, and the log go back to it.
    if (!this.#isSettled) {
      this.fail(pending(this.#settings.directory));
      throw this.#failure;
    }
  }

  /** Has what is appended from now on encrypted with the current key: in a new segment, unless there is none yet. */
  *rotate(): IoRoutine<void> {
    if (this.#active === undefined) yield* this.sync();
    else yield* this.roll();
  }

  /** Drops the sealed segments below a number, whose files are not part of the log any more. */
  detachBelow(belowNumber: number): readonly Segment[] {
    return this.#sealed.dropBelow(belowNumber);
  }

  /** Waits for what is under way, and forgets what was appended and not yet submitted. */
  *#discard(): IoRoutine<void> {
    yield* this.#guarded(this.#drained());
    this.#arena.discard();
    this.#active = this.#current;
    this.#active?.forgetUnwritten();
    this.#nextLsn = this.#writtenLsn + 1;
  }

  /**
   * Makes everything durable, writes the mark of a clean close, and closes the file.
   *
   * @param discard - forget what was appended and not yet submitted
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

  /** Waits for what is under way, whatever becomes of it, and closes the files as they are. */
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
      `the log failed earlier and accepts nothing any more (${this.#failure.message}): open it again to recover what ` +
        'the disk really has',
      path === undefined ? {} : { path },
      { cause: this.#failure },
    );
  }

  /** A failure is final: a later sync that succeeds would prove nothing about what the kernel dropped. */
  *#guarded<T>(routine: IoRoutine<T>): IoRoutine<T> {
    this.throwIfFailed();
    let result: T;
    try {
      result = yield* routine;
    } catch (error) {
      this.fail(error);
      throw this.#failure;
    }
    // In the background, meanwhile.
    if (this.#failure !== undefined) throw this.#failure;
    return result;
  }

  /** Takes note of a failure after which nothing may be accepted. */
  fail(error: unknown): void {
    if (this.#failure === undefined) {
      this.#failure = WalError.is(error)
        ? error
        : new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
      announceFailure(this.#settings, this.#failure);
    }
    this.#pipeline.stop();
    this.#background.stop();
  }

  /** @throws `WAL_STATE` when the clock or the random bytes, which are the application's, have appended or cut the log */
  #requireNext(lsn: Lsn, generation: number): void {
    if (this.#nextLsn !== lsn || this.#generation !== generation) throw appendedMeanwhile(this.#settings.directory);
  }

  /** The segment that a frame goes to: a new one when it would make this one longer, or older, than it should be. */
  #segmentFor(frameBytes: number, now: number): ActiveSegment {
    const active = this.#active;
    if (active !== undefined) {
      // Its header is older than a record can say. A clock that gives no time for a header changes nothing.
      const elapsedMs = now - active.header.createdAtMs;
      if (elapsedMs > LONGEST_ELAPSED_MS && elapsedMs <= Number.MAX_SAFE_INTEGER) return this.#plan();
      if (isEmpty(active)) return this.#isCurrent(active) ? active : this.#plan();
      const { segmentBytes } = this.#settings;
      // Nearly always: wherever in its block it starts, it fits.
      if (active.end + FRAME_HEADER_BYTES + frameBytes <= segmentBytes) return active;
      if (frameStart(active.end, active.header.blockBytes) + frameBytes <= segmentBytes) return active;
    }
    return this.#plan();
  }

  /** Whether new segments have the key of this one. Another ring may have another key of the same id. */
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

  /** @param before - what is kept of the log; of segments that are not the oldest one, the newest is enough */
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
   * Encodes a record. It has its place when it is encoded as a whole: a place without a record would be a hole.
   *
   * @param isSteady - nothing of the application's was called since the record was checked
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
    // Shared memory that another thread makes larger meanwhile reaches over the end, where the next frame or zeros come.
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

  /** Encrypts a record where it stands. A cipher that fails is not used again. */
  #encrypt(cipher: SegmentCipher, offset: number, frameBytes: number, scoped: boolean, lsn: Lsn): void {
    try {
      cipher.encrypt(this.#arena.bytes, offset, frameBytes, scoped, lsn);
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  #frameBytesOf({ payloadBytes, metaBytes, scope }: RecordBody): number {
    const bytes = recordFrameBytes(payloadBytes, metaBytes, scope !== undefined);
    return this.#keyRing === undefined ? bytes : bytes + ENCRYPTION_TAG_BYTES;
  }

  /** Bytes that records take one behind the other, at most: a frame that may not start at the end of a block skips it. */
  #runBytesMost(bodies: readonly RecordBody[]): number {
    let bytes = 0;
    for (const body of bodies) bytes += this.#frameBytesOf(body);
    const skipped = FRAME_HEADER_BYTES - 1;
    return bytes + skipped * (Math.ceil(bytes / (this.#settings.blockBytes - skipped)) + 1);
  }

  /** Waits until something holds that depends on what is under way. @throws the first failure */
  *#until(holds: () => boolean): IoRoutine<void> {
    if (!(yield* this.#pipeline.until(holds))) throw this.#failure;
  }

  *#drained(): IoRoutine<void> {
    yield* this.#until(() => this.#pipeline.empty);
  }

  /** @param toSync - what is written is to be durable, by itself or by a sync behind it */
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

  /** Starts writing everything encoded so far, rolling where it goes over from one segment to the next. */
  *#startGroup(toSync: boolean): IoRoutine<void> {
    if (!this.#hasRoomInFlight) yield* this.#roomInFlight();
    const extents = this.#arena.take();
    this.#clock.forget();
    // A mark alone is no group.
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
    // At once, and not at the end of this turn of the event loop: the disk works while the next records are encoded.
    if (extents.length > 0) this.#environment.io.flush();
  }

  /** Starts a write, and what is to be prepared for those behind it. */
  *#startWrite(extent: Extent, toSync: boolean): IoRoutine<void> {
    const { segment, position, bytes } = extent;
    const end = position + bytes.length;
    if (!isRangeIdle(segment, position, end) && !(yield* this.#preallocator.untilIdle(segment, position, end))) {
      throw this.#failure;
    }
    // A durable write says nothing about what was written before it without that.
    const alone = toSync && !segment.dirty && this.#environment.io.capabilities.durableWrites;
    if (!alone) segment.dirty = true;
    this.#pipeline.start(this.#writeExtent(extent, alone), () => this.#onWritten(extent, alone));
    // Nothing waits for a flush: zeros would only take the disk's time.
    if (toSync) this.#preallocator.preallocateAhead(segment, end, bytes.length);
    // Until it has its name, the segment that is written into is itself `next.seg`.
    if (segment === this.#named) this.allocator.preallocateAhead(end);
  }

  /** Whether everything appended is durable and nothing is under way. */
  get #isSettled(): boolean {
    return this.#arena.isTaken && this.#pipeline.empty && this.#durableLsn === this.#nextLsn - 1;
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

  /** What was written counts: everything before it was, too. @param alone - and is durable without a sync */
  #onWritten({ segment, bytes, position, nextLsn }: Extent, alone: boolean): void {
    segment.written(position + bytes.length, nextLsn);
    this.counters.bytesWritten += bytes.length;
    this.#writtenLsn = nextLsn - 1;
    if (alone) this.#provenDurable(this.#writtenLsn, positionAt(segment.asWritten));
  }

  #provenDurable(lsn: Lsn, position: number): void {
    // What was still under way when something failed proves nothing.
    if (this.#failure !== undefined) return;
    this.#durableLsn = Math.max(this.#durableLsn, lsn);
    this.#durablePosition = Math.max(this.#durablePosition, position);
  }

  *#datasync(segment: ActiveSegment): IoRoutine<void> {
    // Of two syncs at a time only one is told of a failure.
    if (segment.file?.direct === true) yield* this.#unprepared(segment);
    yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    segment.dirty = false;
    this.counters.syncs++;
  }

  /** Makes the file of a planned segment, with its header and nothing else. */
  *#makeFile(next: ActiveSegment): IoRoutine<void> {
    const { file, preparedEnd, recycled } = yield* this.allocator.allocate(next.header);
    next.file = file;
    next.preparedEnd = preparedEnd;
    if (!recycled) return;
    this.counters.recycled++;
    const { directory } = this.#settings;
    if (writerChannels.recycle.hasSubscribers)
      announce(writerChannels.recycle, { directory, segment: next.header.number });
  }

  /** Waits until no block of a segment is being prepared. */
  *#unprepared(segment: ActiveSegment): IoRoutine<void> {
    if (!(yield* this.#preallocator.untilIdle(segment, 0, Number.POSITIVE_INFINITY))) throw this.#failure;
  }

  /** Cuts a segment behind its last used block. */
  *#trimPreallocation(segment: ActiveSegment): IoRoutine<void> {
    yield* this.#unprepared(segment);
    yield* cutToSize(this.#environment.io, fileOf(segment), segment.end, segment.header.blockBytes);
  }

  /**
   * Goes over to the next segment, whose header is durable before any other byte of it is written. The rest of the roll
   * is under way then, and no further segment is named before it is done.
   */
  *#startRoll(next: ActiveSegment): IoRoutine<void> {
    yield* this.#until(() => this.#named === this.#current);
    // A roll only goes forward: the name of a segment that is there already would be given to another file.
    if (this.#current !== undefined && next.header.number <= this.#current.header.number) throw rollsBack(next.path);
    if (!this.#pipelined) yield* this.#drained();
    yield* this.#makeFile(next);
    const old = this.#current;
    this.#current = next;
    this.#pipeline.start(this.#completeRoll(old, next), () => this.#activate(next));
    if (!this.#pipelined) yield* this.#drained();
  }

  /** The same with nothing under way, done on return. */
  *#goOnIn(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    yield* this.#completeRoll(old, next);
    this.#activate(next);
  }

  /**
   * Seals the old segment and names the next one. The old one is durable and cut before the new one gets its name, and
   * the name is durable before anything in the new one is acknowledged.
   */
  *#completeRoll(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    if (old !== undefined) {
      yield* this.#until(() => old.isWritten);
      if (old.dirty) yield* this.#datasync(old);
      this.#provenDurable(next.header.firstLsn - 1, next.header.firstPosition);
      yield* this.#trimPreallocation(old);
    }
    yield* this.#name(next);
    if (old !== undefined && isEmpty(old)) yield* this.#removeReplaced(old);
  }

  /** Removes a segment that held nothing, and that the chain goes around now. */
  *#removeReplaced(old: ActiveSegment): IoRoutine<void> {
    this.#closeFileOf(old);
    try {
      yield* ioSteps.remove(this.#environment.io, old.path);
    } catch {
      // It is left over, and is removed when the log is opened.
    }
  }

  /** Gives a segment its name; durable on return. */
  *#name(next: ActiveSegment): IoRoutine<void> {
    yield* nameNextSegment(this.#environment.io, this.#settings.directory, next.header);
    yield* this.directorySync.sync();
  }

  /** The same where no failure to give the name is one for good. */
  *#nameFirst(next: ActiveSegment): IoRoutine<void> {
    yield* nameNextSegment(this.#environment.io, this.#settings.directory, next.header);
    yield* this.#guarded(this.directorySync.sync());
  }

  /** The same where a lack of room for the name is no failure for good: nothing has changed then. */
  *#nameOrRefuse(next: ActiveSegment): IoRoutine<void> {
    try {
      yield* nameNextSegment(this.#environment.io, this.#settings.directory, next.header);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) this.fail(error);
      throw error;
    }
    yield* this.#guarded(this.directorySync.sync());
  }

  /** Takes the old segment into the chain, now that the next one has its name; an empty one was replaced in it. */
  #activate(next: ActiveSegment): void {
    const { last } = this.#sealed;
    if (last !== undefined && isEmpty(last)) this.#sealed.pop();
    const old = this.#named;
    if (old !== undefined && !isEmpty(old)) {
      this.#closeFileOf(old);
      this.counters.rolls++;
      const { header, path, end, places } = old;
      const sealed = { header, path, end, nextLsn: next.header.firstLsn, places };
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

  /** Closes and removes the file of a segment that has no name yet. */
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
    // One that found no room would fail a log of which nothing is in doubt.
    if (marked === undefined || !(yield* this.#hasRoomForMark(marked))) return;
    // The clock is the application's, and may append; so may calls made while the room was reserved.
    const now = this.#environment.now();
    const segment = this.#segmentForMark;
    if (segment === undefined || segment !== marked) return;
    const elapsedMs = now - segment.header.createdAtMs;
    const offset = this.#arena.place(segment, MARK_FRAME_BYTES);
    writeMark(this.#arena.view, offset, this.#nextLsn, type, elapsedMs);
    this.#arena.placed(offset + MARK_FRAME_BYTES, this.#nextLsn);
    // In a file that had an earlier life, what stands behind it would look like a torn tail.
    if (type === MarkType.closed) this.#arena.pad();
    this.#endsWithMark = true;
    this.counters.marks++;
    yield* this.#syncAll();
  }

  /** The segment that a mark goes to; `undefined` unless everything appended is durable. */
  get #segmentForMark(): ActiveSegment | undefined {
    const segment = this.#active;
    return segment === this.#named && this.#durableLsn === this.#nextLsn - 1 ? segment : undefined;
  }

  *#hasRoomForMark(segment: ActiveSegment): IoRoutine<boolean> {
    const start = frameStart(segment.end, segment.header.blockBytes);
    return yield* this.#preallocator.reserve(segment, segment.end, start + MARK_FRAME_BYTES);
  }
}

/** Looked up once: the compiler looks up the methods of typed arrays anew at every call. */
const { set } = Uint8Array.prototype;

/** @throws `TypeError` when the bytes are not there any more, or more than there is room for */
function copyInto(target: Uint8Array, bytes: Uint8Array, at: number): void {
  try {
    set.call(target, bytes, at);
  } catch {
    throw changed();
  }
}

/** @throws `TypeError` when there is more of the memory of a record, or less, than when it was checked */
function requireUnchanged({ payload, payloadBytes, meta, metaBytes }: RecordBody): void {
  if (lengthOf(payload) !== payloadBytes || lengthOf(meta) !== metaBytes) throw changed();
}

function changed(): TypeError {
  return invalidMemory('payload or meta', 'changed its length while the record was encoded: nothing was appended');
}

/** The longest time after its segment was made that a record can say: about 49.7 days. */
const LONGEST_ELAPSED_MS = 0xffff_ffff;

const DURABLE = { durable: true } as const;

function usedUp(): WalError {
  return new WalError('WAL_RANGE', 'the log has no LSNs left: nothing was appended; begin a new log', {
    limit: Number.MAX_SAFE_INTEGER - 1,
  });
}

function pending(directory: string): WalError {
  return new WalError('WAL_STATE', `records in ${directory} are pending: the log cannot go on with another LSN`, {
    path: directory,
    state: 'pending',
  });
}

function appendedMeanwhile(directory: string): WalError {
  const what =
    'the clock or the random bytes of the log appended to it, or cut it: nothing else was appended; append again';
  return new WalError('WAL_STATE', what, { path: directory, state: 'appended' });
}

function rollsBack(path: string): WalError {
  return new WalError('WAL_STATE', `records are pending for ${path}, which was left already`, { path, state: 'left' });
}

function fileOf(segment: ActiveSegment): NonNullable<ActiveSegment['file']> {
  if (segment.file === undefined)
    throw new WalError('WAL_STATE', `${segment.path} is not open`, { path: segment.path });
  return segment.file;
}

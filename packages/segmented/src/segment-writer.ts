import {
  type Checkpoint,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  RecordFlag,
  type RecordScope,
  recordFrameBytes,
  SCOPE_BYTES,
  sealFrames,
  WalError,
  writeMark,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { ActiveSegment } from './active-segment.js';
import { Arena, type Extent } from './arena.js';
import type { Settings } from './options.js';
import { BEGINNING, headerOf, isEmpty, type Segment, succession } from './segment.js';
import { cutToSize, makeNextSegment, nameNextSegment } from './segment-file.js';
import { createdAt, type World } from './world.js';

/** Where a writer begins: what recovery left, or a new log. */
export interface LogStart {
  readonly logId: Uint8Array;
  /** Sealed segments of the chain, from the oldest to the newest. */
  readonly sealed: readonly Segment[];
  /** A segment whose name is durable and that holds nothing yet; `undefined` when the next append is to make one. */
  readonly active: ActiveSegment | undefined;
  readonly nextLsn: Lsn;
  /** The number for the next segment that is made. */
  readonly nextNumber: number;
  readonly checkpoint: Checkpoint | undefined;
}

/** Bytes of a record as the caller gives them. */
export interface RecordBody {
  readonly type: number;
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  readonly scope: RecordScope | undefined;
}

/** Counters of a writer since it was made. */
export interface WriterCounters {
  records: number;
  groups: number;
  syncs: number;
  marks: number;
  rolls: number;
  bytesWritten: number;
}

/**
 * Writes the one active segment of a log: encodes records into memory, writes them in groups, makes them durable, and
 * rolls from segment to segment.
 *
 * `append` only encodes. The routines do the I/O; they must not interleave, which is the business of whoever runs them.
 * After the first failure of one of them nothing is accepted any more: what the disk holds is for recovery to find out.
 */
export class SegmentWriter {
  readonly counters: WriterCounters = { records: 0, groups: 0, syncs: 0, marks: 0, rolls: 0, bytesWritten: 0 };
  readonly #world: World;
  readonly #settings: Settings;
  readonly #logId: Uint8Array;
  readonly #arena: Arena;
  readonly #sealed: Segment[];
  /** The segment that is encoded into; perhaps only a plan. */
  #active: ActiveSegment | undefined;
  /** The segment whose file is open: the active one, or one before it while a roll is due. */
  #written: ActiveSegment | undefined;
  #nextLsn: Lsn;
  /** Everything up to it was handed to the operating system. */
  #writtenLsn: Lsn;
  /** Everything up to it survives a crash. Moves to the ends of batches only. */
  #durableLsn: Lsn;
  #nextNumber: number;
  #endsWithMark = true;
  #failure: WalError | undefined;

  constructor(world: World, settings: Settings, start: LogStart) {
    this.#world = world;
    this.#settings = settings;
    this.#logId = start.logId;
    this.#arena = new Arena(world.io, settings);
    this.#sealed = [...start.sealed];
    this.#active = start.active;
    this.#written = start.active;
    this.#nextLsn = start.nextLsn;
    this.#writtenLsn = start.nextLsn - 1;
    this.#durableLsn = start.nextLsn - 1;
    this.#nextNumber = start.nextNumber;
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

  get pendingBytes(): number {
    return this.#arena.pendingBytes;
  }

  /** The first failure; then nothing is accepted any more. */
  get failure(): WalError | undefined {
    return this.#failure;
  }

  /** Sealed segments of the chain, from the oldest to the newest. */
  get sealed(): readonly Segment[] {
    return this.#sealed;
  }

  /** The segment whose file is being written, as far as it is; `undefined` when the next append is to make one. */
  get active(): Segment | undefined {
    return this.#written?.asWritten;
  }

  /** Whether the last thing written is a mark, or nothing was written yet. */
  get endsWithMark(): boolean {
    return this.#endsWithMark;
  }

  /** The first LSN in the log; the next one when there is no record. */
  get firstLsn(): Lsn {
    return (this.#sealed[0] ?? this.#written)?.header.firstLsn ?? this.#nextLsn;
  }

  /** First LSN of the segment that the next record goes to, unless it rolls. */
  get activeFirstLsn(): Lsn {
    return this.#active?.header.firstLsn ?? this.#nextLsn;
  }

  /**
   * Encodes a record. Neither written nor durable on return.
   *
   * @returns its LSN
   */
  append(body: RecordBody): Lsn {
    const { meta, payload, scope } = body;
    const frameBytes = recordFrameBytes(payload.length, meta.length, scope !== undefined);
    const lsn = this.#nextLsn;
    if (lsn === Number.MAX_SAFE_INTEGER) throw usedUp(lsn);
    // Whatever can throw comes before the record has its place: a place without a record would be a hole.
    const segment = this.#segmentFor(frameBytes);
    const elapsedMs = this.#world.now() - segment.header.createdAtMs;
    const offset = this.#arena.reserve(segment, frameBytes);
    this.#active = segment;
    const { bytes, view } = this.#arena;
    const flags = scope === undefined ? 0 : RecordFlag.scoped;
    writeRecordHeader(view, offset, frameBytes, lsn, body.type, this.#durableLsn, meta.length, flags, 0, elapsedMs);
    let at = offset + MARK_FRAME_BYTES;
    if (scope !== undefined) {
      writeScope(view, at, scope);
      at += SCOPE_BYTES;
    }
    if (meta.length > 0) bytes.set(meta, at);
    bytes.set(payload, at + meta.length);
    this.#nextLsn = lsn + 1;
    segment.nextLsn = lsn + 1;
    this.#endsWithMark = false;
    this.counters.records++;
    return lsn;
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  *flush(): IoRoutine<void> {
    yield* this.#guarded(this.#writeGroup(false));
  }

  /** Makes everything appended so far durable. */
  *sync(): IoRoutine<void> {
    yield* this.#guarded(this.#syncGroup());
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
    const last = before ?? this.#sealed.at(-1);
    if (last !== undefined && isEmpty(last)) {
      yield* this.sync();
      return;
    }
    // Planned before anything waits: what is appended meanwhile has its place behind the old segment.
    const next = this.#plan();
    this.#active = next;
    yield* this.sync();
    try {
      next.file = yield* makeNextSegment(this.#world.io, this.#settings.directory, next.header);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE') || this.#active !== next || !isEmpty(next)) this.fail(error);
      else this.#active = before;
      throw error;
    }
    yield* this.#guarded(this.#nameNext(next));
  }

  /**
   * Makes a segment for the next record, if there is none.
   *
   * @throws `WAL_NO_SPACE` when there is no room for it, which is no failure for good: nothing was lost
   */
  *begin(): IoRoutine<void> {
    this.throwIfFailed();
    if (this.#active !== undefined) return;
    const { io } = this.#world;
    const { directory } = this.#settings;
    const next = this.#plan();
    const file = yield* makeNextSegment(io, directory, next.header);
    try {
      yield* nameNextSegment(io, directory, next.header);
    } catch (error) {
      io.close(file);
      throw error;
    }
    next.file = file;
    yield* this.#guarded(this.#enter(next));
    this.#active = next;
  }

  /** Drops the sealed segments below a number, whose files are not part of the log any more. */
  forget(belowNumber: number): readonly Segment[] {
    const kept = this.#sealed.findIndex((segment) => segment.header.number >= belowNumber);
    return this.#sealed.splice(0, kept === -1 ? this.#sealed.length : kept);
  }

  /** Forgets what was appended and not yet written. */
  discard(): void {
    this.#arena.discard();
    this.#active = this.#written;
    this.#active?.forgetUnwritten();
    this.#nextLsn = this.#writtenLsn + 1;
  }

  /** Makes everything durable, writes the mark of a clean close, and closes the file. */
  *close(markType: number): IoRoutine<void> {
    try {
      yield* this.sync();
      yield* this.mark(markType);
      const segment = this.#written;
      if (segment?.file !== undefined) {
        yield* this.#guarded(cutToSize(this.#world.io, segment.file, segment.end, segment.header.blockBytes));
      }
    } finally {
      this.closeFile();
    }
  }

  /** Closes the file as it is. */
  closeFile(): void {
    const file = this.#written?.file;
    if (file === undefined || this.#written === undefined) return;
    this.#written.file = undefined;
    this.#world.io.close(file);
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
    try {
      return yield* routine;
    } catch (error) {
      this.fail(error);
      throw this.#failure;
    }
  }

  /** Takes note of a failure after which nothing may be accepted. */
  fail(error: unknown): void {
    this.#failure ??= WalError.is(error)
      ? error
      : new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
  }

  /** The segment that a frame goes to: a new one when it would make this one longer than it should be. */
  #segmentFor(frameBytes: number): ActiveSegment {
    const active = this.#active;
    if (active !== undefined) {
      const end = frameStart(active.end, active.header.blockBytes) + frameBytes;
      if (end <= this.#settings.segmentBytes || isEmpty(active)) return active;
    }
    return this.#plan();
  }

  #plan(): ActiveSegment {
    const last = this.#active ?? this.#sealed.at(-1);
    const plan = {
      logId: this.#logId,
      number: this.#nextNumber++,
      firstLsn: this.#nextLsn,
      blockBytes: this.#settings.blockBytes,
      createdAtMs: createdAt(this.#world),
      segmentId: this.#world.randomBytes(16),
    };
    const header = headerOf(plan, last === undefined ? BEGINNING : succession(last));
    return new ActiveSegment(this.#settings.directory, header);
  }

  *#syncGroup(): IoRoutine<void> {
    yield* this.#writeGroup(this.#world.io.capabilities.durableWrites);
    const segment = this.#written;
    if (segment?.dirty === true) yield* this.#datasync(segment);
    this.#durableLsn = this.#writtenLsn;
  }

  /** Writes everything encoded so far, rolling where it goes over from one segment to the next. */
  *#writeGroup(durable: boolean): IoRoutine<void> {
    const nextLsn = this.#nextLsn;
    const extents = this.#arena.take();
    if (extents.length > 0) this.counters.groups++;
    for (const extent of extents) {
      if (extent.segment !== this.#written) yield* this.#rollTo(extent.segment);
      yield* this.#writeExtent(extent, durable);
      this.#arena.release(extent);
    }
    this.#writtenLsn = nextLsn - 1;
  }

  *#writeExtent({ segment, bytes, position, nextLsn }: Extent, durable: boolean): IoRoutine<void> {
    const { io } = this.#world;
    const file = fileOf(segment);
    sealFrames(bytes, 0, bytes.length, position, segment.header.blockBytes, segment.seed);
    // A durable write says nothing about what was written before it without that.
    const alone = durable && !segment.dirty;
    yield* ioSteps.write(io, file, bytes, position, alone ? DURABLE : undefined);
    if (alone) this.counters.syncs++;
    else segment.dirty = true;
    segment.written(position + bytes.length, nextLsn);
    this.counters.bytesWritten += bytes.length;
  }

  *#datasync(segment: ActiveSegment): IoRoutine<void> {
    yield* ioSteps.datasync(this.#world.io, fileOf(segment));
    segment.dirty = false;
    this.counters.syncs++;
  }

  /** Goes over to the next segment: its header is durable before any other byte of it is written. */
  *#rollTo(next: ActiveSegment): IoRoutine<void> {
    next.file = yield* makeNextSegment(this.#world.io, this.#settings.directory, next.header);
    yield* this.#nameNext(next);
  }

  /**
   * Seals the old segment and names the next one. The old one is durable and cut before the new one gets its name, and
   * the name is durable before anything in the new one is acknowledged.
   */
  *#nameNext(next: ActiveSegment): IoRoutine<void> {
    try {
      if (this.#written !== undefined) yield* this.#seal(this.#written, next.header.firstLsn);
      yield* nameNextSegment(this.#world.io, this.#settings.directory, next.header);
    } catch (error) {
      this.#world.io.close(fileOf(next));
      next.file = undefined;
      throw error;
    }
    yield* this.#enter(next);
  }

  /** Makes the name of the next segment durable, and goes on in it. */
  *#enter(next: ActiveSegment): IoRoutine<void> {
    try {
      yield* ioSteps.syncDirectory(this.#world.io, this.#settings.directory);
    } catch (error) {
      this.#world.io.close(fileOf(next));
      next.file = undefined;
      throw error;
    }
    this.#retire(this.#written, next.header.firstLsn);
    this.#written = next;
  }

  *#seal(segment: ActiveSegment, nextLsn: Lsn): IoRoutine<void> {
    if (segment.dirty) yield* this.#datasync(segment);
    this.#writtenLsn = nextLsn - 1;
    this.#durableLsn = nextLsn - 1;
    yield* cutToSize(this.#world.io, fileOf(segment), segment.end, segment.header.blockBytes);
  }

  /** Takes the old segment into the chain; an empty one has just been replaced in it. */
  #retire(old: ActiveSegment | undefined, nextLsn: Lsn): void {
    const last = this.#sealed.at(-1);
    if (last !== undefined && isEmpty(last)) this.#sealed.pop();
    if (old === undefined) return;
    this.closeFile();
    this.counters.rolls++;
    this.#sealed.push({ header: old.header, path: old.path, end: old.end, nextLsn });
  }

  *#writeMark(type: number): IoRoutine<void> {
    const segment = this.#written;
    if (segment === undefined || this.#durableLsn !== this.#nextLsn - 1) return;
    const offset = this.#arena.reserve(segment, MARK_FRAME_BYTES);
    writeMark(this.#arena.view, offset, this.#nextLsn, type, this.#world.now() - segment.header.createdAtMs);
    this.#endsWithMark = true;
    this.counters.marks++;
    yield* this.#syncGroup();
  }
}

const DURABLE = { durable: true } as const;

function usedUp(lsn: Lsn): WalError {
  return new WalError(
    'WAL_RANGE',
    `the log has given out its last LSN, ${lsn - 1}: nothing was appended; begin a new log`,
    {
      lsn,
    },
  );
}

function fileOf(segment: ActiveSegment): NonNullable<ActiveSegment['file']> {
  if (segment.file === undefined)
    throw new WalError('WAL_STATE', `${segment.path} is not open`, { path: segment.path });
  return segment.file;
}

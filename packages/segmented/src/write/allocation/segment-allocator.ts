import { join } from 'node:path';
import {
  blockEnd,
  decodeSegmentHeader,
  FileName,
  freeFileName,
  type SegmentHeader,
  segmentSeed,
  WalError,
} from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { closeFile, RoutineQueue } from '@walstack/storage-io/internal';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import type { ActiveSegment } from '../../segments/active-segment.js';
import type { DirectorySync } from '../../segments/directory-sync.js';
import {
  beginSegment,
  discardNextSegment,
  dropNextSegment,
  isFailureOfFile,
  isFailureOfRemoval,
  makeNextSegment,
  openNextSegment,
  removeIfPossible,
} from '../../segments/segment-file.js';
import type { Pipeline } from '../pipeline.js';
import type { Stall } from '../stall.js';
import { preallocateBlocks } from './blocks.js';
import { PreparationPace } from './preparation-pace.js';

/** The file of a new segment. */
export interface AllocatedFile {
  readonly file: IoFile;
  /** Up to this offset the file has allocated blocks. */
  readonly preallocatedEnd: number;
  /** Whether the file belonged to an earlier segment. */
  readonly recycled: boolean;
}

/** `next.seg`, open, without a header of the new segment. */
interface NextFile extends AllocatedFile {
  readonly isReady: boolean;
  /** CRC32C of the id of the segment that the file belonged to: the new segment must not have the same seed. */
  readonly earlierSeed: number | undefined;
}

/** What is prepared for the next segment. */
export interface Preparation {
  /**
   * `'off'`: nothing is prepared, as that was chosen, or as groups are so large that it would not pay; `'preparing'`: as much
   * as is due; `'ready'`: the next segment's file is prepared, or was freed by an earlier segment; `'no-space'`: there was no
   * room.
   */
  readonly state: 'off' | 'preparing' | 'ready' | 'no-space';
  /** Bytes that are prepared. */
  readonly preparedBytes: number;
  /** Bytes of the next segment that will be prepared before it is written to. */
  readonly segmentBytes: number;
}

/** What {@link SegmentAllocator.retire} did with a file; `left`: it could not be removed. */
export type Disposal = 'recycled' | 'removed' | 'left';

/**
 * Provides the files of new segments: prepares the next one in the background, and keeps freed ones for reuse. A durable
 * write that does not extend the file takes half the time, and a file that is written to is never prepared at the same
 * time: each durable write to it would wait for what the file system notes of the new blocks.
 */
export class SegmentAllocator {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #directorySync: DirectorySync;
  readonly #background: Pipeline;
  readonly #failure: () => unknown;
  readonly #stall: Stall;
  /** Serialises the routines that create, hand out and remove `next.seg`. */
  readonly #queue: RoutineQueue;
  /** Number of the first segment that was written since the log was opened. */
  readonly #firstOwn: number;
  /** Names of free files whose renames are durable. */
  readonly #free: string[];
  /** Names of free files whose renames the next sync of the directory makes durable. */
  readonly #renamed: string[] = [];
  /** Names of free files that existed when the log was opened. */
  readonly #found: ReadonlySet<string>;
  #nextFreeNumber = 1;
  /** The number of files that were taken since files were freed last. */
  #taken = 0;
  readonly #pace: PreparationPace;
  #next: NextFile | undefined;
  #preparing = false;
  #zeroed: Uint8Array = new Uint8Array(0);
  #noSpace = false;
  /** Whether a prepared file was removed for want of room since that was done last for a call. */
  #gaveWay = false;

  /**
   * @param background - runs the preallocation
   * @param failure - returns the failure of the log, after which nothing is preallocated any more
   * @param stall - whether records wait for room: then no file is kept for reuse
   * @param free - names of the free files that existed when the log was opened
   * @param firstOwn - number of the first segment that is written since the log was opened
   */
  constructor(
    environment: Environment,
    settings: Settings,
    directorySync: DirectorySync,
    background: Pipeline,
    failure: () => unknown,
    stall: Stall,
    free: readonly string[],
    firstOwn: number,
  ) {
    this.#environment = environment;
    this.#settings = settings;
    this.#directorySync = directorySync;
    this.#background = background;
    this.#failure = failure;
    this.#stall = stall;
    this.#queue = new RoutineQueue(environment.io);
    this.#firstOwn = firstOwn;
    this.#free = [...free];
    this.#found = new Set(free);
    this.#pace = new PreparationPace(settings);
  }

  /** What is prepared for the next segment. */
  get preparation(): Preparation {
    const { isIdle, targetBytes } = this.#pace;
    const preparedBytes = this.#next?.preallocatedEnd ?? 0;
    if (this.#next?.isReady === true) return { state: 'ready', preparedBytes, segmentBytes: preparedBytes };
    const state = isIdle ? 'off' : this.#noSpace ? 'no-space' : 'preparing';
    return { state, preparedBytes, segmentBytes: isIdle ? 0 : targetBytes };
  }

  /** Whether a segment that is written up to `end` is left for the next one, which is ready: it would have to grow. */
  isLeftAt(segment: ActiveSegment, end: number): boolean {
    if (this.#next?.isReady !== true || segment.file === undefined) return false;
    return end > segment.preallocatedEnd && end > this.#pace.leastBytes;
  }

  /** Called when a group was submitted: prepares as much of the next segment as is due. */
  prepareAhead(segment: ActiveSegment, end: number, groupBytes: number): void {
    const due = this.#pace.dueBytes(segment, end, groupBytes);
    if (due <= (this.#next?.preallocatedEnd ?? 0)) return;
    if (this.#preparing || this.#noSpace || !this.#queue.idle) return;
    this.#preparing = true;
    this.#background.start(this.#prepare(due), () => {});
  }

  /**
   * Called before the first group of records is written to a segment that is not prepared: prepares its beginning, while
   * nothing is in flight there.
   */
  *prepareBeginning(segment: ActiveSegment, position: number, groupBytes: number): IoRoutine<void> {
    const start = blockEnd(position, segment.header.blockBytes);
    const end = Math.min(start + this.#pace.firstBytes(groupBytes), this.#pace.limitBytes);
    if (segment.file === undefined || segment.preallocatedEnd > start || end <= start) return;
    try {
      yield* preallocateBlocks(this.#environment, this.#settings, segment.file, start, this.#zeros(end - start));
      segment.preallocatedEnd = end;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
    }
  }

  /** Returns the file `next.seg` with a segment's header, which is durable, and no frames. */
  *allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    return yield* this.#queue.join(() => this.#allocate(header));
  }

  *#allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    yield* this.#untilPrepared();
    this.#noSpace = false;
    let next = this.#next ?? (yield* this.#open());
    this.#next = undefined;
    if (next.earlierSeed === segmentSeed(header.segmentId)) {
      yield* discardNextSegment(this.#environment.io, this.#settings.directory, next.file);
      next = newFile(yield* makeNextSegment(this.#environment.io, this.#settings));
    }
    const { file, isReady, recycled } = next;
    yield* beginSegment(this.#environment.io, this.#settings.directory, file, header);
    if (isReady) this.#pace.taken();
    this.#taken++;
    return { file, preallocatedEnd: Math.max(next.preallocatedEnd, header.blockBytes), recycled };
  }

  /**
   * Frees the file of a segment that is not part of the log any more. The file is kept for reuse, unless there are enough
   * free files, records wait for room, it was written before the log was opened, a reader has mapped it, or it has another hard
   * link: then it is removed. Must be followed by a sync of the directory, and then by {@link publishFreed}.
   */
  *retire(segment: Segment): IoRoutine<Disposal> {
    return this.#isReusable(segment) && this.#rename(segment) ? 'recycled' : yield* this.remove(segment);
  }

  /** Removes the file of a segment that is not part of the log any more. Must be followed by a sync of the directory. */
  *remove({ path }: Segment): IoRoutine<'removed' | 'left'> {
    return (yield* removeIfPossible(this.#environment.io, path)) ? 'removed' : 'left';
  }

  /** Called when the renames of the freed files are durable: from now on the files may be overwritten. */
  publishFreed(): void {
    if (this.#renamed.length > 0) this.#taken = 0;
    this.#free.push(...this.#renamed.splice(0));
  }

  /**
   * Removes the prepared and the free files, as the disk is full.
   *
   * @returns whether there were any, or a prepared one has been removed for that reason already: then there may be room
   */
  *releasePrepared(): IoRoutine<boolean> {
    return yield* this.#queue.join(() => this.#releasePrepared());
  }

  *#releasePrepared(): IoRoutine<boolean> {
    yield* this.#untilPrepared();
    const next = this.#next;
    this.#next = undefined;
    this.#noSpace = true;
    if (next !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, next.file);
    let given = next !== undefined || this.#gaveWay;
    this.#gaveWay = false;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      if (yield* removeIfPossible(this.#environment.io, join(this.#settings.directory, name))) given = true;
    }
    return given;
  }

  /** Closes and removes the prepared file: the next opening of the log would not reuse it. */
  *close(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#discardNext());
  }

  *#discardNext(): IoRoutine<void> {
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, next.file);
  }

  /** Waits until nothing is being prepared. @throws the failure of the log */
  *#untilPrepared(): IoRoutine<void> {
    if (!(yield* this.#background.until(() => !this.#preparing))) throw this.#failure();
  }

  /**
   * Whether a file is kept for reuse. One that was written before the log was opened is not: writes of a killed process,
   * which the kernel may still carry out, would land in the new segment.
   */
  #isReusable({ header, end }: Segment): boolean {
    const { recycleSegments, segmentBytes } = this.#settings;
    const { fileLocks } = this.#environment.io.capabilities;
    if (!fileLocks || header.number < this.#firstOwn || this.#stall.error !== undefined) return false;
    // More than are taken between one truncation and the next would only take room.
    const most = Math.min(recycleSegments, Math.max(1, this.#taken));
    return this.#free.length + this.#renamed.length < most && end * 2 >= segmentBytes;
  }

  /**
   * Renames the file of a segment to a free file.
   *
   * @returns `false` when a reader has locked it, it cannot be locked or renamed, or it has another hard link
   */
  #rename(segment: Segment): boolean {
    const { io } = this.#environment;
    let file: IoFile | undefined;
    try {
      file = io.open(segment.path);
      if (!io.lockFile(file, 'exclusive') || !hasOneName(io, file)) return false;
      const name = this.#nextFreeName();
      io.rename(segment.path, join(this.#settings.directory, name));
      this.#renamed.push(name);
      return true;
    } catch (error) {
      // The file system may not support locks.
      if (!isFailureOfRemoval(error) && !WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
      return false;
    } finally {
      if (file !== undefined) closeFile(io, file);
    }
  }

  #nextFreeName(): string {
    for (;;) {
      const name = freeFileName(this.#nextFreeNumber++);
      if (!this.#found.has(name)) return name;
    }
  }

  /** Prepares the next file up to an offset; ready, and durable, with the last piece. */
  *#prepare(end: number): IoRoutine<void> {
    try {
      this.#next ??= yield* this.#open();
      if (this.#next.isReady) return;
      const { file } = this.#next;
      const { targetBytes, pieceBytes } = this.#pace;
      for (let at = this.#next.preallocatedEnd; at < end; at += pieceBytes) {
        const upTo = Math.min(at + pieceBytes, end);
        yield* preallocateBlocks(this.#environment, this.#settings, file, at, this.#zeros(upTo - at));
        this.#next = newFile(file, upTo);
      }
      if (end < targetBytes) return;
      // Once for the whole file: from now on a durable write to it changes only data, no metadata.
      yield* ioSteps.datasync(this.#environment.io, file);
      this.#next = newFile(file, end, true);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      this.#noSpace = true;
      if (this.#next !== undefined) this.#gaveWay = true;
      yield* this.#discardNext();
    } finally {
      this.#preparing = false;
    }
  }

  /** So many zeros, which are only read. */
  #zeros(bytes: number): Uint8Array {
    if (this.#zeroed.length < bytes) this.#zeroed = this.#environment.io.allocateBuffer(bytes);
    return this.#zeroed.subarray(0, bytes);
  }

  /** Opens `next.seg`: a renamed free file, which is ready, or a new one. */
  *#open(): IoRoutine<NextFile> {
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      const reused = yield* this.#reuse(name);
      if (reused !== undefined) return reused;
    }
    return newFile(yield* makeNextSegment(this.#environment.io, this.#settings));
  }

  /**
   * Renames a free file to `next.seg` and opens it. @returns `undefined` when that is not possible, or when it has another
   * hard link by now: then it is removed
   */
  *#reuse(name: string): IoRoutine<NextFile | undefined> {
    const { io } = this.#environment;
    const { directory, blockBytes } = this.#settings;
    if (!this.#renameToNext(name)) return undefined;
    // The next rename must not become durable without this one: after a crash the file would have two names.
    yield* this.#directorySync.sync();
    let file: IoFile | undefined;
    try {
      file = openNextSegment(io, this.#settings, false);
      const size = io.size(file);
      // One that was written through the page cache may end inside a block: a write of that one would lengthen the file.
      const preallocatedEnd = size - (size % blockBytes);
      // Counted after the rename: a hard link to the earlier name cannot be created any more.
      if (hasOneName(io, file))
        return { file, preallocatedEnd, isReady: true, recycled: true, earlierSeed: yield* this.#seedOf(file) };
    } catch (error) {
      if (!isFailureOfRemoval(error)) {
        if (file !== undefined) closeFile(io, file);
        throw error;
      }
    }
    if (file === undefined) yield* dropNextSegment(io, directory);
    else yield* discardNextSegment(io, directory, file);
    return undefined;
  }

  /** @returns `false` when the free file is gone, or is not a file */
  #renameToNext(name: string): boolean {
    const { io } = this.#environment;
    const { directory } = this.#settings;
    const path = join(directory, name);
    try {
      if (io.stat(path).kind !== 'file') return false;
      io.rename(path, join(directory, FileName.nextSegment));
      return true;
    } catch (error) {
      if (isFailureOfFile(error)) return false;
      throw error;
    }
  }

  /** CRC32C of the segment id in a file's header; `undefined` when it has no valid header. */
  *#seedOf(file: IoFile): IoRoutine<number | undefined> {
    const block = this.#environment.io.allocateBuffer(this.#settings.blockBytes);
    const length = yield* ioSteps.read(this.#environment.io, file, block, 0);
    try {
      return segmentSeed(decodeSegmentHeader(block.subarray(0, length), file.path).segmentId);
    } catch (error) {
      if (WalError.is(error)) return undefined;
      throw error;
    }
  }
}

/** Whether a file has exactly one hard link. `false` when the backend cannot count them. */
const hasOneName = (io: StorageIo, file: IoFile): boolean => io.links?.(file) === 1;

const newFile = (file: IoFile, preallocatedEnd = 0, isReady = false): NextFile => ({
  file,
  preallocatedEnd,
  isReady,
  recycled: false,
  earlierSeed: undefined,
});

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
import { preallocateBlocks } from './block-preallocator.js';

/** Bytes of the next segment that are preallocated before the log rolls to it. */
const FIRST_BYTES = 1024 * 1024;

/** The file of a new segment. */
export interface AllocatedFile {
  readonly file: IoFile;
  /** Up to this offset the file has allocated blocks. */
  readonly preallocatedEnd: number;
  /** Whether the file belonged to an earlier segment. */
  readonly recycled: boolean;
}

/** `next.seg`, open, without a header of the new segment. */
interface PreallocatedFile extends AllocatedFile {
  /** CRC32C of the id of the segment that the file belonged to: the new segment must not have the same seed. */
  readonly earlierSeed: number | undefined;
}

/** What {@link SegmentAllocator.retire} did with a file; `left`: it could not be removed. */
export type Disposal = 'recycled' | 'removed' | 'left';

/**
 * Provides the files of new segments: preallocates the next one in the background, and keeps freed ones for reuse.
 * Overwriting allocated blocks costs about half of a write that extends the file.
 */
export class SegmentAllocator {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #directorySync: DirectorySync;
  readonly #background: Pipeline;
  readonly #failure: () => unknown;
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
  #preallocated: PreallocatedFile | undefined;
  #preallocating = false;
  #noSpace = false;

  /**
   * @param background - runs the preallocation
   * @param failure - returns the failure of the log, after which nothing is preallocated any more
   * @param free - names of the free files that existed when the log was opened
   * @param firstOwn - number of the first segment that is written since the log was opened
   */
  constructor(
    environment: Environment,
    settings: Settings,
    directorySync: DirectorySync,
    background: Pipeline,
    failure: () => unknown,
    free: readonly string[],
    firstOwn: number,
  ) {
    this.#environment = environment;
    this.#settings = settings;
    this.#directorySync = directorySync;
    this.#background = background;
    this.#failure = failure;
    this.#queue = new RoutineQueue(environment.io);
    this.#firstOwn = firstOwn;
    this.#free = [...free];
    this.#found = new Set(free);
  }

  /** Called when a group was submitted: preallocates the next segment once half of the current one is used. */
  preallocateAhead(end: number): void {
    if (this.#settings.preallocate === 'none' || end * 2 < this.#settings.segmentBytes) return;
    if (this.#preallocated !== undefined || this.#preallocating || this.#noSpace || !this.#queue.idle) return;
    this.#preallocating = true;
    this.#background.start(this.#preallocate(), () => {});
  }

  /** Returns the file `next.seg` with a segment's header, which is durable, and no frames. */
  *allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    return yield* this.#queue.join(() => this.#allocate(header));
  }

  *#allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    yield* this.#untilPreallocated();
    this.#noSpace = false;
    let preallocated = this.#preallocated ?? (yield* this.#open());
    this.#preallocated = undefined;
    if (preallocated.earlierSeed === segmentSeed(header.segmentId)) {
      yield* discardNextSegment(this.#environment.io, this.#settings.directory, preallocated.file);
      preallocated = newFile(yield* makeNextSegment(this.#environment.io, this.#settings), 0);
    }
    const { file } = preallocated;
    yield* beginSegment(this.#environment.io, this.#settings.directory, file, header);
    return {
      file,
      preallocatedEnd: Math.max(preallocated.preallocatedEnd, header.blockBytes),
      recycled: preallocated.recycled,
    };
  }

  /**
   * Frees the file of a segment that is not part of the log any more. The file is kept for reuse, unless there are enough
   * free files, it was written before the log was opened, a reader has mapped it, or it has another hard link: then it is
   * removed. Must be followed by a sync of the directory, and then by {@link publishFreed}.
   */
  *retire(segment: Segment): IoRoutine<Disposal> {
    if (this.#isReusable(segment) && this.#rename(segment)) return 'recycled';
    return (yield* removeIfPossible(this.#environment.io, segment.path)) ? 'removed' : 'left';
  }

  /** Called when the renames of the freed files are durable: from now on the files may be overwritten. */
  publishFreed(): void {
    this.#free.push(...this.#renamed.splice(0));
  }

  /** Removes the preallocated and the free files, as the disk is full. @returns whether there were any */
  *releaseReserve(): IoRoutine<boolean> {
    return yield* this.#queue.join(() => this.#releaseReserve());
  }

  *#releaseReserve(): IoRoutine<boolean> {
    yield* this.#untilPreallocated();
    const preallocated = this.#preallocated;
    this.#preallocated = undefined;
    this.#noSpace = true;
    if (preallocated !== undefined)
      yield* discardNextSegment(this.#environment.io, this.#settings.directory, preallocated.file);
    let given = preallocated !== undefined;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      if (yield* removeIfPossible(this.#environment.io, join(this.#settings.directory, name))) given = true;
    }
    return given;
  }

  /** Closes and removes the preallocated file: the next opening of the log would not reuse it. */
  *close(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#discardPreallocated());
  }

  *#discardPreallocated(): IoRoutine<void> {
    const preallocated = this.#preallocated;
    this.#preallocated = undefined;
    if (preallocated !== undefined)
      yield* discardNextSegment(this.#environment.io, this.#settings.directory, preallocated.file);
  }

  /** Waits until no preallocation is in progress. @throws the failure of the log */
  *#untilPreallocated(): IoRoutine<void> {
    if (!(yield* this.#background.until(() => !this.#preallocating))) throw this.#failure();
  }

  /**
   * Whether a file is kept for reuse. One that was written before the log was opened is not: writes of a killed process,
   * which the kernel may still carry out, would land in the new segment.
   */
  #isReusable({ header, end }: Segment): boolean {
    const { recycleSegments, segmentBytes } = this.#settings;
    const { fileLocks } = this.#environment.io.capabilities;
    if (!fileLocks || header.number < this.#firstOwn) return false;
    return this.#free.length + this.#renamed.length < recycleSegments && end * 2 >= segmentBytes;
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

  *#preallocate(): IoRoutine<void> {
    try {
      this.#preallocated = yield* this.#open(true);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      this.#noSpace = true;
    } finally {
      this.#preallocating = false;
    }
  }

  /** Opens `next.seg`: a renamed free file, or a new one. */
  *#open(ahead = false): IoRoutine<PreallocatedFile> {
    const { io } = this.#environment;
    const { directory, segmentBytes, blockBytes } = this.#settings;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      const preallocated = yield* this.#reuse(name);
      if (preallocated !== undefined) return preallocated;
    }
    const file = yield* makeNextSegment(io, this.#settings);
    try {
      const end = ahead ? blockEnd(Math.min(FIRST_BYTES, segmentBytes), blockBytes) : 0;
      if (end > 0) {
        yield* preallocateBlocks(this.#environment, this.#settings, { file }, 0, end);
        yield* ioSteps.datasync(io, file);
      }
      return newFile(file, end);
    } catch (error) {
      yield* discardNextSegment(io, directory, file);
      throw error;
    }
  }

  /**
   * Renames a free file to `next.seg` and opens it. @returns `undefined` when that is not possible, or when it has another
   * hard link by now: then it is removed
   */
  *#reuse(name: string): IoRoutine<PreallocatedFile | undefined> {
    const { io } = this.#environment;
    const { directory, blockBytes } = this.#settings;
    if (!this.#renameToNext(name)) return undefined;
    // The next rename must not become durable without this one: after a crash the file would have two names.
    yield* this.#directorySync.sync();
    let file: IoFile | undefined;
    try {
      file = openNextSegment(io, this.#settings, false);
      const size = io.size(file);
      const preallocatedEnd = size - (size % blockBytes);
      // A file that was written through the page cache may end inside a block; direct I/O and preallocation need whole blocks.
      if (preallocatedEnd < size) yield* ioSteps.truncate(io, file, preallocatedEnd);
      // Counted after the rename: a hard link to the earlier name cannot be created any more.
      if (hasOneName(io, file))
        return { file, preallocatedEnd, recycled: true, earlierSeed: yield* this.#seedOf(file) };
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

const newFile = (file: IoFile, preallocatedEnd: number): PreallocatedFile => ({
  file,
  preallocatedEnd,
  recycled: false,
  earlierSeed: undefined,
});

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
import type { Segment } from '@walstack/mmap-reader/segments';
import { closeFile, type IoFile, type IoRoutine, ioSteps, RoutineQueue, type StorageIo } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import type { DirectorySync } from '../segments/directory-sync.js';
import {
  beginSegment,
  discardNextSegment,
  dropNextSegment,
  isFailureOfFile,
  isFailureOfRemoval,
  makeNextSegment,
  openNextSegment,
  removeIfPossible,
} from '../segments/segment-file.js';
import { prepareBlocks } from './block-preallocator.js';
import type { Pipeline } from './pipeline.js';

/** So many bytes of the next segment are prepared before it has its turn. */
const FIRST_BYTES = 1024 * 1024;

/** The file of a segment to be. */
export interface AllocatedFile {
  readonly file: IoFile;
  /** Up to here the file has blocks of its own. */
  readonly preparedEnd: number;
  /** Whether it had an earlier life. */
  readonly recycled: boolean;
}

/** `next.seg`, open, without a header of its new life. */
interface PreallocatedFile extends AllocatedFile {
  /** CRC32C of the segment id of the file's earlier life, which the next one must not share. */
  readonly earlierSeed: number | undefined;
}

/** How a file was got rid of; `left`: it could not be removed. */
export type Disposal = 'recycled' | 'removed' | 'left';

/**
 * The files that segments are made of: one that is prepared in the background, and freed ones that wait for reuse.
 * Overwriting blocks that exist costs about half of an append that makes a file grow.
 */
export class SegmentAllocator {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #names: DirectorySync;
  readonly #background: Pipeline;
  readonly #failure: () => unknown;
  /** `next.seg` is made, given up and removed by one routine at a time. */
  readonly #queue: RoutineQueue;
  /** Number of the first segment that this life of the log has written. */
  readonly #firstOwn: number;
  /** Names of free files, durable under these names. */
  readonly #free: string[];
  /** Names of free files that the next sync of the directory makes durable. */
  readonly #renamed: string[] = [];
  /** Names of free files that were there when the log was opened. */
  readonly #found: ReadonlySet<string>;
  #nextFreeNumber = 1;
  #preallocated: PreallocatedFile | undefined;
  #preallocating = false;
  #noSpace = false;

  /**
   * @param background - prepares the next segment
   * @param failure - of the log: the reason why nothing will be prepared any more
   * @param free - names of the free files that were there when the log was opened
   * @param firstOwn - number of the first segment that this life of the log writes
   */
  constructor(
    world: Environment,
    settings: Settings,
    names: DirectorySync,
    background: Pipeline,
    failure: () => unknown,
    free: readonly string[],
    firstOwn: number,
  ) {
    this.#environment = world;
    this.#settings = settings;
    this.#names = names;
    this.#background = background;
    this.#failure = failure;
    this.#queue = new RoutineQueue(world.io);
    this.#firstOwn = firstOwn;
    this.#free = [...free];
    this.#found = new Set(free);
  }

  /** To be called when a group was submitted: prepares the next segment when half of this one is used. */
  preallocateAhead(end: number): void {
    if (this.#settings.preallocate === 'none' || end * 2 < this.#settings.segmentBytes) return;
    if (this.#preallocated !== undefined || this.#preallocating || this.#noSpace || !this.#queue.idle) return;
    this.#preallocating = true;
    this.#background.start(this.#preallocate(), () => {});
  }

  /** A file for a segment, with this header, durable, and nothing else of its life. It is called `next.seg`. */
  *allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    return yield* this.#queue.join(() => this.#allocate(header));
  }

  *#allocate(header: SegmentHeader): IoRoutine<AllocatedFile> {
    yield* this.#untilPreallocated();
    this.#noSpace = false;
    let draft = this.#preallocated ?? (yield* this.#open());
    this.#preallocated = undefined;
    if (draft.earlierSeed === segmentSeed(header.segmentId)) {
      yield* discardNextSegment(this.#environment.io, this.#settings.directory, draft.file);
      draft = fresh(yield* makeNextSegment(this.#environment.io, this.#settings), 0);
    }
    const { file } = draft;
    yield* beginSegment(this.#environment.io, this.#settings.directory, file, header);
    return { file, preparedEnd: Math.max(draft.preparedEnd, header.blockBytes), recycled: draft.recycled };
  }

  /**
   * Gives up the name of a segment that is not part of the log any more. It becomes a free file, unless there are enough,
   * an earlier life of the log has written it, it is read through a mapping, or it has another name; then it is removed.
   * To be followed by a sync of the directory, and then by {@link publishFreed}.
   */
  *retire(segment: Segment): IoRoutine<Disposal> {
    if (this.#wants(segment) && this.#rename(segment)) return 'recycled';
    return (yield* removeIfPossible(this.#environment.io, segment.path)) ? 'removed' : 'left';
  }

  /** The names of the free files are durable: from now on they may be overwritten. */
  publishFreed(): void {
    this.#free.push(...this.#renamed.splice(0));
  }

  /** Removes what is kept for later, as the disk is full. @returns whether there was anything */
  *releaseReserve(): IoRoutine<boolean> {
    return yield* this.#queue.join(() => this.#releaseReserve());
  }

  *#releaseReserve(): IoRoutine<boolean> {
    yield* this.#untilPreallocated();
    const draft = this.#preallocated;
    this.#preallocated = undefined;
    this.#noSpace = true;
    if (draft !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, draft.file);
    let given = draft !== undefined;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      if (yield* removeIfPossible(this.#environment.io, join(this.#settings.directory, name))) given = true;
    }
    return given;
  }

  /** Closes the file that was prepared, and removes it: another process life would not trust it. */
  *close(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#discardPreallocated());
  }

  *#discardPreallocated(): IoRoutine<void> {
    const draft = this.#preallocated;
    this.#preallocated = undefined;
    if (draft !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, draft.file);
  }

  /** Waits until no segment is being prepared. @throws the failure of the log, after which none will be there */
  *#untilPreallocated(): IoRoutine<void> {
    if (!(yield* this.#background.until(() => !this.#preallocating))) throw this.#failure();
  }

  /**
   * Whether a file is to be kept. One that an earlier life of the log has written is not: writes of a killed process, which
   * the kernel still carries out, would land in its next life.
   */
  #wants({ header, end }: Segment): boolean {
    const { recycleSegments, segmentBytes } = this.#settings;
    const { fileLocks } = this.#environment.io.capabilities;
    if (!fileLocks || header.number < this.#firstOwn) return false;
    return this.#free.length + this.#renamed.length < recycleSegments && end * 2 >= segmentBytes;
  }

  /** @returns `false` when the file is locked by a reader, cannot be locked or renamed, or has another name */
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
      // The file system may have no locks.
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

  /** Opens `next.seg`: a free file under its new name, or a new one. */
  *#open(ahead = false): IoRoutine<PreallocatedFile> {
    const { io } = this.#environment;
    const { directory, segmentBytes, blockBytes } = this.#settings;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      const draft = yield* this.#reuse(name);
      if (draft !== undefined) return draft;
    }
    const file = yield* makeNextSegment(io, this.#settings);
    try {
      const end = ahead ? blockEnd(Math.min(FIRST_BYTES, segmentBytes), blockBytes) : 0;
      if (end > 0) {
        yield* prepareBlocks(this.#environment, this.#settings, { file }, 0, end);
        yield* ioSteps.datasync(io, file);
      }
      return fresh(file, end);
    } catch (error) {
      yield* discardNextSegment(io, directory, file);
      throw error;
    }
  }

  /**
   * Opens a free file as `next.seg`. @returns `undefined` when it cannot be had, or has got another name meanwhile: then it
   * is removed
   */
  *#reuse(name: string): IoRoutine<PreallocatedFile | undefined> {
    const { io } = this.#environment;
    const { directory, blockBytes } = this.#settings;
    if (!this.#renameToNext(name)) return undefined;
    // The next rename must not survive a crash without this one: the file would have two names.
    yield* this.#names.sync();
    let file: IoFile | undefined;
    try {
      file = openNextSegment(io, this.#settings, false);
      const size = io.size(file);
      const preparedEnd = size - (size % blockBytes);
      // A file that was written through the page cache may end anywhere; direct I/O and what reserves blocks for it need whole ones.
      if (preparedEnd < size) yield* ioSteps.truncate(io, file, preparedEnd);
      // Looked at under this name: a link to an earlier one that is made later finds nothing.
      if (hasOneName(io, file)) return { file, preparedEnd, recycled: true, earlierSeed: yield* this.#seedOf(file) };
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

  /** @returns `false` when the free file is gone, or is none */
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

  /** CRC32C of the segment id in a file's header; `undefined` when it has none. */
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

/** Whether the bytes of a file are found under one name alone. Where that cannot be told it may have another one. */
const hasOneName = (io: StorageIo, file: IoFile): boolean => io.links?.(file) === 1;

const fresh = (file: IoFile, preparedEnd: number): PreallocatedFile => ({
  file,
  preparedEnd,
  recycled: false,
  earlierSeed: undefined,
});

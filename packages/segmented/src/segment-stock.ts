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
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { NameSync } from './name-sync.js';
import type { Settings } from './options.js';
import type { Pipeline } from './pipeline.js';
import { prepareBlocks } from './preparation.js';
import { beginSegment, discardNextSegment, openNextSegment } from './segment-file.js';
import type { World } from './world.js';

/** So many bytes of the next segment are prepared before it has its turn. */
const FIRST_BYTES = 1024 * 1024;

/** The file of a segment to be. */
export interface Blank {
  readonly file: IoFile;
  /** Up to here the file has blocks of its own. */
  readonly preparedEnd: number;
  /** Whether it had an earlier life. */
  readonly recycled: boolean;
}

/** `next.seg`, open, without a header of its new life. */
interface Draft extends Blank {
  /** CRC32C of the segment id of the file's earlier life, which the next one must not share. */
  readonly earlierSeed: number | undefined;
}

/** How `truncateBefore` got rid of a file. */
export type Disposal = 'recycled' | 'removed';

/**
 * The files that segments are made of: one that is prepared in the background, and freed ones that wait for reuse.
 * Overwriting blocks that exist costs about half of an append that makes a file grow.
 */
export class SegmentStock {
  readonly #world: World;
  readonly #settings: Settings;
  readonly #names: NameSync;
  readonly #background: Pipeline;
  readonly #failure: () => unknown;
  /** Names of free files, durable under these names. */
  readonly #free: string[];
  /** Names of free files that the next sync of the directory makes durable. */
  readonly #renamed: string[] = [];
  #nextFreeNumber: number;
  #draft: Draft | undefined;
  #preparing = false;
  #noSpace = false;

  /**
   * @param background - prepares the next segment
   * @param failure - of the log: the reason why nothing will be prepared any more
   * @param free - names of the free files that were there when the log was opened
   */
  constructor(
    world: World,
    settings: Settings,
    names: NameSync,
    background: Pipeline,
    failure: () => unknown,
    free: readonly string[],
  ) {
    this.#world = world;
    this.#settings = settings;
    this.#names = names;
    this.#background = background;
    this.#failure = failure;
    this.#free = [...free];
    this.#nextFreeNumber = 1 + Math.max(0, ...free.map((name) => Number.parseInt(name.slice('free-'.length), 10)));
  }

  /** To be called when a group was submitted: prepares the next segment when half of this one is used. */
  follow(end: number): void {
    if (this.#settings.preallocate === 'none' || end * 2 < this.#settings.segmentBytes) return;
    if (this.#draft !== undefined || this.#preparing || this.#noSpace) return;
    this.#preparing = true;
    this.#background.start(this.#prepare(), () => {});
  }

  /** A file for a segment, with this header, durable, and nothing else of its life. It is called `next.seg`. */
  *take(header: SegmentHeader): IoRoutine<Blank> {
    yield* this.#prepared();
    this.#noSpace = false;
    let draft = this.#draft ?? (yield* this.#open());
    this.#draft = undefined;
    if (draft.earlierSeed === segmentSeed(header.segmentId)) {
      yield* discardNextSegment(this.#world.io, this.#settings.directory, draft.file);
      draft = fresh(openNextSegment(this.#world.io, this.#settings), 0);
    }
    const { file } = draft;
    yield* beginSegment(this.#world.io, this.#settings.directory, file, header);
    return { file, preparedEnd: Math.max(draft.preparedEnd, header.blockBytes), recycled: draft.recycled };
  }

  /**
   * Gives up the name of a segment that is not part of the log any more: it becomes a free file, unless there are
   * enough or somebody reads it through a mapping, or is removed. To be followed by a sync of the directory, and then by
   * {@link admit}.
   */
  *dispose(segment: Segment): IoRoutine<Disposal> {
    if (this.#wants(segment) && this.#rename(segment)) return 'recycled';
    yield* ioSteps.remove(this.#world.io, segment.path);
    return 'removed';
  }

  /** The names of the free files are durable: from now on they may be overwritten. */
  admit(): void {
    this.#free.push(...this.#renamed.splice(0));
  }

  /** Removes what is kept for later, as the disk is full. @returns whether there was anything */
  *surrender(): IoRoutine<boolean> {
    yield* this.#prepared();
    const draft = this.#draft;
    this.#draft = undefined;
    this.#noSpace = true;
    if (draft !== undefined) yield* discardNextSegment(this.#world.io, this.#settings.directory, draft.file);
    let given = draft !== undefined;
    for (let name = this.#free.shift(); name !== undefined; name = this.#free.shift()) {
      try {
        yield* ioSteps.remove(this.#world.io, join(this.#settings.directory, name));
      } catch (error) {
        this.#free.unshift(name);
        throw error;
      }
      given = true;
    }
    return given;
  }

  /** Lets go of the file that was prepared, and removes it: another process life would not trust it. */
  *close(): IoRoutine<void> {
    const draft = this.#draft;
    this.#draft = undefined;
    if (draft !== undefined) yield* discardNextSegment(this.#world.io, this.#settings.directory, draft.file);
  }

  /** Waits until no segment is being prepared. @throws the failure of the log, after which none will be there */
  *#prepared(): IoRoutine<void> {
    if (!(yield* this.#background.until(() => !this.#preparing))) throw this.#failure();
  }

  #wants({ end }: Segment): boolean {
    const { recycleSegments, segmentBytes } = this.#settings;
    const { fileLocks } = this.#world.io.capabilities;
    return fileLocks && this.#free.length + this.#renamed.length < recycleSegments && end * 2 >= segmentBytes;
  }

  /** @returns `false` when somebody has the file locked */
  #rename(segment: Segment): boolean {
    const { io } = this.#world;
    const file = io.open(segment.path);
    try {
      if (!io.lockFile(file, 'exclusive')) return false;
      const name = freeFileName(this.#nextFreeNumber++);
      io.rename(segment.path, join(this.#settings.directory, name));
      this.#renamed.push(name);
      return true;
    } finally {
      io.close(file);
    }
  }

  *#prepare(): IoRoutine<void> {
    try {
      this.#draft = yield* this.#open(true);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      this.#noSpace = true;
    } finally {
      this.#preparing = false;
    }
  }

  /** Opens `next.seg`: a free file under its new name, or a new one. */
  *#open(ahead = false): IoRoutine<Draft> {
    const { io } = this.#world;
    const { directory, segmentBytes, blockBytes } = this.#settings;
    const name = this.#free.shift();
    if (name !== undefined) {
      io.rename(join(directory, name), join(directory, FileName.nextSegment));
      // The next rename must not survive a crash without this one: the file would have two names.
      yield* this.#names.sync();
    }
    const file = openNextSegment(io, this.#settings, name === undefined);
    try {
      const preparedEnd = io.size(file) - (io.size(file) % blockBytes);
      if (name !== undefined) return { file, preparedEnd, recycled: true, earlierSeed: yield* this.#seedOf(file) };
      const end = ahead ? blockEnd(Math.min(FIRST_BYTES, segmentBytes), blockBytes) : 0;
      if (end > 0) {
        yield* prepareBlocks(this.#world, this.#settings, { file }, 0, end);
        yield* ioSteps.datasync(io, file);
      }
      return fresh(file, end);
    } catch (error) {
      yield* discardNextSegment(io, directory, file);
      throw error;
    }
  }

  /** CRC32C of the segment id in a file's header; `undefined` when it has none. */
  *#seedOf(file: IoFile): IoRoutine<number | undefined> {
    const block = this.#world.io.allocateBuffer(this.#settings.blockBytes);
    const length = yield* ioSteps.read(this.#world.io, file, block, 0);
    try {
      return segmentSeed(decodeSegmentHeader(block.subarray(0, length), file.path).segmentId);
    } catch (error) {
      if (WalError.is(error)) return undefined;
      throw error;
    }
  }
}

const fresh = (file: IoFile, preparedEnd: number): Draft => ({
  file,
  preparedEnd,
  recycled: false,
  earlierSeed: undefined,
});

import { blockEnd, WalError } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import { announce, writerChannels } from '../../diagnostics.js';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import type { ActiveSegment } from '../../segments/active-segment.js';
import type { DirectorySync } from '../../segments/directory-sync.js';
import { cutToSize, discardNextSegment, nameNextSegment } from '../../segments/segment-file.js';
import type { FinalFailure } from '../final-failure.js';
import type { WriterCounters, WriterParts } from '../writer-parts.js';
import type { SegmentAllocator } from './segment-allocator.js';
import { makeRoom, type RoomSources } from './with-room.js';

/** What a writer does to the file of a segment as a whole: creates, names, syncs, trims, closes and removes it. */
export class SegmentFiles {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #counters: WriterCounters;
  readonly #failure: FinalFailure;
  readonly #allocator: SegmentAllocator;
  readonly #sources: RoomSources;
  readonly #directorySync: DirectorySync;

  constructor(parts: WriterParts) {
    const { environment, settings, counters, failure, allocator, directorySync } = parts;
    this.#environment = environment;
    this.#settings = settings;
    this.#counters = counters;
    this.#failure = failure;
    this.#allocator = allocator;
    this.#sources = parts;
    this.#directorySync = directorySync;
  }

  /** Creates the file of a planned segment, with its header only. */
  *create(next: ActiveSegment): IoRoutine<void> {
    const { file, preallocatedEnd, recycled } = yield* this.#allocator.allocate(next.header);
    next.file = file;
    next.preallocatedEnd = preallocatedEnd;
    if (!recycled) return;
    this.#counters.recycled++;
    const { directory } = this.#settings;
    if (writerChannels.recycle.hasSubscribers)
      announce(writerChannels.recycle, { directory, segment: next.header.number });
  }

  /** {@link create} for a segment with which a full disk may get room: if there is none for it, it takes what {@link makeRoom} gives. */
  *createWithReserve(next: ActiveSegment): IoRoutine<void> {
    for (;;) {
      try {
        yield* this.create(next);
        return;
      } catch (error) {
        if (!WalError.is(error, 'WAL_NO_SPACE') || this.#failure.error !== undefined) throw error;
        if (!(yield* makeRoom(this.#sources))) throw error;
      }
    }
  }

  /** Makes everything durable that was written to a segment. */
  *datasync(segment: ActiveSegment): IoRoutine<void> {
    yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    segment.dirty = false;
    this.#counters.syncs++;
  }

  /**
   * Truncates the file of a segment whose records are durable behind its last used block. Some file systems need free space
   * for that: where there is none, the blocks stay until the file is removed, as readers do not need the size of the file.
   */
  *trimPreallocation(segment: ActiveSegment): IoRoutine<void> {
    const { blockBytes } = segment.header;
    try {
      yield* cutToSize(this.#environment.io, fileOf(segment), segment.end, blockBytes);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
    }
    // If the next segment finds no room, this one is written on.
    segment.preallocatedEnd = Math.min(segment.preallocatedEnd, blockEnd(segment.end, blockBytes));
  }

  /** Renames `next.seg` to the name of a segment; durable on return. */
  *name(next: ActiveSegment): IoRoutine<void> {
    yield* this.#rename(next);
    yield* this.#directorySync.sync();
  }

  /** If there is no room for the name, it takes what {@link makeRoom} gives. */
  #rename(next: ActiveSegment): IoRoutine<void> {
    return nameNextSegment(this.#environment.io, this.#settings.directory, next.header, () => makeRoom(this.#sources));
  }

  /** The same, where a rename that fails on a full disk is not final: then nothing has changed. */
  *nameOrRefuse(next: ActiveSegment): IoRoutine<void> {
    try {
      yield* this.#rename(next);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : this.#failure.fail(error);
    }
    yield* this.#directorySync.sync();
    this.#failure.throwIfFailed();
  }

  /** Closes and removes the file of a segment that is not named yet. */
  *discard(next: ActiveSegment): IoRoutine<void> {
    const { file } = next;
    next.file = undefined;
    if (file !== undefined) yield* discardNextSegment(this.#environment.io, this.#settings.directory, file);
  }

  /** Removes an empty segment, which the chain does not contain any more. */
  *removeReplaced(old: ActiveSegment): IoRoutine<void> {
    this.close(old);
    try {
      yield* ioSteps.remove(this.#environment.io, old.path);
    } catch {
      // The file remains and is removed when the log is opened.
    }
  }

  close(segment: ActiveSegment | undefined): void {
    const file = segment?.file;
    if (file === undefined || segment === undefined) return;
    segment.file = undefined;
    closeFile(this.#environment.io, file);
  }
}

/** @throws `WAL_STATE` when the file of the segment is not open */
export function fileOf(segment: ActiveSegment): IoFile {
  if (segment.file === undefined)
    throw new WalError('WAL_STATE', `${segment.path} is not open`, { path: segment.path });
  return segment.file;
}

import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import { closeFile, RoutineQueue } from '@walstack/storage-io/internal';
import type { Environment } from '../../environment.js';
import type { Settings } from '../../options.js';
import { isFailureOfFile, removeIfPossible } from '../../segments/segment-file.js';
import type { Pipeline } from '../pipeline.js';

/** What is kept for a full disk. */
export interface Reserve {
  /**
   * `'off'`: no reserve is made, as that was chosen; `'pending'`: it is made behind the next group; `'ready'`: it is there;
   * `'released'`: the disk was full, and some or all of it was given up; `'no-space'`: there was no room to make all of it;
   * `'unavailable'`: its file could not be made or written for another reason. In the last three states it is tried again when
   * there may be room, and behind each roll.
   */
  readonly state: 'off' | 'pending' | 'ready' | 'released' | 'no-space' | 'unavailable';
  /** Bytes that are kept now. */
  readonly bytes: number;
  /** How often some of it was given up for a full disk since the log was opened. */
  readonly releases: number;
}

/** The reserve is written in pieces of at most so many bytes. */
const PIECE_BYTES = 256 * 1024;

/** The reserve is shortened by multiples of this, the block of most file systems. */
const UNIT_BYTES = 4096;

/**
 * The file `.reserve` in the directory of a log: written with zeros, so that it has its blocks, and shortened when something
 * that ends a full disk finds no room. No promise depends on it: its name is not made durable, and a failure of its file
 * does not fail the log. What has its name and is not a reserve of that size (a link to another file) is removed, and never
 * changed.
 */
export class DiskReserve {
  readonly #environment: Environment;
  readonly #path: string;
  readonly #mode: number;
  /** 0: none is made. */
  readonly #wantedBytes: number;
  readonly #background: Pipeline;
  /** Serialises making and shortening the file. */
  readonly #queue: RoutineQueue;
  #state: Reserve['state'];
  #bytes: number;
  #releases = 0;
  /** Whether the file is known to be a reserve: another one, with that name by a link, is never changed. */
  #isKnown = false;
  /** Whether it is to be made, or looked at, behind the next group. Read for each group. */
  isDue: boolean;

  /**
   * @param background - runs the making
   * @param foundBytes - size of the file that was there when the log was opened; 0 when there was none
   */
  constructor(environment: Environment, settings: Settings, background: Pipeline, foundBytes: number) {
    const { directory, fileMode, reserveBytes = 0, recoveryMode } = settings;
    this.#environment = environment;
    this.#path = join(directory, FileName.reserve);
    this.#mode = fileMode;
    this.#wantedBytes = recoveryMode === 'readonly' ? 0 : reserveBytes;
    this.#background = background;
    this.#queue = new RoutineQueue(environment.io);
    this.#bytes = foundBytes;
    this.isDue = this.#wantedBytes > 0;
    this.#state = foundBytes > 0 ? 'ready' : this.isDue ? 'pending' : 'off';
  }

  get current(): Reserve {
    return { state: this.#state, bytes: this.#bytes, releases: this.#releases };
  }

  /** Called when there may be room again: makes the reserve behind the next group, if it is not there. */
  want(): void {
    this.isDue ||= this.#isLacking;
  }

  /** Makes the reserve in the background, or looks at the one that was found. */
  make(): void {
    if (!this.isDue) return;
    this.isDue = false;
    this.#background.start(
      this.#queue.join(() => this.#make()),
      () => {},
    );
  }

  /** Runs what may take some of it, and makes it again behind that, whether that succeeds or fails. */
  *lend<T>(routine: IoRoutine<T>): IoRoutine<T> {
    try {
      return yield* routine;
    } finally {
      yield* this.restore();
    }
  }

  /** Makes it again where it is lacking, before anything else takes the room. */
  *restore(): IoRoutine<void> {
    if (!this.#isLacking) return;
    this.isDue = false;
    yield* this.#queue.join(() => this.#make());
  }

  /**
   * Gives up half of the reserve, or the rest of a short one, as the disk is full: there will be some for the next call.
   *
   * @returns whether there was any: then there may be room
   */
  *release(): IoRoutine<boolean> {
    return yield* this.#queue.join(() => this.#release());
  }

  get #isLacking(): boolean {
    return this.#wantedBytes > 0 && this.#state !== 'ready' && this.#state !== 'pending';
  }

  *#release(): IoRoutine<boolean> {
    if (this.#bytes === 0) return false;
    const half = inUnits(this.#bytes / 2);
    const left = half === 0 ? 0 : yield* this.#shortened(half);
    // What cannot be shortened or removed stays, and is tried again by the next call.
    if (left === undefined) return false;
    if (left === 0 && !(yield* removeIfPossible(this.#environment.io, this.#path))) return false;
    this.#releases++;
    this.#ended('released', left);
    return true;
  }

  /** @returns how much of it is left: 0 when it is not a reserve and is to be removed; `undefined` when it cannot be shortened */
  *#shortened(bytes: number): IoRoutine<number | undefined> {
    const { io } = this.#environment;
    try {
      const file = yield* this.#openKnown();
      if (file === undefined) return 0;
      try {
        yield* ioSteps.truncate(io, file, bytes);
      } finally {
        closeFile(io, file);
      }
      return bytes;
    } catch (error) {
      if (!isFailureOfFile(error) && !WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return undefined;
    }
  }

  *#make(): IoRoutine<void> {
    const { io } = this.#environment;
    try {
      const file = (yield* this.#openKnown()) ?? (yield* this.#create());
      try {
        yield* this.#fill(file);
      } finally {
        closeFile(io, file);
      }
      if (this.#bytes === 0) yield* removeIfPossible(io, this.#path);
    } catch (error) {
      const isFull = WalError.is(error, 'WAL_NO_SPACE');
      if (!isFull && !isFailureOfFile(error)) throw error;
      yield* removeIfPossible(io, this.#path);
      this.#ended(isFull ? 'no-space' : 'unavailable', 0);
    }
  }

  /** Opens the file. @returns `undefined` when there is none, or when it is not a reserve */
  *#openKnown(): IoRoutine<IoFile | undefined> {
    const { io } = this.#environment;
    let file: IoFile;
    try {
      file = io.open(this.#path);
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
    try {
      this.#isKnown ||= (io.links?.(file) ?? 1) === 1 && (yield* this.#isZeroed(file));
    } catch (error) {
      closeFile(io, file);
      throw error;
    }
    if (this.#isKnown) return file;
    closeFile(io, file);
    return undefined;
  }

  /** Whether a file has the size of the reserve, and zeros and nothing else: changing it loses nothing. */
  *#isZeroed(file: IoFile): IoRoutine<boolean> {
    const { io } = this.#environment;
    const size = io.size(file);
    if (size !== this.#wantedBytes) return false;
    const piece = Buffer.alloc(Math.min(size, PIECE_BYTES));
    const zeros = Buffer.alloc(piece.length);
    for (let at = 0; at < size; at += piece.length) {
      const length = yield* ioSteps.read(io, file, piece, at);
      if (length === 0 || Buffer.compare(piece.subarray(0, length), zeros.subarray(0, length)) !== 0) return false;
    }
    return true;
  }

  /** Creates the file, in the place of anything else that has its name. */
  *#create(): IoRoutine<IoFile> {
    const { io } = this.#environment;
    const options = { create: true, exclusive: true, mode: this.#mode } as const;
    let file: IoFile;
    try {
      file = io.open(this.#path, options);
    } catch (error) {
      if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
      yield* removeIfPossible(io, this.#path);
      file = io.open(this.#path, options);
    }
    this.#isKnown = true;
    return file;
  }

  /** Gives the file its size, and blocks for all of it; where there is no room for all, for as much as there is. */
  *#fill(file: IoFile): IoRoutine<void> {
    const { io } = this.#environment;
    const wanted = this.#wantedBytes;
    const found = io.size(file);
    if (found === wanted) {
      // A copy of the directory may have holes instead of zeros.
      yield* this.#allocateAgain(file);
      this.#ended('ready', wanted);
      return;
    }
    const isWhole = yield* this.#writeZeros(file);
    const bytes = isWhole ? wanted : inUnits(io.size(file));
    if (!isWhole) yield* ioSteps.truncate(io, file, bytes);
    // Some file systems find blocks only now.
    if (bytes > 0) yield* ioSteps.datasync(io, file);
    this.#ended(isWhole ? 'ready' : 'no-space', bytes);
  }

  /** @returns `false` when there is no room for all of them */
  *#writeZeros(file: IoFile): IoRoutine<boolean> {
    const bytes = this.#wantedBytes;
    const zeros = new Uint8Array(Math.min(bytes, PIECE_BYTES));
    try {
      for (let at = 0; at < bytes; at += zeros.length) {
        const piece = zeros.subarray(0, Math.min(zeros.length, bytes - at));
        yield* ioSteps.write(this.#environment.io, file, piece, at);
      }
      return true;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return false;
    }
  }

  *#allocateAgain(file: IoFile): IoRoutine<void> {
    try {
      yield* ioSteps.allocate(this.#environment.io, file, 0, this.#wantedBytes);
    } catch (error) {
      // The file system may not support it.
      if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
    }
  }

  #ended(state: Reserve['state'], bytes: number): void {
    if (bytes === 0) this.#isKnown = false;
    this.#state = state;
    this.#bytes = bytes;
  }
}

const inUnits = (bytes: number): number => bytes - (bytes % UNIT_BYTES);

import { WalError } from '@walstack/codec';
import {
  BEGUN_NUMBER,
  encodeFollowerFile,
  FOLLOWER_FILE_BYTES,
  type FollowerSlot,
  type NewFollowerFile,
} from '@walstack/codec/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { closeFile, kindOf, replaceFile } from '@walstack/storage-io/internal';
import { beginInPlace, type Written, writeSlot } from './slots-in-place.js';

/** The paths of the files of a follower. */
interface SlotPaths {
  readonly directory: string;
  readonly file: string;
  readonly draft: string;
  readonly spare: string;
  /** The name of the follower. */
  readonly name: string;
}

/**
 * The file of a follower: two slots, which are written in place, by turns, so that storing a position needs no room on the disk.
 *
 * Each process that has the name makes the file anew, as writes of a killed process may still land in the one that is there. The
 * room for that is in the spare file, which nothing is written to before it has another name. Without a spare file and without room, it
 * writes into the file that is there.
 */
export class SlotFile {
  readonly #io: StorageIo;
  readonly #paths: SlotPaths;
  readonly #mode: number;
  /** What was stored last, which is durable; `undefined` before {@link make}. */
  #durable: FollowerSlot | undefined;
  /** The index of the slot that has what was stored before {@link make}. */
  #beforeAt = 0;
  /** The index of the slot that is written first. The other one is durable. */
  #first = 1;
  /** The number of the last write of a slot. */
  #number = 0;

  /** @param mode - the permissions of new files */
  constructor(io: StorageIo, paths: SlotPaths, mode: number) {
    this.#io = io;
    this.#paths = paths;
    this.#mode = mode;
  }

  /**
   * Makes the file, in place of the one that is there. Durable on return.
   *
   * @param number - of the newer slot; by default that of one with which a process begins
   */
  *make(content: NewFollowerFile, number = BEGUN_NUMBER): IoRoutine<void> {
    const { directory } = this.#paths;
    const written = yield* this.#makeFile(content, number);
    yield* ioSteps.syncDirectory(this.#io, directory);
    this.#durable = content.older;
    this.#beforeAt = written.beforeAt;
    // What needs less must not count alone while the other slot is being written.
    this.#first = goesBack(content) ? written.beforeAt : 1 - written.beforeAt;
    this.#number = written.number;
    yield* this.#makeSpare();
  }

  /**
   * Stores a position: in the slot that was not written last, and when that is durable, in the other one. The log keeps what either of
   * them needs, so it relies on a position only when that is durable. Durable on return.
   */
  *store(slot: FollowerSlot): IoRoutine<void> {
    const file = this.#open() ?? (yield* this.#madeAgain(slot));
    try {
      const first = this.#first;
      yield* this.#write(file, slot, first);
      this.#durable = slot;
      this.#first = 1 - first;
      yield* this.#write(file, slot, 1 - first);
      this.#first = first;
    } finally {
      closeFile(this.#io, file);
    }
  }

  /** Stores again what was stored before {@link make}: over what was begun with first. Durable on return. */
  *putBack(before: FollowerSlot): IoRoutine<void> {
    this.#first = 1 - this.#beforeAt;
    yield* this.store(before);
  }

  /** Removes the file. Durable on return. */
  *remove(): IoRoutine<void> {
    const { directory, file, spare } = this.#paths;
    yield* ioSteps.remove(this.#io, file);
    yield* this.#ifPossible(ioSteps.remove(this.#io, spare));
    yield* ioSteps.syncDirectory(this.#io, directory);
  }

  /** Durable on return. */
  *#write(file: IoFile, slot: FollowerSlot, index: number): IoRoutine<void> {
    yield* writeSlot(this.#io, file, slot, ++this.#number, index);
  }

  /** Opens the file; `undefined` when it was removed, or has a second name since, whose content is to stay. */
  #open(): IoFile | undefined {
    try {
      return this.#openAt(this.#paths.file);
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #openAt(path: string): IoFile | undefined {
    const file = this.#io.open(path);
    try {
      if (this.#io.size(file) === FOLLOWER_FILE_BYTES && (this.#io.links?.(file) ?? 1) === 1) return file;
    } catch (error) {
      closeFile(this.#io, file);
      throw error;
    }
    closeFile(this.#io, file);
    return undefined;
  }

  *#madeAgain(newer: FollowerSlot): IoRoutine<IoFile> {
    yield* this.make({ older: this.#durable ?? newer, newer }, this.#number + 2);
    return this.#io.open(this.#paths.file);
  }

  /** @returns the number of the newer slot, and where the older one is */
  *#makeFile(content: NewFollowerFile, number: number): IoRoutine<Written> {
    const { file, draft, name } = this.#paths;
    const bytes = encodeFollowerFile(content, number);
    if (yield* this.#makeOfSpare(bytes)) return { number, beforeAt: 0 };
    try {
      yield* replaceFile(this.#io, draft, file, bytes, this.#mode);
      return { number, beforeAt: 0 };
    } catch (error) {
      const present = WalError.is(error, 'WAL_NO_SPACE') ? this.#open() : undefined;
      if (present === undefined) throw error;
      try {
        return yield* beginInPlace(this.#io, present, { path: file, name }, content);
      } finally {
        closeFile(this.#io, present);
      }
    }
  }

  /** Makes the file of the spare one. @returns `false` where there is none, or it is no use */
  *#makeOfSpare(bytes: Uint8Array): IoRoutine<boolean> {
    const { file, draft, spare } = this.#paths;
    if (!(yield* this.#ifPossible(this.#overwriteSpare(spare, draft, bytes)))) return false;
    try {
      this.#io.rename(draft, file);
      return true;
    } catch (error) {
      // A file system that copies on write may have no room for that.
      if (WalError.is(error, 'WAL_NO_SPACE')) return false;
      throw error;
    }
  }

  *#overwriteSpare(spare: string, draft: string, bytes: Uint8Array): IoRoutine<void> {
    // A directory of that name would be in the way of every draft.
    if (kindOf(this.#io, spare) !== 'file') throw notSpare(spare);
    // From now on it is a draft, which is not used again when this process is killed.
    this.#io.rename(spare, draft);
    const file = this.#openAt(draft);
    if (file === undefined) throw notSpare(spare);
    try {
      const found = new Uint8Array(FOLLOWER_FILE_BYTES);
      yield* ioSteps.read(this.#io, file, found, 0);
      if (found.some((byte) => byte !== 0)) throw notSpare(spare);
      yield* ioSteps.write(this.#io, file, bytes, 0);
      yield* ioSteps.datasync(this.#io, file);
    } finally {
      closeFile(this.#io, file);
    }
  }

  /** Makes the spare file, with all its blocks. Without one, the next process that takes the name needs room. */
  *#makeSpare(): IoRoutine<void> {
    const { draft, spare } = this.#paths;
    const zeros = new Uint8Array(FOLLOWER_FILE_BYTES);
    yield* this.#ifPossible(replaceFile(this.#io, draft, spare, zeros, this.#mode));
  }

  /** @returns whether it was possible */
  *#ifPossible(routine: IoRoutine<void>): IoRoutine<boolean> {
    try {
      yield* routine;
      return true;
    } catch (error) {
      if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
      return false;
    }
  }
}

/** Whether the newer slot needs something before what the older one needs. */
const goesBack = ({ older, newer }: NewFollowerFile): boolean =>
  (newer.position?.lsn ?? 0) < (older.position?.lsn ?? 0);

/** What has the name of the spare file is something else: it is replaced. */
function notSpare(path: string): WalError {
  return new WalError('WAL_IO_FAILED', `${path} is not a spare file`, { path, reason: 'not-spare' });
}

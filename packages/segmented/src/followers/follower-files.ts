import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import {
  decodeFollowerFile,
  FOLLOWER_FILE_BYTES,
  type FollowerFile,
  followerFileNames,
  parseFollowerFileName,
} from '@walstack/codec/internal';
import { withFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isHeld, isTurnDue, TURN } from '@walstack/storage-io/internal';

/** A follower as its files show it. */
export interface FoundFollower {
  readonly name: string;
  /** What it has stored; `undefined` when that cannot be read. */
  readonly stored: FollowerFile | undefined;
  /** Why that cannot be read. */
  readonly failure: WalError | undefined;
  /** Whether a process has it open; `undefined` where that is not known. */
  readonly alive: boolean | undefined;
}

/** The followers of a log, and what prevented that all of them are known. */
export interface FollowersFound {
  readonly followers: readonly FoundFollower[];
  /** Why the directory of the followers cannot be read: there may be others. */
  readonly failure: WalError | undefined;
}

export const NO_FOLLOWERS: FollowersFound = Object.freeze({ followers: [], failure: undefined });

/** A reader may meet a slot, or both, at the moment at which they are written: then it reads again, so often at most. */
const READINGS = 8;

/**
 * Reads the files of all followers with a name. What cannot be read is part of the result.
 *
 * @param known - the names of those that were found before: a listing may miss a file that is being replaced
 */
export function* readFollowers(io: StorageIo, directory: string, known: readonly string[]): IoRoutine<FollowersFound> {
  const path = join(directory, FileName.followers);
  let listed: readonly string[];
  try {
    listed = io.list(path);
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
    return isMissing(io, directory, FileName.followers, error) ? NO_FOLLOWERS : { followers: [], failure: error };
  }
  const names = new Set(known);
  for (const file of listed) {
    const name = parseFollowerFileName(file);
    if (name !== undefined) names.add(name);
  }
  const followers: FoundFollower[] = [];
  for (const name of names) {
    const found = yield* readFollower(io, path, name);
    if (found !== undefined) followers.push(found);
    if (isTurnDue()) yield TURN;
  }
  return followers.length === 0 ? NO_FOLLOWERS : { followers, failure: undefined };
}

/** Whether an error says that something is not there, and its directory says so, too: it could be a link that leads nowhere. */
function isMissing(io: StorageIo, directory: string, name: string, { code }: WalError): boolean {
  if (code !== 'WAL_NOT_FOUND') return false;
  try {
    return !io.list(directory).includes(name);
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
    return error.code === 'WAL_NOT_FOUND';
  }
}

/** Reads the file of a follower; `undefined` when there is none. */
function* readFollower(io: StorageIo, path: string, name: string): IoRoutine<FoundFollower | undefined> {
  const { file, lock } = followerFileNames(name);
  const alive = io.capabilities.realFiles ? isHeld(join(path, lock)) : undefined;
  try {
    return { name, stored: yield* readFollowerFile(io, join(path, file), name), failure: undefined, alive };
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
    return isMissing(io, path, file, error) ? undefined : { name, stored: undefined, failure: error, alive };
  }
}

/** Reads the file of a follower. @throws `WAL_NOT_FOUND`, `WAL_CORRUPT`, `WAL_IO_FAILED` */
export function* readFollowerFile(io: StorageIo, path: string, name: string): IoRoutine<FollowerFile> {
  return yield* withFile(io, path, function* (file) {
    for (let reading = 1; ; reading++) {
      // One byte more than it should have: a longer file is none.
      const bytes = new Uint8Array(Math.min(io.size(file), FOLLOWER_FILE_BYTES + 1));
      const length = yield* ioSteps.read(io, file, bytes, 0);
      try {
        const found = decodeFollowerFile(bytes.subarray(0, length), path, name);
        // One slot that cannot be read counts for nothing, and may only just be written.
        if (found.older !== found.newer || reading === READINGS) return found;
      } catch (error) {
        if (reading === READINGS) throw error;
      }
    }
  });
}

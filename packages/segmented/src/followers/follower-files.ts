import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import {
  decodeFollowerFile,
  FOLLOWER_FILE_BYTES_MAX,
  type FollowerFile,
  followerFileNames,
  parseFollowerFileName,
} from '@walstack/codec/internal';
import { withFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isHeld } from '@walstack/storage-io/internal';

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

/** Reads the files of all followers with a name. What cannot be read is part of the result. */
export function* readFollowers(io: StorageIo, directory: string): IoRoutine<FollowersFound> {
  const path = join(directory, FileName.followers);
  let names: readonly string[];
  try {
    names = io.list(path);
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
    return error.code === 'WAL_NOT_FOUND' ? NO_FOLLOWERS : { followers: [], failure: error };
  }
  const followers: FoundFollower[] = [];
  for (const file of names) {
    const name = parseFollowerFileName(file);
    const found = name === undefined ? undefined : yield* readFollower(io, path, name);
    if (found !== undefined) followers.push(found);
  }
  return followers.length === 0 ? NO_FOLLOWERS : { followers, failure: undefined };
}

/** Reads the file of a follower; `undefined` when there is none. */
function* readFollower(io: StorageIo, path: string, name: string): IoRoutine<FoundFollower | undefined> {
  const { file, lock } = followerFileNames(name);
  const alive = io.capabilities.realFiles ? isHeld(join(path, lock)) : undefined;
  try {
    return { name, stored: yield* readFollowerFile(io, join(path, file), name), failure: undefined, alive };
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_CLOSED') throw error;
    // It was removed since.
    if (error.code === 'WAL_NOT_FOUND') return undefined;
    return { name, stored: undefined, failure: error, alive };
  }
}

/** Reads the file of a follower. @throws `WAL_NOT_FOUND`, `WAL_CORRUPT`, `WAL_IO_FAILED` */
export function* readFollowerFile(io: StorageIo, path: string, name: string): IoRoutine<FollowerFile> {
  return yield* withFile(io, path, function* (file) {
    const bytes = new Uint8Array(Math.min(io.size(file), FOLLOWER_FILE_BYTES_MAX));
    const length = yield* ioSteps.read(io, file, bytes, 0);
    return decodeFollowerFile(bytes.subarray(0, length), path, name);
  });
}

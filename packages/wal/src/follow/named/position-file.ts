import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import {
  encodeFollowerFile,
  type FollowerFile,
  followerFileNames,
  type StoredPosition,
} from '@walstack/codec/internal';
import { readChainBesideWriter } from '@walstack/mmap-reader/internal';
import { readFollowerFile } from '@walstack/segmented/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT, makeDirectories, replaceFile } from '@walstack/storage-io/internal';

/** The file with the position of a follower, locked against another one of the same name. */
export class PositionFile {
  readonly #io: StorageIo;
  readonly #directory: string;
  readonly #name: string;
  readonly #logId: Uint8Array;
  readonly #fileMode: number;
  readonly #unlock: () => void;
  readonly #now: () => number;

  private constructor(file: {
    readonly io: StorageIo;
    readonly directory: string;
    readonly name: string;
    readonly logId: Uint8Array;
    readonly fileMode: number;
    readonly unlock: () => void;
    readonly now: () => number;
  }) {
    this.#io = file.io;
    this.#directory = file.directory;
    this.#name = file.name;
    this.#logId = file.logId;
    this.#fileMode = file.fileMode;
    this.#unlock = file.unlock;
    this.#now = file.now;
  }

  /**
   * Takes a name. What it makes has the permissions that the log has.
   *
   * @param directory - of the log
   * @throws `WAL_NOT_FOUND` when there is no log, `WAL_LOCKED` when another follower has the name, `WAL_IO_FAILED` without the
   * right to write
   */
  static *open(io: StorageIo, directory: string, name: string, now: () => number): IoRoutine<PositionFile> {
    const { links } = yield* readChainBesideWriter(io, directory, () => true);
    const [{ header, path }] = links as [(typeof links)[number]];
    const followers = join(directory, FileName.followers);
    const fileMode = (io.stat(path).mode ?? FILE_MODE_DEFAULT) | 0o600;
    try {
      makeDirectories(io, followers, (io.stat(directory).mode ?? DIRECTORY_MODE_DEFAULT) | 0o700);
      // The process that has made it may have died before this.
      yield* ioSteps.syncDirectory(io, directory);
      const unlock = io.lock(join(followers, followerFileNames(name).lock), fileMode);
      return new PositionFile({ io, directory: followers, name, logId: header.logId, fileMode, unlock, now });
    } catch (error) {
      throw refusal(error, name, followers);
    }
  }

  /** What is stored; `undefined` when nothing is. @throws `WAL_CORRUPT`, `WAL_IO_FAILED` */
  *read(): IoRoutine<FollowerFile | undefined> {
    try {
      return yield* readFollowerFile(this.#io, this.#path('file'), this.#name);
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Whether a file belongs to the log that is here. */
  isOfThisLog({ logId }: FollowerFile): boolean {
    return Buffer.compare(logId, this.#logId) === 0;
  }

  /**
   * Stores a position; durable on return. @returns when, by the clock of the follower
   *
   * @param storedAtMs - given where what was stored before is stored again, with the log that it belongs to
   */
  *store(
    position: StoredPosition | undefined,
    storedAtMs: number = Math.max(0, Math.floor(this.#now())),
    logId: Uint8Array = this.#logId,
  ): IoRoutine<number> {
    const bytes = encodeFollowerFile({ logId, name: this.#name, position, storedAtMs });
    yield* replaceFile(this.#io, this.#path('draft'), this.#path('file'), bytes, this.#fileMode);
    yield* ioSteps.syncDirectory(this.#io, this.#directory);
    return storedAtMs;
  }

  /** Removes what is stored. */
  *remove(): IoRoutine<void> {
    yield* ioSteps.remove(this.#io, this.#path('file'));
    yield* ioSteps.syncDirectory(this.#io, this.#directory);
  }

  /** Gives the name back. Idempotent. */
  unlock(): void {
    this.#unlock();
  }

  #path(kind: 'file' | 'draft'): string {
    return join(this.#directory, followerFileNames(this.#name)[kind]);
  }
}

const NO_RIGHT = new Set(['EACCES', 'EPERM', 'EROFS']);

/** The error for a name that cannot be taken. */
function refusal(error: unknown, name: string, directory: string): unknown {
  if (!WalError.is(error)) return error;
  const { code, holder, reason, systemCode } = error;
  const facts = { path: directory, ...(reason === undefined ? {} : { reason }) };
  if (code === 'WAL_LOCKED') {
    const by = holder === undefined ? '' : ` by ${holder}`;
    const what = `the follower ${JSON.stringify(name)} of ${directory} is open already${by}: a name is for one at a time`;
    return new WalError(
      'WAL_LOCKED',
      what,
      { ...facts, ...(holder === undefined ? {} : { holder }) },
      { cause: error },
    );
  }
  if (code === 'WAL_IO_FAILED' && systemCode !== undefined && NO_RIGHT.has(systemCode)) {
    const what =
      `a follower with a name stores its position in ${directory}, and this process may not write there (${systemCode}): ` +
      'give it the right to, or follow without a name, which holds nothing';
    return new WalError('WAL_IO_FAILED', what, { ...facts, systemCode }, { cause: error });
  }
  return error;
}

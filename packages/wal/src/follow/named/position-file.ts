import { join } from 'node:path';
import { FileName, type Lsn, WalError } from '@walstack/codec';
import { type FollowerFile, type FollowerSlot, followerFileNames, type StoredPosition } from '@walstack/codec/internal';
import { readChainBesideWriter } from '@walstack/mmap-reader/internal';
import { readFollowerFile } from '@walstack/segmented/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT, makeDirectories } from '@walstack/storage-io/internal';
import { SlotFile } from './slot-file.js';

/** The position of a follower in the directory of a log, locked against another follower of the same name. */
export class PositionFile {
  readonly #io: StorageIo;
  readonly #path: string;
  readonly #name: string;
  readonly #logId: Uint8Array;
  readonly #slots: SlotFile;
  readonly #unlock: () => void;
  readonly #now: () => number;

  private constructor(file: {
    readonly io: StorageIo;
    readonly path: string;
    readonly name: string;
    readonly logId: Uint8Array;
    readonly slots: SlotFile;
    readonly unlock: () => void;
    readonly now: () => number;
  }) {
    this.#io = file.io;
    this.#path = file.path;
    this.#name = file.name;
    this.#logId = file.logId;
    this.#slots = file.slots;
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
    const { logId } = header;
    const followers = join(directory, FileName.followers);
    const mode = (io.stat(path).mode ?? FILE_MODE_DEFAULT) | 0o600;
    const { file, draft, spare, lock } = followerFileNames(name);
    const at = (file: string): string => join(followers, file);
    const paths = { directory: followers, file: at(file), draft: at(draft), spare: at(spare), name };
    const slots = new SlotFile(io, paths, mode);
    try {
      makeDirectories(io, followers, (io.stat(directory).mode ?? DIRECTORY_MODE_DEFAULT) | 0o700);
      // The process that has made it may have died before this.
      yield* ioSteps.syncDirectory(io, directory);
      const unlock = io.lock(at(lock), mode);
      return new PositionFile({ io, path: at(file), name, logId, slots, unlock, now });
    } catch (error) {
      throw refusal(withoutRoom(error, name, ...NO_NAME), name, followers);
    }
  }

  /** What is stored; `undefined` when nothing is. @throws `WAL_CORRUPT`, `WAL_IO_FAILED` */
  *read(): IoRoutine<FollowerFile | undefined> {
    try {
      return yield* readFollowerFile(this.#io, this.#path, this.#name);
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Whether a slot belongs to the log that is here. */
  isOfThisLog({ logId }: FollowerSlot): boolean {
    return Buffer.compare(logId, this.#logId) === 0;
  }

  /**
   * Has the log keep what a follower needs that begins at a position, beside what is stored already, which stays until {@link store}.
   * Durable on return.
   *
   * @param before - what is stored
   * @throws `WAL_NO_SPACE`, `WAL_IO_FAILED`
   */
  *begin(position: StoredPosition | undefined, before: FollowerSlot | undefined): IoRoutine<void> {
    const newer = this.#slot(position);
    try {
      yield* this.#slots.make({ older: before ?? newer, newer });
    } catch (error) {
      throw withoutRoom(error, this.#name, ...NO_NAME);
    }
  }

  /** Stores a position; durable on return. @returns when, by the clock of the follower @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` */
  *store(position: StoredPosition): IoRoutine<number | undefined> {
    const slot = this.#slot(position);
    try {
      yield* this.#slots.store(slot);
    } catch (error) {
      const what = `could not store that it needs nothing before LSN ${position.lsn}`;
      const advice = 'acknowledge again when there is room';
      throw notStored(withoutRoom(error, this.#name, what, advice, position.lsn), this.#name, what, position.lsn);
    }
    return slot.storedAtMs;
  }

  /** Stores again what was stored before, with its time. */
  *putBack(before: FollowerSlot): IoRoutine<void> {
    yield* this.#slots.putBack(before);
  }

  /** Removes what is stored. */
  remove(): IoRoutine<void> {
    return this.#slots.remove();
  }

  /** Gives the name back. Idempotent. */
  unlock(): void {
    this.#unlock();
  }

  #slot(position: StoredPosition | undefined): FollowerSlot {
    return { logId: this.#logId, name: this.#name, position, storedAtMs: timeOf(this.#now) };
  }
}

/** What there is no room for, and what helps. */
const NO_NAME = ['could not take its name', 'follow again when there is room'] as const;

/** The time of a clock in whole milliseconds; `undefined` from a clock that has none. */
export function timeOf(now: () => unknown): number | undefined {
  let time: unknown;
  try {
    time = now();
  } catch {
    return undefined;
  }
  if (typeof time !== 'number' || Number.isNaN(time)) return undefined;
  return Math.min(Math.max(0, Math.floor(time)), Number.MAX_SAFE_INTEGER);
}

/** The error of a follower for which the disk has no room: what helps is not what helps a log. */
function withoutRoom(error: unknown, name: string, what: string, advice: string, lsn?: Lsn): unknown {
  if (!WalError.is(error, 'WAL_NO_SPACE')) return error;
  const { path, systemCode } = error;
  return new WalError(
    'WAL_NO_SPACE',
    `the follower ${JSON.stringify(name)} ${what}, as the disk is full: free some space and ${advice}`,
    {
      ...(path === undefined ? {} : { path }),
      ...(systemCode === undefined ? {} : { systemCode }),
      ...(lsn === undefined ? {} : { lsn }),
    },
    { cause: error },
  );
}

/** The error of a follower whose position could not be stored: reopening the log does not help it, and repeating does. */
function notStored(error: unknown, name: string, what: string, lsn: Lsn): unknown {
  if (!WalError.is(error, 'WAL_IO_FAILED')) return error;
  const { path, systemCode, reason } = error;
  const because = systemCode ?? reason ?? error.message;
  return new WalError(
    'WAL_IO_FAILED',
    `the follower ${JSON.stringify(name)} ${what} (${because}): acknowledge again; until that resolves, the log keeps what is not stored`,
    {
      ...(path === undefined ? {} : { path }),
      ...(systemCode === undefined ? {} : { systemCode }),
      ...(reason === undefined ? {} : { reason }),
      lsn,
    },
    { cause: error },
  );
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

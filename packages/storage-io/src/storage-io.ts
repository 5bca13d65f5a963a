import type { RingStats } from '@walstack/native';
import type { FileSystem } from './backends/file-system.js';
import type { CompletionBuffer } from './completion-buffer.js';

/** What a backend can do. None of it changes while the backend lives. */
export interface StorageIoCapabilities {
  /** Several writes of one file may be under way side by side. */
  readonly overlappedWrites: boolean;
  /**
   * `submitWrite(…, { durable: true })` is possible. On a file system that was not shown to honour it the backend
   * carries it out as a write and a datasync: see {@link StorageIo.fileSystem}, and `durableBySync` in the statistics.
   */
  readonly durableWrites: boolean;
  /** The work is done inside `submit*`: nothing is left to wait for when that returns. */
  readonly completesInline: boolean;
  /** `waitCompletions` works: the thread can block until operations have completed. */
  readonly canWait: boolean;
  /** Paths are files of the operating system with exactly the bytes written, so that they can be mapped. */
  readonly realFiles: boolean;
  /** `lockFile` works. */
  readonly fileLocks: boolean;
}

/** How a file is opened. */
export interface OpenOptions {
  /** Create the file when it is missing. Default `false`. */
  readonly create?: boolean;
  /** With `create`: fail with `WAL_IO_FAILED` (`systemCode` `EEXIST`) when it exists. Default `false`. */
  readonly exclusive?: boolean;
  /** Request direct I/O. {@link IoFile.direct} shows whether the file has it. Default `false`. */
  readonly direct?: boolean;
  /** Truncate the file to 0 bytes. Default `false`. */
  readonly truncate?: boolean;
  /**
   * Only read the file, which then need not be writable: on a read-only mount, or of another user. Not together with
   * `create` or `truncate`. Default `false`.
   */
  readonly readOnly?: boolean;
  /**
   * The permissions of the file where `create` makes it: the bits of `chmod`, 0 to 0o777, whatever the umask of the
   * process. An existing file keeps its own. Default `0o600`: its owner only.
   */
  readonly mode?: number;
}

/**
 * An open file of one backend. It is identified by the object, not by its number: when the system reuses a descriptor,
 * nothing is written to it through an old handle.
 */
export interface IoFile {
  /** A number that identifies it in messages. Never used twice by one backend. */
  readonly fd: number;
  readonly path: string;
  /** Whether the file has direct I/O, which may differ from what was requested. */
  readonly direct: boolean;
  /** Offsets, lengths and buffers must be multiples of this. 1 unless `direct`. */
  readonly alignment: number;
}

/** The result of {@link StorageIo.stat}. */
export interface IoStat {
  readonly kind: 'file' | 'directory' | 'other';
  /** In bytes; 0 for anything but a file. */
  readonly size: number;
  /** The permissions: the bits of `chmod`, 0 to 0o777. Absent on a backend or platform that has none. */
  readonly mode?: number;
}

/** How a write is to be carried out. */
export interface WriteOptions {
  /** Complete when on stable storage. Only with `capabilities.durableWrites`, otherwise `WAL_UNSUPPORTED`. */
  readonly durable?: boolean;
}

/** Counters since the backend was made. A frozen snapshot. */
export interface StorageIoStats {
  readonly submitted: number;
  readonly completed: number;
  /** Submitted and not yet completed by the backend. */
  readonly inFlight: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** `submitDatasync`, `submitSyncDirectory` and durable writes that succeeded. */
  readonly syncs: number;
  /** Durable writes that were carried out as a write and a datasync, because of their file system. */
  readonly durableBySync: number;
  /** Submissions refused with `WAL_QUEUE_FULL`. */
  readonly queueFullEvents: number;
  /** Files that asked for direct I/O and did not get it. */
  readonly directRefused: number;
  /** Counters of the ring; only of `io-uring`. */
  readonly ring?: RingStats;
}

/** Identifies a submission; a positive integer, never used twice by one backend. */
export type IoToken = number;

/**
 * Storage I/O by submission and completion. Operations that may wait for the disk are *submitted* and later
 * *completed*; operations on names only are plain calls that throw.
 *
 * The rules that every backend keeps, and that `@walstack/storage-io/conformance` checks:
 *
 * - The caller lends `data` and `into` until the token completes. A backend may use them in place and must not change
 *   `data`.
 * - Completions may come in any order, each token exactly once.
 * - The backend finishes short writes: a caller sees all the bytes written, or an error.
 * - A full queue is `WAL_QUEUE_FULL`, thrown with nothing submitted; a submission never waits silently, and is never
 *   lost.
 * - A file that is unknown to the backend or closed is `WAL_BAD_FD`, a disposed backend `WAL_CLOSED`, misaligned direct
 *   I/O `WAL_ALIGNMENT`, each thrown before anything is submitted.
 * - A failure of the disk is a negative result of the completion: `-errno` as libuv numbers it on this platform.
 *
 * A sync that failed is final: the kernel may have dropped the pages that it could not write, so a later sync that
 * succeeds proves nothing.
 */
export interface StorageIo {
  /** The name of the backend, such as `'sync-fs'`. */
  readonly name: string;
  readonly capabilities: StorageIoCapabilities;
  /** Submitted and not yet polled. */
  readonly pending: number;

  /**
   * Opens a file for reading and writing, or with `readOnly` for reading only: then changing it is `WAL_BAD_FD`, and so
   * is an exclusive lock.
   *
   * @throws `WAL_NOT_FOUND`, `WAL_IO_FAILED`, `WAL_NO_SPACE`, `WAL_CLOSED`
   */
  open(path: string, options?: OpenOptions): IoFile;
  /**
   * Closes a file.
   *
   * @throws `WAL_BUSY` while operations on it are in flight, `WAL_BAD_FD`; `WAL_IO_FAILED`, `WAL_NO_SPACE` when the
   * system reports them: the file is closed all the same
   */
  close(file: IoFile): void;
  /** The size of an open file in bytes; all completed writes are included. */
  size(file: IoFile): number;
  /**
   * How many names (hard links) an open file has: 0 when it was removed. `undefined` when the backend does not know,
   * and so is every file of a backend without this call.
   */
  links?(file: IoFile): number | undefined;
  /** The names in a directory, sorted; without `.` and `..`. @throws `WAL_NOT_FOUND`, `WAL_IO_FAILED` */
  list(directory: string): string[];
  /**
   * Renames a file or directory. A file of that name is replaced, and stays unchanged for those that have it open.
   * Durable once its directory is synced.
   */
  rename(from: string, to: string): void;
  /**
   * Gives a file a second name (a hard link): it has both, until one is removed or given to another file. Durable once the
   * directory of the new name is synced. Optional: where it is missing, or refused, files are copied.
   *
   * @throws `WAL_UNSUPPORTED` on a backend that cannot; `WAL_NOT_FOUND`; `WAL_IO_FAILED` with the `systemCode` `EEXIST` when
   * the new name is taken, and with others where the file system cannot, such as `EXDEV` between two file systems
   */
  link?(from: string, to: string): void;
  /**
   * Makes one directory, whose parent exists. Durable once the parent is synced.
   *
   * @param mode - its permissions, as {@link OpenOptions.mode}. Default `0o700`: its owner only
   * @throws `WAL_IO_FAILED` (`systemCode` `EEXIST`) when the name is taken
   */
  makeDirectory(path: string, mode?: number): void;
  /** @throws `WAL_NOT_FOUND` when there is nothing of that name, `WAL_IO_FAILED` */
  stat(path: string): IoStat;
  /** What is known of the file system that a path lies on; `undefined` when nothing is known. Optional. */
  fileSystem?(path: string): FileSystem | undefined;
  /**
   * Locks `path` against every other writer, without waiting, and returns what releases it. The file is created when
   * missing and never removed. The lock of a process that died is free.
   *
   * @param mode - the permissions of the file where this makes it, as {@link OpenOptions.mode}
   * @throws `WAL_LOCKED` with its `holder`
   */
  lock(path: string, mode?: number): () => void;
  /**
   * Takes a lock on an open file, without waiting; it replaces a lock that this open file has, and is released when the
   * file is closed.
   *
   * @returns whether the lock was obtained
   * @throws `WAL_UNSUPPORTED` without `capabilities.fileLocks`, and where the file system of this file has no locks
   */
  lockFile(file: IoFile, mode: 'shared' | 'exclusive'): boolean;

  /** Writes all of `data` at `offset`. Result: `data.length`. Durable only with the option `durable`. */
  submitWrite(file: IoFile, data: Uint8Array, offset: number, options?: WriteOptions): IoToken;
  /** Writes all of `data` at the end of the file; appends to one file take effect in the order of submission. */
  submitAppend(file: IoFile, data: Uint8Array): IoToken;
  /** Reads into `into` from `offset`. Result: bytes read, fewer than requested only at the end of the file. */
  submitRead(file: IoFile, into: Uint8Array, offset: number): IoToken;
  /**
   * Makes durable every write to this file that had **completed** before this was submitted, also through another open
   * file of this backend, and the file's size; nothing else. Result: 0. Of several at the same time, each fails when
   * what it should make durable may not be durable.
   */
  submitDatasync(file: IoFile): IoToken;
  /** Makes the names in a directory durable. Result: 0. */
  submitSyncDirectory(path: string): IoToken;
  /**
   * Truncates or extends a file to `bytes`. Result: 0. Durable after a datasync.
   *
   * @throws `WAL_BUSY` while operations on the file are in flight
   */
  submitTruncate(file: IoFile, bytes: number): IoToken;
  /**
   * Reserves the range: afterwards the file extends at least to its end; existing bytes are unchanged, and the others
   * are zeros. Result: 0.
   */
  submitAllocate(file: IoFile, offset: number, bytes: number): IoToken;
  /**
   * Removes a file, which stays unchanged for those that have it open. Result: 0. Durable once its directory is synced.
   */
  submitRemove(path: string): IoToken;

  /** Submits queued operations to the kernel, and returns how many there were. */
  flush(): number;
  /** Moves completions into `out`, replacing its content, and returns how many. Never waits. */
  pollCompletions(out: CompletionBuffer): number;
  /**
   * Flushes, then blocks the thread until at least `minimum` completions are available (or as many as are pending, or
   * as fit into `out`), or until `timeoutMs` has passed.
   *
   * @throws `WAL_UNSUPPORTED` without `capabilities.canWait`
   */
  waitCompletions(out: CompletionBuffer, minimum: number, timeoutMs?: number): number;
  /**
   * Calls `listener` on the event loop when completions wait to be polled: level-triggered, sometimes without need,
   * never from inside another call of this backend, and again as long as some are left. One listener at a time;
   * `undefined` removes it.
   */
  onReady(listener: (() => void) | undefined): void;

  /** Zeroed memory, aligned as direct I/O of this backend needs it. */
  allocateBuffer(bytes: number): Uint8Array;
  stats(): StorageIoStats;
  /**
   * Waits for what is in flight, lets its completions be polled, closes every file and releases every lock. Idempotent.
   * Every other call is `WAL_CLOSED` at once, except `stats`, and `pollCompletions` until disposal has ended: the
   * listener is called when operations complete, and again as long as it polls some of what is left; the rest is
   * dropped. What the listener throws is an uncaught exception, as always. Rejects with the first failure of closing a
   * file or releasing a lock.
   */
  dispose(): Promise<void>;
  /** The same as `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

import { invalidType } from '@walstack/codec/internal';
import type { FileSystem } from '../backends/file-system.js';
import type { IoStat } from '../storage-io.js';

/** How {@link FileNamespaceOps.open} is to open a file, with defaults filled in. */
export interface OpenFlags {
  readonly create: boolean;
  /** Only ever `true` together with `create`. */
  readonly exclusive: boolean;
  /** Only ever `true` when the operations have {@link FileNamespaceOps.directAlignment}. */
  readonly direct: boolean;
  readonly truncate: boolean;
  /** The file will not be written. Only ever `true` without `create` and `truncate`. */
  readonly readOnly: boolean;
  /** The permissions of the file where this makes it; of no meaning without `create`. */
  readonly mode: number;
}

/**
 * The operations of a backend on names and open files, not on data: plain synchronous functions that throw. What they
 * throw should be an error as Node.js throws it, with a `code` such as `'ENOENT'`; it reaches the caller as the `cause`
 * of a `WalError`. A `WalError` is passed on as it is. A function that returns a promise counts as failed.
 *
 * `Handle` identifies an open file for the operations: a number, an object, anything.
 */
export interface FileNamespaceOps<Handle> {
  /** The name of the backend, for messages and statistics. */
  readonly name: string;
  /** Whether paths are files of the operating system with exactly the bytes that were written. */
  readonly realFiles: boolean;
  /** Whether several writes to one file in flight at once are faster than one at a time. Default `false`. */
  readonly overlappedWrites?: boolean;

  /** Opens a file for reading and writing; with `readOnly` reading is enough. Fails for a directory. */
  open(path: string, flags: OpenFlags): Handle;
  /** Closes a handle. Never called while an operation on it is in flight, and never twice for one handle. */
  close(handle: Handle): void;
  /** The size of an open file in bytes. */
  size(handle: Handle): number;
  /** How many names an open file has. Without it, `links` of the backend is `undefined` for every file. */
  links?(handle: Handle): number;
  /** The names in a directory, in any order. */
  list(directory: string): string[];
  /** Renames a file or directory, replacing a file of that name. */
  rename(from: string, to: string): void;
  /** Gives a file a second name, which must not be taken. Without it, `link` of the backend is `WAL_UNSUPPORTED`. */
  link?(from: string, to: string): void;
  /** Makes one directory, with these permissions. */
  makeDirectory(path: string, mode: number): void;
  stat(path: string): IoStat;
  /**
   * Locks `path` without waiting, and returns what releases it; `WAL_LOCKED` when it is locked already. Where it makes a
   * file, that has these permissions.
   */
  lock(path: string, mode: number): () => void;
  /** What is known of the file system that a path lies on. Without it, nothing is. */
  fileSystem?(path: string): FileSystem | undefined;
  /**
   * Takes a lock on an open file without waiting. Without it, `capabilities.fileLocks` is `false`; `WAL_UNSUPPORTED` where
   * the file system has none.
   */
  lockFile?(handle: Handle, mode: 'shared' | 'exclusive'): boolean;
  /**
   * Called after `open` with `direct`: returns the alignment in bytes, a power of two, when the file has direct I/O,
   * and 1 when it does not. Without it no file gets direct I/O. Needs `allocateBuffer`.
   */
  directAlignment?(handle: Handle): number;
  /** Allocates zeroed memory that is aligned for direct I/O. Without it, ordinary memory is used. */
  allocateBuffer?(bytes: number): Uint8Array;
}

/**
 * The operations of a backend whose data operations are done when they return. They throw on failure, as {@link
 * FileNamespaceOps} describes; an error with neither a `code` nor an `errno` counts as `EIO`, and so does a returned
 * promise.
 */
export interface SyncFileOps<Handle> extends FileNamespaceOps<Handle> {
  /** Reads into `into` from `offset` and returns the bytes read: any number, 0 only at the end of the file. */
  read(handle: Handle, into: Uint8Array, offset: number): number;
  /** Writes at `offset` and returns the bytes written: any number but 0. It must not change `data`. */
  write(handle: Handle, data: Uint8Array, offset: number): number;
  /** Like `write`, durable on return. Without it, `capabilities.durableWrites` is `false`. */
  writeDurable?(handle: Handle, data: Uint8Array, offset: number): number;
  /** Makes the data and the size of a file durable. */
  datasync(handle: Handle): void;
  /** Cuts a file to `bytes`, or extends it with zeros. */
  truncate(handle: Handle, bytes: number): void;
  /** Reserves a range. Without it, zeros are written after the end of the file. */
  allocate?(handle: Handle, offset: number, bytes: number): void;
  /** Removes a file; fails for a directory. */
  remove(path: string): void;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): void;
}

/** Reports that an operation has failed or succeeded. To be called exactly once, at once or later. */
export type Done = (error?: Error | null | undefined) => void;

/** Reports that an operation has failed, or how many bytes it moved. To be called exactly once, at once or later. */
export type DoneWithCount = (error: Error | null | undefined, count?: number) => void;

/**
 * The operations of a backend whose data operations call back, as those of `node:fs` do. Each means the same as the one
 * of that name in {@link SyncFileOps}.
 */
export interface AsyncFileOps<Handle> extends FileNamespaceOps<Handle> {
  read(handle: Handle, into: Uint8Array, offset: number, done: DoneWithCount): void;
  write(handle: Handle, data: Uint8Array, offset: number, done: DoneWithCount): void;
  writeDurable?(handle: Handle, data: Uint8Array, offset: number, done: DoneWithCount): void;
  datasync(handle: Handle, done: Done): void;
  truncate(handle: Handle, bytes: number, done: Done): void;
  allocate?(handle: Handle, offset: number, bytes: number, done: Done): void;
  remove(path: string, done: Done): void;
  syncDirectory(path: string, done: Done): void;
  /**
   * Blocks the thread, running callbacks of operations, until `enough` returns `true`, no operation is in flight any
   * more, or `timeoutMs` have passed (`undefined`: no limit). Without this function, `capabilities.canWait` is `false`.
   */
  wait?(enough: () => boolean, timeoutMs: number | undefined): void;
}

/** Options of `fromSyncFileOps`, `fromAsyncFileOps` and of every backend made with them. */
export interface FileOpsOptions {
  /** How many submissions may wait to be polled before `WAL_QUEUE_FULL`; 1 to 1,048,576. Default 4096. */
  readonly maxPending?: number;
}

const REQUIRED: readonly string[] = [
  'open',
  'close',
  'size',
  'list',
  'rename',
  'makeDirectory',
  'stat',
  'lock',
  'read',
  'write',
  'datasync',
  'truncate',
  'remove',
  'syncDirectory',
];
const OPTIONAL: readonly string[] = [
  'fileSystem',
  'link',
  'links',
  'lockFile',
  'directAlignment',
  'allocateBuffer',
  'writeDurable',
  'allocate',
  'wait',
];

/** Checks that all required operations are present. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkFileOps(ops: FileNamespaceOps<unknown>): void {
  if (typeof ops !== 'object' || ops === null) throw invalidType('ops', 'an object', ops);
  if (typeof ops.name !== 'string') throw invalidType('ops.name', 'a string', ops.name);
  if (typeof ops.realFiles !== 'boolean') throw invalidType('ops.realFiles', 'a boolean', ops.realFiles);
  const functions = ops as unknown as Readonly<Record<string, unknown>>;
  for (const name of REQUIRED) {
    if (typeof functions[name] !== 'function') throw invalidType(`ops.${name}`, 'a function', functions[name]);
  }
  for (const name of OPTIONAL) {
    const value = functions[name];
    if (value !== undefined && typeof value !== 'function') throw invalidType(`ops.${name}`, 'a function', value);
  }
  if (ops.directAlignment !== undefined && ops.allocateBuffer === undefined) {
    throw invalidType('ops.allocateBuffer', 'a function where there is ops.directAlignment', undefined);
  }
}

import { WalError } from '@walstack/codec';
import type {
  AsyncFileOps,
  DoneWithCount,
  FileNamespaceOps,
  FileOpsOptions,
  OpenFlags,
  StorageIo,
  SyncFileOps,
} from '@walstack/storage-io';
import { fromAsyncFileOps, fromSyncFileOps } from '@walstack/storage-io';
import type { ConformanceBackend, ConformanceCreateOptions } from '@walstack/storage-io/conformance';

/** A file of {@link TinyFiles}: the handle, too. */
export interface TinyFile {
  bytes: Uint8Array;
  /** How many handles are open; nothing may be done to a file that is not. */
  open: number;
}

export const coded = (code: string): Error => Object.assign(new Error(code), { code });

/** A file system by hand, as small as it gets: what a plugin author might start with. */
export class TinyFiles {
  readonly entries = new Map<string, TinyFile | 'directory'>([['d', 'directory']]);
  readonly locks = new Set<string>();
  /** What was asked of it, in order. */
  readonly calls: string[] = [];
  /** How many of the bytes that could be moved are. */
  piece: (length: number) => number = (length) => length;
  /** The code of the error that an operation ends with. */
  fault: (operation: string, count: number) => string | undefined = () => undefined;
  #count = 0;

  /** The operations on names, for both kinds. */
  readonly namespace: FileNamespaceOps<TinyFile> = {
    name: 'tiny',
    realFiles: false,
    open: (path, flags) => this.#open(path, flags),
    close: (file) => {
      this.#enter('close', file);
      file.open -= 1;
    },
    size: (file) => {
      this.#enter('size', file);
      return file.bytes.length;
    },
    list: (directory) => {
      this.#directory(directory);
      const inside = [...this.entries.keys()].filter((path) => parent(path) === directory);
      return inside.map((path) => path.slice(directory.length + 1)).reverse();
    },
    rename: (from, to) => {
      this.#directory(parent(to));
      const moved = this.#get(from);
      if (this.entries.get(to) === 'directory') throw coded(moved === 'directory' ? 'ENOTEMPTY' : 'EISDIR');
      for (const [path, entry] of [...this.entries]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        this.entries.delete(path);
        this.entries.set(to + path.slice(from.length), entry);
      }
    },
    makeDirectory: (path) => {
      this.#directory(parent(path));
      if (this.entries.has(path)) throw coded('EEXIST');
      this.entries.set(path, 'directory');
    },
    stat: (path) => {
      const entry = this.#get(path);
      if (entry === 'directory') return { kind: 'directory', size: 0 };
      return { kind: 'file', size: entry.bytes.length };
    },
    lock: (path) => {
      if (this.locks.has(path)) throw new WalError('WAL_LOCKED', 'locked', { path, holder: 'another' });
      const file = this.#open(path, {
        create: true,
        exclusive: false,
        direct: false,
        truncate: false,
        readOnly: false,
        mode: 0o600,
      });
      file.open -= 1;
      this.locks.add(path);
      return () => this.locks.delete(path);
    },
  };

  read(file: TinyFile, into: Uint8Array, offset: number): number {
    this.#enter('read', file);
    const there = file.bytes.slice(offset, offset + into.length);
    const moved = there.slice(0, there.length === 0 ? 0 : this.piece(there.length));
    into.set(moved);
    return moved.length;
  }

  write(file: TinyFile, data: Uint8Array, offset: number): number {
    this.#enter('write', file);
    const moved = data.subarray(0, this.piece(data.length));
    if (offset + moved.length > file.bytes.length) resize(file, offset + moved.length);
    file.bytes.set(moved, offset);
    return moved.length;
  }

  datasync(file: TinyFile): void {
    this.#enter('datasync', file);
  }

  truncate(file: TinyFile, bytes: number): void {
    this.#enter('truncate', file);
    resize(file, bytes);
  }

  remove(path: string): void {
    this.#enter('remove');
    if (this.#get(path) === 'directory') throw coded('EISDIR');
    this.entries.delete(path);
  }

  syncDirectory(path: string): void {
    this.#enter('syncDirectory');
    this.#directory(path);
  }

  #open(path: string, flags: OpenFlags): TinyFile {
    this.#enter('open');
    this.#directory(parent(path));
    const found = this.entries.get(path);
    if (found === 'directory') throw coded('EISDIR');
    if (found === undefined && !flags.create) throw coded('ENOENT');
    if (found !== undefined && flags.exclusive) throw coded('EEXIST');
    const file = found ?? { bytes: new Uint8Array(0), open: 0 };
    if (flags.truncate) resize(file, 0);
    this.entries.set(path, file);
    file.open += 1;
    return file;
  }

  #enter(operation: string, file?: TinyFile): void {
    if (file !== undefined && file.open === 0) throw new Error(`${operation} of a file that is not open`);
    this.calls.push(operation);
    this.#count += 1;
    const fault = this.fault(operation, this.#count);
    if (fault !== undefined) throw coded(fault);
  }

  #get(path: string): TinyFile | 'directory' {
    const entry = this.entries.get(path);
    if (entry === undefined) throw coded('ENOENT');
    return entry;
  }

  #directory(path: string): void {
    if (this.#get(path) !== 'directory') throw coded('ENOTDIR');
  }
}

function resize(file: TinyFile, bytes: number): void {
  const resized = new Uint8Array(bytes);
  resized.set(file.bytes.subarray(0, bytes));
  file.bytes = resized;
}

const parent = (path: string): string => path.slice(0, path.lastIndexOf('/'));

export function tinySyncOps(files: TinyFiles): SyncFileOps<TinyFile> {
  return {
    ...files.namespace,
    read: (file, into, offset) => files.read(file, into, offset),
    write: (file, data, offset) => files.write(file, data, offset),
    datasync: (file) => files.datasync(file),
    truncate: (file, bytes) => files.truncate(file, bytes),
    remove: (path) => files.remove(path),
    syncDirectory: (path) => files.syncDirectory(path),
  };
}

/** When an operation that calls back does its work and answers: `work` does both. */
export type Schedule = (work: () => void) => void;

export function tinyAsyncOps(files: TinyFiles, schedule: Schedule): AsyncFileOps<TinyFile> {
  const later = (done: DoneWithCount, work: () => unknown): void =>
    schedule(() => {
      let count: unknown;
      try {
        count = work();
      } catch (error) {
        done(error as Error);
        return;
      }
      if (typeof count === 'number') done(null, count);
      else done(null);
    });
  return {
    ...files.namespace,
    read: (file, into, offset, done) => later(done, () => files.read(file, into, offset)),
    write: (file, data, offset, done) => later(done, () => files.write(file, data, offset)),
    datasync: (file, done) => later(done, () => files.datasync(file)),
    truncate: (file, bytes, done) => later(done, () => files.truncate(file, bytes)),
    remove: (path, done) => later(done, () => files.remove(path)),
    syncDirectory: (path, done) => later(done, () => files.syncDirectory(path)),
  };
}

/** Answers while it is being called. */
export const atOnce: Schedule = (work) => work();
/** Answers in a later turn of the event loop. */
export const inATurn: Schedule = (work) => {
  setImmediate(work);
};
/** Gathers work, and does the newest first. */
export function newestFirst(): Schedule {
  let gathered: (() => void)[] = [];
  return (work) => {
    if (gathered.length === 0) {
      setImmediate(() => {
        const turn = gathered.reverse();
        gathered = [];
        for (const each of turn) each();
      });
    }
    gathered.push(work);
  };
}

/** Work that is done when the test says so. */
export class ByHand {
  readonly waiting: (() => void)[] = [];
  readonly schedule: Schedule = (work) => {
    this.waiting.push(work);
  };

  /** Does the oldest piece of work, or the one at `index`. */
  step(index = 0): void {
    const [work] = this.waiting.splice(index, 1);
    if (work === undefined) throw new Error('nothing to do');
    work();
  }

  /** Does everything, and what comes of it. */
  all(): void {
    while (this.waiting.length > 0) this.step();
  }
}

/** A tiny backend for the conformance suite. */
export const tiny =
  (make: (files: TinyFiles, options: FileOpsOptions | undefined) => StorageIo, prepare?: (files: TinyFiles) => void) =>
  (options?: ConformanceCreateOptions): ConformanceBackend => {
    const files = new TinyFiles();
    prepare?.(files);
    return { io: make(files, options), directory: 'd', another: () => make(files, undefined) };
  };

export const tinySync = (files: TinyFiles, options?: FileOpsOptions): StorageIo =>
  fromSyncFileOps(tinySyncOps(files), options);

export const tinyAsync =
  (schedule: () => Schedule) =>
  (files: TinyFiles, options?: FileOpsOptions): StorageIo =>
    fromAsyncFileOps(tinyAsyncOps(files, schedule()), options);

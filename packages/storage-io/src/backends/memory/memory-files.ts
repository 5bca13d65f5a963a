import { WalError } from '@walstack/codec';
import type { OpenFlags } from '../../engine/file-ops.js';
import { namesOf } from '../../errors/path-names.js';
import { errnoNamed, systemError } from '../../errors/system-error.js';
import type { IoStat } from '../../storage-io.js';

/** A file in memory. */
interface MemoryFile {
  readonly kind: 'file';
  readonly mode: number;
  /** At least as long as the file; zeros after its end. */
  bytes: Uint8Array;
  size: number;
  /** How many names it has: 0 once all are removed. */
  links: number;
  /** Whether it is locked by {@link MemoryFiles.lock}. */
  locked: boolean;
  /** The handles that hold shared locks on it. */
  readonly sharedBy: Set<MemoryHandle>;
  exclusiveBy: MemoryHandle | undefined;
}

interface MemoryDirectory {
  readonly kind: 'directory';
  readonly mode: number;
  readonly entries: Map<string, MemoryFile | MemoryDirectory>;
}

/** An open file of a {@link MemoryFiles}. */
export interface MemoryHandle {
  readonly file: MemoryFile;
}

/** A file is one array, and no array may be longer. */
const FILE_BYTES_MAX = 2 ** 32;
const FIRST_BYTES = 4096;

const failure = (code: string, syscall: string, path?: string): Error => systemError(errnoNamed(code), syscall, path);

const newDirectory = (mode: number): MemoryDirectory => ({ kind: 'directory', mode, entries: new Map() });

/** A file system in memory. Its errors are those that `node:fs` would throw. */
export class MemoryFiles {
  readonly #root = newDirectory(0o755);

  open(path: string, { create, exclusive, truncate, mode }: Omit<OpenFlags, 'direct' | 'readOnly'>): MemoryHandle {
    const { directory, name } = this.#parent('open', path);
    const found = name === '' ? this.#root : directory.entries.get(name);
    if (found?.kind === 'directory') throw failure('EISDIR', 'open', path);
    if (found !== undefined && exclusive) throw failure('EEXIST', 'open', path);
    if (found === undefined && !create) throw failure('ENOENT', 'open', path);
    const file = found ?? newFile(mode);
    directory.entries.set(name, file);
    const handle = { file };
    if (truncate) this.truncate(handle, 0);
    return handle;
  }

  close(handle: MemoryHandle): void {
    unlock(handle);
  }

  read({ file }: MemoryHandle, into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, file.size - offset));
    into.set(file.bytes.subarray(offset, offset + count));
    return count;
  }

  write({ file }: MemoryHandle, data: Uint8Array, offset: number): number {
    growTo(file, offset + data.length);
    file.bytes.set(data, offset);
    return data.length;
  }

  truncate({ file }: MemoryHandle, bytes: number): void {
    if (bytes < file.size) {
      file.bytes.fill(0, bytes, file.size);
      file.size = bytes;
    }
    growTo(file, bytes);
  }

  allocate({ file }: MemoryHandle, offset: number, bytes: number): void {
    growTo(file, offset + bytes);
  }

  remove(path: string): void {
    const { directory, name } = this.#parent('unlink', path);
    const found = directory.entries.get(name);
    if (name === '' || found?.kind === 'directory') throw failure('EISDIR', 'unlink', path);
    if (found === undefined) throw failure('ENOENT', 'unlink', path);
    directory.entries.delete(name);
    found.links--;
  }

  list(path: string): string[] {
    return [...this.#directory('scandir', path).entries.keys()];
  }

  syncDirectory(path: string): void {
    this.#directory('fsync', path);
  }

  makeDirectory(path: string, mode: number): void {
    const { directory, name } = this.#parent('mkdir', path);
    if (name === '' || directory.entries.has(name)) throw failure('EEXIST', 'mkdir', path);
    directory.entries.set(name, newDirectory(mode));
  }

  rename(from: string, to: string): void {
    const source = this.#parent('rename', from);
    const target = this.#parent('rename', to);
    const moved = source.directory.entries.get(source.name);
    if (moved === undefined) throw failure('ENOENT', 'rename', from);
    const replaced = target.directory.entries.get(target.name);
    if (moved === replaced) return;
    if (replaced?.kind === 'directory') throw failure(moved.kind === 'file' ? 'EISDIR' : 'ENOTEMPTY', 'rename', to);
    if (replaced?.kind === 'file' && moved.kind === 'directory') throw failure('ENOTDIR', 'rename', to);
    if (moved.kind === 'directory' && contains(moved, target.directory)) throw failure('EINVAL', 'rename', to);
    source.directory.entries.delete(source.name);
    if (replaced?.kind === 'file') replaced.links--;
    target.directory.entries.set(target.name, moved);
  }

  link(from: string, to: string): void {
    const source = this.#parent('link', from);
    const target = this.#parent('link', to);
    const found = source.name === '' ? this.#root : source.directory.entries.get(source.name);
    if (found === undefined) throw failure('ENOENT', 'link', from);
    if (found.kind === 'directory') throw failure('EPERM', 'link', from);
    if (target.name === '' || target.directory.entries.has(target.name)) throw failure('EEXIST', 'link', to);
    target.directory.entries.set(target.name, found);
    found.links++;
  }

  stat(path: string): IoStat {
    const { directory, name } = this.#parent('stat', path);
    const found = name === '' ? this.#root : directory.entries.get(name);
    if (found === undefined) throw failure('ENOENT', 'stat', path);
    return { kind: found.kind, size: found.kind === 'file' ? found.size : 0, mode: found.mode };
  }

  lock(path: string, mode: number): () => void {
    const { file } = this.open(path, { create: true, exclusive: false, truncate: false, mode });
    if (file.locked) {
      const holder = 'another backend of the same memory';
      throw new WalError('WAL_LOCKED', `${path} is held by ${holder}: close the log there, then try again`, {
        path,
        holder,
        reason: 'held',
      });
    }
    file.locked = true;
    return () => {
      file.locked = false;
    };
  }

  lockFile(handle: MemoryHandle, mode: 'shared' | 'exclusive'): boolean {
    const { file } = handle;
    const othersShare = file.sharedBy.size > (file.sharedBy.has(handle) ? 1 : 0);
    if (file.exclusiveBy !== undefined && file.exclusiveBy !== handle) return false;
    if (mode === 'exclusive' && othersShare) return false;
    unlock(handle);
    if (mode === 'shared') file.sharedBy.add(handle);
    else file.exclusiveBy = handle;
    return true;
  }

  /** The directory that a path's last name is in; the name is empty for the root itself. */
  #parent(syscall: string, path: string): { readonly directory: MemoryDirectory; readonly name: string } {
    const names = namesOf(path);
    const name = names.pop() ?? '';
    let directory = this.#root;
    for (const each of names) {
      const next = directory.entries.get(each);
      if (next === undefined) throw failure('ENOENT', syscall, path);
      if (next.kind === 'file') throw failure('ENOTDIR', syscall, path);
      directory = next;
    }
    return { directory, name };
  }

  #directory(syscall: string, path: string): MemoryDirectory {
    const { directory, name } = this.#parent(syscall, path);
    const found = name === '' ? this.#root : directory.entries.get(name);
    if (found === undefined) throw failure('ENOENT', syscall, path);
    if (found.kind === 'file') throw failure('ENOTDIR', syscall, path);
    return found;
  }
}

const newFile = (mode: number): MemoryFile => ({
  kind: 'file',
  mode,
  bytes: new Uint8Array(0),
  size: 0,
  links: 1,
  locked: false,
  sharedBy: new Set(),
  exclusiveBy: undefined,
});

/** Extends a file with zeros to `end`, if it is shorter. */
function growTo(file: MemoryFile, end: number): void {
  if (end > FILE_BYTES_MAX) throw failure('EFBIG', 'write');
  if (end > file.bytes.length) file.bytes = enlarged(file.bytes, end);
  if (end > file.size) file.size = end;
}

/** At least doubles the size, so that a growing file is not copied at every write. */
function enlarged(bytes: Uint8Array, end: number): Uint8Array {
  const length = Math.min(FILE_BYTES_MAX, Math.max(end, 2 * bytes.length, FIRST_BYTES));
  try {
    const larger = new Uint8Array(length);
    larger.set(bytes);
    return larger;
  } catch {
    throw failure('ENOSPC', 'write');
  }
}

function unlock(handle: MemoryHandle): void {
  handle.file.sharedBy.delete(handle);
  if (handle.file.exclusiveBy === handle) handle.file.exclusiveBy = undefined;
}

/** Whether `wanted` is `directory` or lies anywhere in it. */
function contains(directory: MemoryDirectory, wanted: MemoryDirectory): boolean {
  if (directory === wanted) return true;
  for (const entry of directory.entries.values()) {
    if (entry.kind === 'directory' && contains(entry, wanted)) return true;
  }
  return false;
}

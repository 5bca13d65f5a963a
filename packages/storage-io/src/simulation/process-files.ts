import { WalError } from '@walstack/codec';
import type { OpenFlags } from '../engine/file-ops.js';
import { namesOf } from '../errors/path-names.js';
import type { IoStat } from '../storage-io.js';
import type { DirectoryInode } from './disk/directory-inode.js';
import type { DiskCore, Place } from './disk/disk-core.js';
import type { FileInode } from './disk/file-inode.js';
import type { LockTable } from './disk/lock-table.js';
import { codeOf, diskError, dropsBytes, type FaultKind, type OperationKind } from './disk/operation.js';
import { SECTOR_BYTES } from './disk/sector.js';

/** The maximum size of a file in bytes. */
const FILE_BYTES_MAX = 2 ** 32;

/** A file that one process has open. */
export interface SimulatedHandle {
  readonly file: FileInode;
  readonly path: string;
  /** Opened for direct I/O, which leaves no file that ends within a unit of alignment. */
  readonly direct: boolean;
}

/** An operation that was begun, and how to complete it. */
export interface Begun {
  /** Does the work. Returns the bytes moved, 0 for operations that move none. Throws on failure. */
  finish(): number;
  /** Called instead when it is never completed. */
  abandon(): void;
}

/** Settings of a process's view of its disk. */
export interface ProcessSettings {
  /** Whether writes are recorded when they begin, because they end later. */
  readonly takesTime: boolean;
  readonly shortWrites: boolean;
  /** Writes are made in multiples of this. */
  readonly alignment: number;
}

/** The files of one process on a disk. After the process is killed every call is `WAL_CLOSED`. */
export class ProcessFiles {
  readonly #core: DiskCore;
  readonly #locks: LockTable;
  readonly #settings: ProcessSettings;
  #alive = true;

  constructor(core: DiskCore, locks: LockTable, settings: ProcessSettings) {
    this.#core = core;
    this.#locks = locks;
    this.#settings = settings;
  }

  get alive(): boolean {
    return this.#alive && !this.#core.off;
  }

  /** Ends the process as SIGKILL does: its locks are free. */
  kill(): void {
    this.#alive = false;
    this.#locks.releaseAll(this);
  }

  open(path: string, flags: OpenFlags): SimulatedHandle {
    const { truncate, direct } = flags;
    const file = this.#openFile(this.#place('open', path), path, flags);
    const handle = { file, path, direct };
    if (truncate && file.size > 0) this.#core.change({ kind: 'resize', inode: file.id, bytes: 0 });
    return handle;
  }

  close(handle: SimulatedHandle): void {
    this.#locks.releaseFile(handle);
  }

  size({ file }: SimulatedHandle): number {
    this.#requireAlive();
    return file.size;
  }

  links({ file }: SimulatedHandle): number {
    this.#requireAlive();
    return this.#core.state.linksOf(file.id);
  }

  list(path: string): string[] {
    this.#throwFault('list', path);
    return [...this.#directory('list', path).entries.keys()];
  }

  stat(path: string): IoStat {
    this.#throwFault('stat', path);
    const { found } = this.#place('stat', path);
    if (found === undefined) throw diskError('ENOENT', 'stat', path);
    return { kind: found.kind, size: found.kind === 'file' ? found.size : 0, mode: found.mode };
  }

  rename(from: string, to: string): void {
    this.#throwFault('rename', from);
    const source = this.#place('rename', from);
    const target = this.#place('rename', to);
    const moved = source.found;
    const replaced = target.found;
    if (moved === undefined) throw diskError('ENOENT', 'rename', from);
    if (moved === replaced) return;
    if (replaced?.kind === 'directory') throw diskError(moved.kind === 'file' ? 'EISDIR' : 'ENOTEMPTY', 'rename', to);
    if (replaced?.kind === 'file' && moved.kind === 'directory') throw diskError('ENOTDIR', 'rename', to);
    if (moved.kind === 'directory' && this.#holds(moved, target.directory)) throw diskError('EINVAL', 'rename', to);
    this.#core.change({
      kind: 'rename',
      directory: source.directory.id,
      name: source.name,
      toDirectory: target.directory.id,
      toName: target.name,
    });
  }

  link(from: string, to: string): void {
    this.#throwFault('link', from);
    const source = this.#place('link', from);
    const target = this.#place('link', to);
    if (source.found === undefined) throw diskError('ENOENT', 'link', from);
    if (source.found.kind === 'directory') throw diskError('EPERM', 'link', from);
    if (target.found !== undefined) throw diskError('EEXIST', 'link', to);
    this.#requireRoom('link', to);
    this.#core.change({
      kind: 'link',
      directory: source.directory.id,
      name: source.name,
      toDirectory: target.directory.id,
      toName: target.name,
    });
  }

  makeDirectory(path: string, mode: number): void {
    this.#throwFault('make-directory', path);
    const { directory, name, found } = this.#place('make-directory', path);
    if (found !== undefined) throw diskError('EEXIST', 'make-directory', path);
    this.#requireRoom('make-directory', path);
    const inode = this.#core.state.nextInode;
    this.#core.change({ kind: 'make-directory', directory: directory.id, name, inode, mode });
  }

  lock(path: string, mode: number): () => void {
    const file = this.#openFile(this.#place('open', path), path, { create: true, exclusive: false, mode });
    return this.#locks.lockPath(this, file.id, path);
  }

  lockFile(handle: SimulatedHandle, mode: 'shared' | 'exclusive'): boolean {
    this.#requireAlive();
    return this.#locks.lockFile(this, handle, mode);
  }

  read({ file, path }: SimulatedHandle, into: Uint8Array, offset: number): Begun {
    const fault = this.#fault('read', path);
    return begun(() => {
      if (fault !== undefined) throw diskError(codeOf(fault), 'read', path);
      return file.read(into, offset);
    });
  }

  write(handle: SimulatedHandle, lent: Uint8Array, offset: number, durable: boolean): Begun {
    const { file, path } = handle;
    const kind = durable ? 'durable-write' : 'write';
    const fault = this.#fault(kind, path);
    if (offset + lent.length > FILE_BYTES_MAX) return begun(() => fail('EFBIG', kind, path));
    const data = copyOf(lent, this.#pieceOf(lent.length));
    const write = durable || this.#settings.takesTime ? this.#core.nextWrite() : undefined;
    if (write !== undefined) this.#core.change({ kind: 'write-begun', write, inode: file.id, data, offset });
    const abandon = (): void => {
      if (write !== undefined) this.#core.change({ kind: 'write-lost', write, inode: file.id });
    };
    const land = (bytes: Uint8Array, isDurable: boolean): void => {
      this.#core.change({ kind: 'write', write, inode: file.id, data: bytes, offset, durable: isDurable });
    };
    const finish = (): number => {
      const wanted = fault === 'short-write' ? this.#partOf(data.length) : data.length;
      const room = this.#roomFor(file, offset, wanted);
      const isWritten = fault === undefined || fault === 'short-write' || (durable && isOfSyncs(fault));
      if (room === 0 || !isWritten) {
        abandon();
        throw diskError(fault === undefined ? 'ENOSPC' : codeOf(fault), kind, path);
      }
      const now = this.#asRead(data, lent).subarray(0, room);
      land(now, durable && fault === undefined);
      if (fault === undefined) return now.length;
      const { changes } = this.#core.state;
      if (fault !== 'short-write') this.#drop(file, fault, changes, changes);
      throw diskError(codeOf(fault), kind, path);
    };
    return { finish, abandon };
  }

  /** Covers what has been written by the time it begins. */
  datasync({ file, path }: SimulatedHandle): Begun {
    const fault = this.#fault('datasync', path);
    const upTo = this.#core.state.changes;
    return begun(() => {
      if (fault === undefined) {
        this.#core.change({ kind: 'sync', inode: file.id, upTo });
        return 0;
      }
      if (dropsBytes(fault)) this.#drop(file, fault, 0, upTo);
      throw diskError(codeOf(fault), 'datasync', path);
    });
  }

  /** What was written by these changes is not durable, and no later sync writes it. */
  #drop(file: FileInode, fault: FaultKind, from: number, upTo: number): void {
    this.#core.change({ kind: 'sync-failed', inode: file.id, from, upTo });
    if (fault !== 'failing-sync') this.#core.evict(file.id, fault === 'ENOSPC' ? 'now' : 'later');
  }

  truncate({ file, path }: SimulatedHandle, bytes: number): Begun {
    return this.#resizing('truncate', file, path, () => bytes);
  }

  allocate({ file, path, direct }: SimulatedHandle, offset: number, bytes: number): Begun {
    const unit = direct ? this.#settings.alignment : 1;
    const end = Math.ceil((offset + bytes) / unit) * unit;
    return this.#resizing('allocate', file, path, () => Math.max(file.size, end));
  }

  remove(path: string): Begun {
    const fault = this.#fault('remove', path);
    return begun(() => {
      if (fault !== undefined) throw diskError(codeOf(fault), 'remove', path);
      const { directory, name, found } = this.#place('remove', path);
      if (name === '' || found?.kind === 'directory') throw diskError('EISDIR', 'remove', path);
      if (found === undefined) throw diskError('ENOENT', 'remove', path);
      this.#core.change({ kind: 'remove', directory: directory.id, name });
      return 0;
    });
  }

  syncDirectory(path: string): Begun {
    const fault = this.#fault('sync-directory', path);
    const directory = this.#directory('sync-directory', path);
    const upTo = this.#core.state.changes;
    return begun(() => {
      if (fault !== undefined) throw diskError(codeOf(fault), 'sync-directory', path);
      this.#core.change({ kind: 'sync-directory', directory: directory.id, upTo });
      return 0;
    });
  }

  #resizing(kind: 'truncate' | 'allocate', file: FileInode, path: string, bytesOf: () => number): Begun {
    const fault = this.#fault(kind, path);
    return begun(() => {
      // A process ends when its calls have ended; only direct writes continue without it.
      this.#requireAlive();
      if (fault !== undefined) throw diskError(codeOf(fault), kind, path);
      const bytes = bytesOf();
      if (bytes > FILE_BYTES_MAX) throw diskError('EFBIG', kind, path);
      if (bytes > file.size && this.#roomFor(file, file.size, bytes - file.size) < bytes - file.size) {
        throw diskError('ENOSPC', kind, path);
      }
      if (bytes !== file.size) this.#core.change({ kind: 'resize', inode: file.id, bytes });
      return 0;
    });
  }

  #openFile(
    { directory, name, found }: Place,
    path: string,
    { create, exclusive, mode }: Pick<OpenFlags, 'create' | 'exclusive' | 'mode'>,
  ): FileInode {
    const kind = found === undefined && create ? 'create' : 'open';
    this.#throwFault(kind, path);
    if (found?.kind === 'directory') throw diskError('EISDIR', 'open', path);
    if (found !== undefined && exclusive) throw diskError('EEXIST', 'open', path);
    if (found !== undefined) return found;
    if (!create) throw diskError('ENOENT', 'open', path);
    this.#requireRoom('open', path);
    const inode = this.#core.state.nextInode;
    this.#core.change({ kind: 'create', directory: directory.id, name, inode, mode });
    return this.#core.state.file(inode);
  }

  #place(kind: string, path: string): Place {
    this.#requireAlive();
    return this.#core.place(namesOf(path), kind, path);
  }

  #directory(kind: string, path: string): DirectoryInode {
    const { found } = this.#place(kind, path);
    if (found === undefined) throw diskError('ENOENT', kind, path);
    if (found.kind === 'file') throw diskError('ENOTDIR', kind, path);
    return found;
  }

  /** Whether `wanted` is `directory` or anywhere in it. */
  #holds(directory: DirectoryInode, wanted: DirectoryInode): boolean {
    if (directory === wanted) return true;
    return [...directory.entries.values()].some((id) => {
      const inode = this.#core.state.inode(id);
      return inode.kind === 'directory' && this.#holds(inode, wanted);
    });
  }

  /** How many bytes of a write there is space for: growing a file takes free sectors. */
  #roomFor(file: FileInode, offset: number, length: number): number {
    const endOfRoom = (file.sectorCount + this.#core.freeSectors) * SECTOR_BYTES;
    return Math.max(0, Math.min(length, endOfRoom - offset));
  }

  #requireRoom(kind: string, path: string): void {
    if (this.#core.freeSectors < 1) throw diskError('ENOSPC', kind, path);
  }

  /** How much of a write is done in one piece. */
  #pieceOf(length: number): number {
    return this.#settings.shortWrites && this.#core.random.chance(0.5) ? this.#partOf(length) : length;
  }

  /** A part of a length: at least one unit, and less than the whole where that is more. */
  #partOf(length: number): number {
    const { alignment } = this.#settings;
    const units = Math.ceil(length / alignment);
    return units < 2 ? length : (1 + this.#core.random.below(units - 1)) * alignment;
  }

  /** The bytes of a write. They are lent: if the caller changes them meanwhile, the device reads them before or after that. */
  #asRead(data: Uint8Array, lent: Uint8Array): Uint8Array {
    const now = lent.subarray(0, data.length);
    return Buffer.compare(now, data) === 0 || this.#core.random.chance(0.5) ? data : copyOf(now, now.length);
  }

  #fault(kind: OperationKind, path: string): FaultKind | undefined {
    this.#requireAlive();
    const fault = this.#core.fault(kind, path);
    if (fault === 'killed') this.kill();
    this.#requireAlive();
    return fault;
  }

  #throwFault(kind: OperationKind, path: string): void {
    const fault = this.#fault(kind, path);
    if (fault !== undefined) throw diskError(codeOf(fault), kind, path);
  }

  #requireAlive(): void {
    if (this.alive) return;
    const how = this.#core.off ? 'the power is gone' : 'this simulated process was killed';
    throw new WalError('WAL_CLOSED', `${how}: make a backend on the disk as it is now`, { operation: 'disk' });
  }
}

const isOfSyncs = (fault: FaultKind): boolean => fault === 'failing-sync' || fault === 'evicting-sync';

const nothing = (): void => {};

const begun = (finish: () => number): Begun => ({ finish, abandon: nothing });

/** A copy of the first bytes; `slice` of a `Buffer` would be a view of it. */
const copyOf = (bytes: Uint8Array, length: number): Uint8Array => Uint8Array.from(bytes.subarray(0, length));

function fail(code: string, kind: string, path: string): never {
  throw diskError(code, kind, path);
}

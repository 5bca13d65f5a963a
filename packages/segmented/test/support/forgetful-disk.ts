import { fromSyncFileOps, type StorageIo, type SyncFileOps } from '@walstack/storage-io';

const SECTOR = 512;

/** A file: what was written, and what is on the disk for good. */
interface FileNode {
  live: Uint8Array;
  durable: Uint8Array;
  /** Sectors that the next sync writes. A sync that fails forgets them. */
  dirty: Set<number>;
}

type DirectoryOp = { readonly name: string; readonly node: Node | undefined }[];

interface DirectoryNode {
  readonly live: Map<string, Node>;
  readonly durable: Map<string, Node>;
  /** What was done since the last sync, each of it atomic. */
  pending: DirectoryOp[];
}

type Node = FileNode | DirectoryNode;

const isDirectory = (node: Node | undefined): node is DirectoryNode => node !== undefined && 'pending' in node;

const newDirectory = (): DirectoryNode => ({ live: new Map(), durable: new Map(), pending: [] });

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

/** Which of the things that no sync has covered survive a power cut. Asked once for each. */
export type Survivors = () => boolean;

/** Numbers from a seed, 0 to 1. */
export function randomFrom(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 0x1_0000_0000;
  };
}

/** A disk in memory that forgets, at a power cut, what was not synced. It has sectors of 512 bytes and one writer. */
export class ForgetfulDisk {
  /** Operations that change something, so far. */
  operations = 0;
  /** The power goes at this operation: it is done, and never answered. */
  cutAt = Number.POSITIVE_INFINITY;
  /** This operation fails with this code. */
  failAt = Number.POSITIVE_INFINITY;
  failWith = 'EIO';
  /** Whether there is no room: nothing is created, and no file grows. */
  full = false;
  /** What the operation that failed was. */
  failed: string | undefined;
  readonly #root: DirectoryNode;
  readonly #durableWrites: boolean;
  #off = false;

  /** @param durableWrites - whether its backends can make a single write durable, and nothing else with it */
  constructor(durableWrites = false, root: DirectoryNode = newDirectory()) {
    this.#durableWrites = durableWrites;
    this.#root = root;
  }

  /** Whether the power is gone. */
  get off(): boolean {
    return this.#off;
  }

  /** The disk as it is found after a power cut. */
  afterPowerCut(survives: Survivors): ForgetfulDisk {
    const seen = new Map<FileNode, FileNode>();
    const fileAfter = (file: FileNode): FileNode => {
      let after = seen.get(file);
      if (after === undefined) {
        const bytes = survivingBytes(file, survives);
        after = { live: bytes, durable: bytes.slice(), dirty: new Set() };
        seen.set(file, after);
      }
      return after;
    };
    const directoryAfter = (directory: DirectoryNode): DirectoryNode => {
      const names = new Map(directory.durable);
      for (const op of directory.pending) if (survives()) apply(names, op);
      const after = newDirectory();
      for (const [name, node] of names) {
        const kept = isDirectory(node) ? directoryAfter(node) : fileAfter(node);
        after.live.set(name, kept);
        after.durable.set(name, kept);
      }
      return after;
    };
    return new ForgetfulDisk(this.#durableWrites, directoryAfter(this.#root));
  }

  /** A backend on this disk. */
  io(): StorageIo {
    const ops: SyncFileOps<FileNode> = {
      name: 'forgetful',
      realFiles: false,
      open: (path, { create, exclusive, truncate }) => {
        const { directory, name } = this.#find(path);
        const found = directory.live.get(name);
        if (isDirectory(found)) throw systemError('EISDIR');
        if (found !== undefined && exclusive) throw systemError('EEXIST');
        if (found === undefined && !create) throw systemError('ENOENT');
        if (found === undefined && this.full) throw systemError('ENOSPC');
        const file = found ?? { live: new Uint8Array(), durable: new Uint8Array(), dirty: new Set<number>() };
        if (found === undefined) this.#change(directory, 'create', [{ name, node: file }]);
        if (truncate) resize(file, 0);
        return file;
      },
      close: () => {},
      size: (file) => file.live.length,
      list: (path) => [...this.#directory(path).live.keys()],
      stat: (path) => {
        const { directory, name } = this.#find(path);
        const node = name === '' ? this.#root : directory.live.get(name);
        if (node === undefined) throw systemError('ENOENT');
        return isDirectory(node) ? { kind: 'directory', size: 0 } : { kind: 'file', size: node.live.length };
      },
      rename: (from, to) => {
        const source = this.#find(from);
        const target = this.#find(to);
        const node = source.directory.live.get(source.name);
        if (node === undefined) throw systemError('ENOENT');
        this.#change(source.directory, 'rename', [
          { name: target.name, node },
          { name: source.name, node: undefined },
        ]);
      },
      makeDirectory: (path) => {
        const { directory, name } = this.#find(path);
        if (directory.live.has(name)) throw systemError('EEXIST');
        this.#change(directory, 'mkdir', [{ name, node: newDirectory() }]);
      },
      lock: () => () => {},
      read: (file, into, offset) => {
        const bytes = file.live.subarray(offset, offset + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: (file, data, offset) => {
        if (this.full && offset + data.length > file.live.length) throw systemError('ENOSPC');
        const cut = this.#count('write');
        if (offset + data.length > file.live.length) resize(file, offset + data.length);
        file.live.set(data, offset);
        for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < offset + data.length; sector++) {
          file.dirty.add(sector);
        }
        cut();
        return data.length;
      },
      datasync: (file) => {
        try {
          this.#count('datasync')();
        } catch (error) {
          // The kernel has given up on these pages: they are read as written until the power goes.
          if (!this.#off) file.dirty.clear();
          throw error;
        }
        file.durable = merged(file, () => true);
        file.dirty.clear();
      },
      truncate: (file, bytes) => {
        const cut = this.#count('truncate');
        resize(file, bytes);
        cut();
      },
      remove: (path) => {
        const { directory, name } = this.#find(path);
        if (!directory.live.has(name)) throw systemError('ENOENT');
        this.#change(directory, 'remove', [{ name, node: undefined }]);
      },
      syncDirectory: (path) => {
        const directory = this.#directory(path);
        this.#count('sync-directory')();
        for (const op of directory.pending) apply(directory.durable, op);
        directory.pending = [];
      },
    };
    if (!this.#durableWrites) return fromSyncFileOps(ops);
    return fromSyncFileOps({
      ...ops,
      writeDurable: (file, data, offset) => {
        const length = ops.write(file, data, offset);
        makeDurable(file, offset, length);
        return length;
      },
    });
  }

  #change(directory: DirectoryNode, what: string, op: DirectoryOp): void {
    const cut = this.#count(what);
    apply(directory.live, op);
    directory.pending.push(op);
    cut();
  }

  /** Counts an operation; what it returns is to be called when its work is done, and answers it. */
  #count(what: string): () => void {
    if (this.#off) throw systemError('EIO');
    this.operations++;
    if (this.operations === this.failAt) {
      this.failed = what;
      throw systemError(this.failWith);
    }
    const cut = this.operations === this.cutAt;
    if (cut && (what === 'datasync' || what === 'sync-directory')) this.#powerCut();
    return () => {
      if (cut) this.#powerCut();
    };
  }

  #powerCut(): never {
    this.#off = true;
    throw systemError('EIO');
  }

  #find(path: string): { directory: DirectoryNode; name: string } {
    const at = path.lastIndexOf('/');
    return { directory: this.#directory(path.slice(0, at)), name: path.slice(at + 1) };
  }

  #directory(path: string): DirectoryNode {
    let directory = this.#root;
    for (const name of path.split('/').filter((each) => each !== '')) {
      const next = directory.live.get(name);
      if (next === undefined) throw systemError('ENOENT');
      if (!isDirectory(next)) throw systemError('ENOTDIR');
      directory = next;
    }
    return directory;
  }
}

function apply(names: Map<string, Node>, op: DirectoryOp): void {
  for (const { name, node } of op) {
    if (node === undefined) names.delete(name);
    else names.set(name, node);
  }
}

function resize(file: FileNode, bytes: number): void {
  const resized = new Uint8Array(bytes);
  resized.set(file.live.subarray(0, bytes));
  file.live = resized;
}

/** The durable bytes, with those dirty sectors from what was written that are chosen. */
function merged(file: FileNode, choose: Survivors): Uint8Array {
  const bytes = new Uint8Array(choose() ? file.live.length : file.durable.length);
  bytes.set(file.durable.subarray(0, bytes.length));
  for (const sector of file.dirty) {
    const start = sector * SECTOR;
    if (start < bytes.length && choose())
      bytes.set(file.live.subarray(start, Math.min(start + SECTOR, bytes.length)), start);
  }
  return bytes;
}

/** Makes the sectors of one write durable, and none that was written before. */
function makeDurable(file: FileNode, offset: number, length: number): void {
  const first = Math.floor(offset / SECTOR);
  const end = Math.min(file.live.length, Math.ceil((offset + length) / SECTOR) * SECTOR);
  if (end > file.durable.length) {
    const longer = new Uint8Array(end);
    longer.set(file.durable);
    file.durable = longer;
  }
  file.durable.set(file.live.subarray(first * SECTOR, end), first * SECTOR);
  for (let sector = first; sector * SECTOR < end; sector++) file.dirty.delete(sector);
}

const survivingBytes = (file: FileNode, survives: Survivors): Uint8Array => merged(file, survives);

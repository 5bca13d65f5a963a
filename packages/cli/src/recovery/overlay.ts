import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  fromSyncFileOps,
  nodeFsNamespace,
  type OpenFlags,
  type StorageIo,
  type SyncFileOps,
} from '@walstack/storage-io';

const CHUNK = 64 * 1024;

/** So many real files are open at a time. */
const OPEN_MAX = 32;

/** A file of the overlay: a real one, of which some chunks were written, or one without a real file. */
interface OverlayFile {
  readonly base: string | undefined;
  /** Bytes of the real file that still count: what was behind a cut is zeros. */
  baseBytes: number;
  readonly chunks: Map<number, Uint8Array>;
  size: number;
  links: number;
}

const systemError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

/**
 * A backend that reads real files and keeps everything that is written in memory: what a call would do to a log can be seen
 * without changing a byte of it.
 */
class Overlay {
  /** Names that are not as they are on the disk; `undefined` is a name that was removed. */
  readonly #files = new Map<string, OverlayFile | undefined>();
  readonly #directories = new Set<string>();
  readonly #bases = new Bases();

  readonly ops: SyncFileOps<OverlayFile> = {
    name: 'overlay',
    realFiles: false,
    open: (path, flags) => this.#open(path, flags),
    close: () => {},
    size: (file) => file.size,
    links: (file) => file.links,
    list: (directory) => this.#list(directory),
    rename: (from, to) => {
      const file = this.#existing(from);
      this.#files.set(from, undefined);
      this.#files.set(to, file);
    },
    link: (from, to) => {
      if (this.#find(to) !== undefined) throw systemError('EEXIST', to);
      const file = this.#existing(from);
      file.links++;
      this.#files.set(to, file);
    },
    makeDirectory: (path) => {
      if (this.#isDirectory(path) || this.#find(path) !== undefined) throw systemError('EEXIST', path);
      this.#directories.add(path);
    },
    stat: (path) => {
      const file = this.#directories.has(path) ? undefined : this.#files.get(path);
      if (file !== undefined) return { kind: 'file', size: file.size };
      if (this.#directories.has(path)) return { kind: 'directory', size: 0 };
      if (this.#files.has(path)) throw systemError('ENOENT', path);
      return nodeFsNamespace.stat(path);
    },
    lock: () => () => {},
    read: (file, into, offset) => this.#read(file, into, offset),
    write: (file, data, offset) => {
      this.#write(file, data, offset);
      return data.length;
    },
    datasync: () => {},
    truncate: (file, bytes) => truncateFile(file, bytes),
    remove: (path) => {
      this.#existing(path).links--;
      this.#files.set(path, undefined);
    },
    syncDirectory: () => {},
  };

  /** Closes the real files. */
  close(): void {
    this.#bases.close();
  }

  #open(path: string, { create, exclusive, truncate }: OpenFlags): OverlayFile {
    if (this.#isDirectory(path)) throw systemError('EISDIR', path);
    let file = this.#find(path);
    if (file === undefined) {
      if (!create) throw systemError('ENOENT', path);
      if (!this.#isDirectory(dirname(path))) throw systemError('ENOENT', path);
      file = { base: undefined, baseBytes: 0, chunks: new Map(), size: 0, links: 1 };
      this.#files.set(path, file);
    } else if (exclusive) {
      throw systemError('EEXIST', path);
    }
    if (truncate) truncateFile(file, 0);
    return file;
  }

  #existing(path: string): OverlayFile {
    const file = this.#find(path);
    if (file === undefined) throw systemError(this.#isDirectory(path) ? 'EISDIR' : 'ENOENT', path);
    return file;
  }

  /** The file with a name; a real one from now on with its chunks. */
  #find(path: string): OverlayFile | undefined {
    if (this.#files.has(path)) return this.#files.get(path);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() !== true) return undefined;
    // That it may be read is found out when it is opened, as on any backend.
    this.#bases.open(path);
    const { size, nlink } = found;
    const file: OverlayFile = { base: path, baseBytes: size, chunks: new Map(), size, links: nlink };
    this.#files.set(path, file);
    return file;
  }

  #read(file: OverlayFile, into: Uint8Array, offset: number): number {
    const length = Math.max(0, Math.min(into.length, file.size - offset));
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const inChunk = at % CHUNK;
      const part = into.subarray(done, done + Math.min(length - done, CHUNK - inChunk));
      const chunk = file.chunks.get(Math.floor(at / CHUNK));
      if (chunk !== undefined) part.set(chunk.subarray(inChunk, inChunk + part.length));
      else {
        part.fill(0);
        this.#readBase(file, part, at);
      }
      done += part.length;
    }
    return length;
  }

  #write(file: OverlayFile, data: Uint8Array, offset: number): void {
    for (let done = 0; done < data.length; ) {
      const at = offset + done;
      const inChunk = at % CHUNK;
      const part = data.subarray(done, done + CHUNK - inChunk);
      this.#chunkOf(file, Math.floor(at / CHUNK)).set(part, inChunk);
      done += part.length;
    }
    file.size = Math.max(file.size, offset + data.length);
  }

  /** The chunk at an index, as the real file has it or in zeros. */
  #chunkOf(file: OverlayFile, index: number): Uint8Array {
    let chunk = file.chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(CHUNK);
      this.#readBase(file, chunk, index * CHUNK);
      file.chunks.set(index, chunk);
    }
    return chunk;
  }

  #readBase({ base, baseBytes }: OverlayFile, into: Uint8Array, offset: number): void {
    const length = Math.min(into.length, baseBytes - offset);
    if (base !== undefined && length > 0) readSync(this.#bases.open(base), into, 0, length, offset);
  }

  #isDirectory(path: string): boolean {
    return this.#directories.has(path) || (existsSync(path) && statSync(path).isDirectory());
  }

  #list(directory: string): string[] {
    const names = new Set(this.#directories.has(directory) ? [] : readdirSync(directory));
    for (const [path, file] of this.#files) {
      if (dirname(path) !== directory) continue;
      if (file === undefined) names.delete(basename(path));
      else names.add(basename(path));
    }
    for (const path of this.#directories) if (path === join(directory, basename(path))) names.add(basename(path));
    return [...names];
  }
}

/** The real files beneath: a few of them are open at a time, since a log may have more segments than a process may open. */
class Bases {
  readonly #open = new Map<string, number>();

  /** The descriptor of a file, which is open until others were needed more recently. */
  open(path: string): number {
    const fd = this.#open.get(path) ?? openSync(path, 'r');
    this.#open.delete(path);
    this.#open.set(path, fd);
    if (this.#open.size > OPEN_MAX) this.#closeOldest();
    return fd;
  }

  close(): void {
    while (this.#open.size > 0) this.#closeOldest();
  }

  #closeOldest(): void {
    const [path, fd] = this.#open.entries().next().value as [string, number];
    this.#open.delete(path);
    closeSync(fd);
  }
}

function truncateFile(file: OverlayFile, bytes: number): void {
  file.baseBytes = Math.min(file.baseBytes, bytes);
  for (const [index, chunk] of file.chunks) {
    if (index * CHUNK >= bytes) file.chunks.delete(index);
    else if ((index + 1) * CHUNK > bytes) chunk.fill(0, bytes - index * CHUNK);
  }
  file.size = bytes;
}

/** Runs `use` on a backend whose writes stay in memory. */
export async function withOverlay<T>(use: (io: StorageIo) => Promise<T>): Promise<T> {
  const overlay = new Overlay();
  const io = fromSyncFileOps(overlay.ops);
  try {
    return await use(io);
  } finally {
    await io.dispose();
    overlay.close();
  }
}

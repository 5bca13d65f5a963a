import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { DIRECTORY } from './files.js';

/** What a name stands for: a file, a directory with nothing in it, or a link that leads nowhere. */
export type Entry = Uint8Array | 'directory' | 'nowhere';

/** Everything in the directory of a log but its lock, by the path below it. */
export type Tree = ReadonlyMap<string, Entry>;

/** Links that lead nowhere, which memory does not have. */
const linksOf = new WeakMap<StorageIo, Set<string>>();

/** A backend in memory with this directory and nothing else. */
export function backendOf(tree: Tree): StorageIo {
  const io = createMemoryStorageIo();
  io.makeDirectory(DIRECTORY);
  const links = new Set<string>();
  for (const [path, entry] of tree) {
    const names = path.split('/');
    for (let depth = 1; depth < names.length; depth++) makeDirectory(io, join(DIRECTORY, ...names.slice(0, depth)));
    if (entry === 'directory') makeDirectory(io, join(DIRECTORY, path));
    else if (entry === 'nowhere') links.add(join(DIRECTORY, path));
    else {
      const file = io.open(join(DIRECTORY, path), { create: true });
      if (entry.length > 0) runSync(io, ioSteps.write(io, file, entry, 0));
      io.close(file);
    }
  }
  if (links.size > 0) addLinks(io, links);
  return io;
}

function makeDirectory(io: StorageIo, path: string): void {
  try {
    io.makeDirectory(path);
  } catch (error) {
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
}

function addLinks(io: StorageIo, links: Set<string>): void {
  const { list, open, stat, rename } = io;
  const missing = (path: string): void => {
    if (links.has(path)) throw new WalError('WAL_NOT_FOUND', `${path} leads nowhere`, { path });
  };
  const nameIn = (directory: string, path: string): string[] =>
    path.startsWith(`${directory}/`) && !path.slice(directory.length + 1).includes('/')
      ? [path.slice(directory.length + 1)]
      : [];
  Object.assign(io, {
    list: (directory: string) =>
      [...list.call(io, directory), ...[...links].flatMap((path) => nameIn(directory, path))].sort(),
    open: (path: string, options?: Parameters<StorageIo['open']>[1]) => {
      missing(path);
      return open.call(io, path, options);
    },
    stat: (path: string) => {
      missing(path);
      return stat.call(io, path);
    },
    rename: (from: string, to: string) => {
      const isLink = links.delete(from);
      if (!isLink) rename.call(io, from, to);
      if (isLink) links.add(to);
      else links.delete(to);
    },
  });
  linksOf.set(io, links);
}

/** What is in the directory now: copies. */
export function treeOn(io: StorageIo): Tree {
  const tree = new Map<string, Entry>();
  const visit = (below: string): void => {
    const names = io.list(join(DIRECTORY, below)).filter((name) => !name.startsWith('LOCK'));
    if (names.length === 0 && below !== '') tree.set(below, 'directory');
    for (const name of names) {
      const path = below === '' ? name : `${below}/${name}`;
      if (linksOf.get(io)?.has(join(DIRECTORY, path))) tree.set(path, 'nowhere');
      else if (io.stat(join(DIRECTORY, path)).kind === 'directory') visit(path);
      else tree.set(path, contentOf(io, join(DIRECTORY, path)));
    }
  };
  visit('');
  return tree;
}

function contentOf(io: StorageIo, path: string): Uint8Array {
  const file = io.open(path);
  const bytes = new Uint8Array(io.size(file));
  if (bytes.length > 0) runSync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
}

export const sameEntry = (one: Entry | undefined, other: Entry | undefined): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? Buffer.compare(one, other) === 0 : one === other;

export const sameTree = (one: Tree, other: Tree): boolean =>
  one.size === other.size && [...one].every(([path, entry]) => sameEntry(entry, other.get(path)));

/** A file has the room of whole blocks. */
const BLOCK_BYTES = 512;

/** What a process that is killed throws. */
export class Killed extends Error {}

/** The calls that change something. */
const CHANGES = ['rename', 'makeDirectory', 'submitWrite', 'submitTruncate', 'submitAllocate', 'submitRemove'] as const;

/** Has a backend do so many changes, and then nothing any more. @returns what tells how many were asked for */
export function killAfter(io: StorageIo, most: number): () => number {
  let asked = 0;
  const change = (): void => {
    if (++asked > most) throw new Killed(`killed behind ${most} changes`);
  };
  for (const name of CHANGES) {
    const call = io[name] as (...args: unknown[]) => unknown;
    Object.assign(io, {
      [name]: (...args: unknown[]) => {
        change();
        return call.apply(io, args);
      },
    });
  }
  const { open } = io;
  Object.assign(io, {
    open: (path: string, options: Parameters<StorageIo['open']>[1]) => {
      if (options?.create) change();
      return open.call(io, path, options);
    },
  });
  return () => asked;
}

/** Has a disk be full behind so many changes: what is there can be written again and renamed, and nothing can be added. */
export function fullAfter(io: StorageIo, changes: number): void {
  let left = changes;
  const take = (): void => {
    if (--left < 0) throw new WalError('WAL_NO_SPACE', 'the disk is full');
  };
  const { open, makeDirectory, submitWrite } = io;
  Object.assign(io, {
    open: (path: string, options: Parameters<StorageIo['open']>[1]) => {
      if (options?.create) take();
      return open.call(io, path, options);
    },
    makeDirectory: (path: string) => {
      take();
      makeDirectory.call(io, path);
    },
    submitWrite: (...args: Parameters<StorageIo['submitWrite']>) => {
      const [file, data, offset] = args;
      if (offset + data.length > Math.ceil(io.size(file) / BLOCK_BYTES) * BLOCK_BYTES) take();
      return submitWrite.apply(io, args);
    },
  });
}

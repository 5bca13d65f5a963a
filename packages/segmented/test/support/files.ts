import { join } from 'node:path';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';

/** The files of a directory, as they are at one moment: what a killed process leaves. */
export type Snapshot = ReadonlyMap<string, Uint8Array>;

/** The bytes of a file. */
export function readFile(io: StorageIo, path: string): Uint8Array {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(io.size(file));
    runSync(io, ioSteps.read(io, file, bytes, 0));
    return bytes;
  } finally {
    io.close(file);
  }
}

/** Writes a file anew. */
export function writeFile(io: StorageIo, path: string, bytes: Uint8Array): void {
  const file = io.open(path, { create: true, truncate: true });
  try {
    runSync(io, ioSteps.write(io, file, bytes, 0));
  } finally {
    io.close(file);
  }
}

/** All files of a log but its lock, and without what is in quarantine: copies. */
export function snapshot(io: StorageIo, directory: string): Snapshot {
  const names = io
    .list(directory)
    .filter((name) => !name.startsWith('LOCK') && io.stat(join(directory, name)).kind === 'file');
  return new Map(names.map((name) => [name, readFile(io, join(directory, name))]));
}

/** A new environment in memory with these files in `directory`. */
export function restore(files: Snapshot, directory = '/log'): StorageIo {
  const io = createMemoryStorageIo();
  io.makeDirectory(directory);
  for (const [name, bytes] of files) writeFile(io, join(directory, name), bytes);
  return io;
}

/** The files with one of them changed. */
export function changed(files: Snapshot, name: string, change: (bytes: Uint8Array) => Uint8Array): Snapshot {
  const bytes = files.get(name);
  if (bytes === undefined) throw new Error(`no file ${name}`);
  return new Map(files).set(name, change(bytes.slice()));
}

/** Whether two sets of files are the same, byte for byte. */
export const sameFiles = (a: Snapshot, b: Snapshot): boolean =>
  a.size === b.size && [...a].every(([name, bytes]) => Buffer.compare(bytes, b.get(name) ?? new Uint8Array()) === 0);

/** Names of the segments, in the order of the chain. */
export const segmentNames = (files: Snapshot): string[] =>
  [...files.keys()].filter((name) => name.startsWith('wal-')).sort();

/** Inverts all bits of one byte. */
export const flip =
  (offset: number, mask = 0xff) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[offset] = (bytes[offset] as number) ^ mask;
    return bytes;
  };

/** Keeps only the first bytes. */
export const cut =
  (length: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.slice(0, length);

import { join } from 'node:path';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';

/** Where a log in memory is. */
export const DIRECTORY = '/log';

/** The files of a log by name, but for its lock. */
export type Files = Readonly<Record<string, Uint8Array>>;

/** Copies of all files of the log on a backend. */
export function filesOn(io: StorageIo): Files {
  const names = io.list(DIRECTORY).filter((name) => !name.startsWith('LOCK'));
  return Object.fromEntries(names.map((name) => [name, readFile(io, join(DIRECTORY, name))]));
}

/** A backend in memory with these files and nothing else. */
export function backendWith(files: Files): StorageIo {
  const io = createMemoryStorageIo();
  io.makeDirectory(DIRECTORY);
  for (const [name, bytes] of Object.entries(files)) {
    const file = io.open(join(DIRECTORY, name), { create: true });
    runSync(io, ioSteps.write(io, file, bytes, 0));
    io.close(file);
  }
  return io;
}

export const sameFiles = (one: Files, other: Files): boolean => {
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => Buffer.compare(one[name] as Uint8Array, other[name] ?? new Uint8Array(1)) === 0);
};

export const bytesOf = (files: Files): number => Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);

function readFile(io: StorageIo, path: string): Uint8Array {
  const file = io.open(path);
  const bytes = new Uint8Array(io.size(file));
  if (bytes.length > 0) runSync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
}

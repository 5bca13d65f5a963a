import { basename, join } from 'node:path';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { LostFile } from './knowledge.js';

/** Where the first record of a segment stands, behind its frame header: logs here have blocks of 512 bytes. */
const FIRST_RECORD = 512 + 8;

/**
 * Destroys the first record of a segment, durably.
 *
 * @param hidden - paths of files that the log does without then
 * @returns these files as they are after that
 */
export function* destroy(io: StorageIo, path: string, hidden: readonly string[]): IoRoutine<readonly LostFile[]> {
  const file = io.open(path);
  try {
    const byte = new Uint8Array(1);
    yield* ioSteps.read(io, file, byte, FIRST_RECORD);
    yield* ioSteps.write(
      io,
      file,
      byte.map((bits) => ~bits),
      FIRST_RECORD,
    );
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
  const files: LostFile[] = [];
  for (const each of hidden) files.push({ name: basename(each), content: yield* contentOf(io, each) });
  return files;
}

/** Inverts every byte of a small file, durably. */
export function* destroyFile(io: StorageIo, path: string): IoRoutine<void> {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    yield* ioSteps.write(
      io,
      file,
      bytes.map((bits) => ~bits),
      0,
    );
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
}

/** @throws an error when one of the files is neither in the directory of the log nor in quarantine, as it was */
export function* throwIfLost(io: StorageIo, directory: string, files: readonly LostFile[]): IoRoutine<void> {
  if (files.length === 0) return;
  const places = [directory];
  if (io.list(directory).includes('quarantine')) {
    const quarantine = join(directory, 'quarantine');
    places.push(...io.list(quarantine).map((name) => join(quarantine, name)));
  }
  for (const { name, content } of files) {
    const place = places.find((each) => io.list(each).includes(name));
    if (place === undefined) throw new Error(`lost: ${name} was to be kept in quarantine`);
    if ((yield* contentOf(io, join(place, name))) !== content) throw new Error(`lost: ${name} has been changed`);
  }
}

function* contentOf(io: StorageIo, path: string): IoRoutine<string> {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    return Buffer.from(bytes).toString('latin1');
  } finally {
    io.close(file);
  }
}

import { basename, join } from 'node:path';
import { FileName } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { kindOf, makeDirectories } from '@walstack/storage-io/internal';
import type { LogDirectory } from '../options.js';

const PIECE_BYTES = 256 * 1024;

/** The directory for what a salvage discards; its name gets a suffix when another file has the name. */
function quarantineOf(io: StorageIo, directory: string): string {
  const taken = new Set(io.list(directory));
  const isOurs = (name: string): boolean => !taken.has(name) || kindOf(io, join(directory, name)) === 'directory';
  let name: string = FileName.quarantine;
  for (let suffix = 1; !isOurs(name); suffix++) name = `${FileName.quarantine}-${suffix}`;
  return join(directory, name);
}

/**
 * Copies the segments of a core that hold entries from an LSN on; durable on return. A copy is named after its segment, so
 * that a repetition after a crash writes the same file.
 *
 * @returns the directory of the copies
 */
export function* quarantineEntries(
  place: LogDirectory,
  coreId: number,
  log: SegmentedWal,
  fromLsn: number,
): IoRoutine<string> {
  const { io, directory } = place;
  const quarantine = quarantineOf(io, directory);
  const target = join(quarantine, `core-${coreId}`);
  yield* makeDurable(place, quarantine, target);
  for (const { path, lastLsn, id } of log.listSegments()) {
    if (lastLsn !== undefined && lastLsn >= fromLsn) yield* copy(place, path, join(target, `${id}-${basename(path)}`));
  }
  yield* ioSteps.syncDirectory(io, target);
  return target;
}

/** Copies a file of a per-core log; durable on return. @param stamp - the suffix of its name, increased until it is free */
export function* quarantineFile(place: LogDirectory, path: string, stamp: number): IoRoutine<string> {
  const { io, directory } = place;
  const target = quarantineOf(io, directory);
  yield* makeDurable(place, target, target);
  const names = new Set(io.list(target));
  let free = stamp;
  while (names.has(`${basename(path)}-${free}`)) free++;
  yield* copy(place, path, join(target, `${basename(path)}-${free}`));
  yield* ioSteps.syncDirectory(io, target);
  return target;
}

function* makeDurable(
  { io, directory, directoryMode }: LogDirectory,
  quarantine: string,
  target: string,
): IoRoutine<void> {
  makeDirectories(io, target, directoryMode);
  yield* ioSteps.syncDirectory(io, quarantine);
  yield* ioSteps.syncDirectory(io, directory);
}

function* copy({ io, fileMode }: LogDirectory, from: string, to: string): IoRoutine<void> {
  const source = io.open(from, { readOnly: true });
  try {
    const target = io.open(to, { create: true, truncate: true, mode: fileMode });
    try {
      yield* copyBytes(io, source, target);
      yield* ioSteps.datasync(io, target);
    } finally {
      io.close(target);
    }
  } finally {
    io.close(source);
  }
}

function* copyBytes(io: StorageIo, source: IoFile, target: IoFile): IoRoutine<void> {
  const size = io.size(source);
  const piece = new Uint8Array(Math.min(PIECE_BYTES, size));
  for (let position = 0; position < size; ) {
    const length = yield* ioSteps.read(io, source, piece, position);
    if (length === 0) return;
    yield* ioSteps.write(io, target, piece.subarray(0, length), position);
    position += length;
  }
}

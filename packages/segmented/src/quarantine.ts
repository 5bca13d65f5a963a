import { basename, join } from 'node:path';
import { FileName, type SegmentHeader } from '@walstack/codec';
import { type Segment, withFile } from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps, makeDirectories } from '@walstack/storage-io';
import type { World } from './world.js';

/**
 * The directory for what a segment made by salvage hides: always the same for one segment, so that what a crash has
 * interrupted goes on in it.
 */
export function quarantineOf(directory: string, header: SegmentHeader): string {
  const id = Buffer.from(header.segmentId).toString('hex');
  return join(directory, FileName.quarantine, `${timeOf(header.createdAtMs)}-${id}`);
}

/** Such as `20260102T030405678Z`. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace(/[-:.]/g, '');
}

/**
 * Moves files of a log's directory into quarantine; durable on return. It can be repeated after a crash in it.
 *
 * @param quarantine - made when missing
 */
export function* moveToQuarantine(
  world: World,
  directory: string,
  quarantine: string,
  paths: readonly string[],
): IoRoutine<void> {
  if (paths.length === 0) return;
  const { io } = world;
  yield* makeQuarantine(world, directory, quarantine);
  for (const path of paths) io.rename(path, join(quarantine, basename(path)));
  // Before the names below are gone for good, those in there are.
  yield* ioSteps.syncDirectory(io, quarantine);
  yield* ioSteps.syncDirectory(io, directory);
}

/** Copies a file of a log's directory into quarantine; durable on return. */
export function* copyToQuarantine(world: World, directory: string, quarantine: string, path: string): IoRoutine<void> {
  const { io } = world;
  yield* makeQuarantine(world, directory, quarantine);
  const bytes = yield* withFile(io, path, function* (file) {
    const content = new Uint8Array(io.size(file));
    const length = yield* ioSteps.read(io, file, content, 0);
    return content.subarray(0, length);
  });
  const copy = io.open(join(quarantine, basename(path)), { create: true, truncate: true });
  try {
    yield* ioSteps.write(io, copy, bytes, 0);
    yield* ioSteps.datasync(io, copy);
  } finally {
    io.close(copy);
  }
  yield* ioSteps.syncDirectory(io, quarantine);
}

function* makeQuarantine({ io }: World, directory: string, quarantine: string): IoRoutine<void> {
  makeDirectories(io, quarantine);
  yield* ioSteps.syncDirectory(io, join(directory, FileName.quarantine));
  yield* ioSteps.syncDirectory(io, directory);
}

/** The segment made by salvage under which a file with this segment number lies; `undefined` when there is none. */
export function salvagedAbove(segments: readonly Segment[], number: number): Segment | undefined {
  return segments.find(
    ({ header }) => header.salvaged && number < header.number && number > (header.predecessor?.number ?? 0),
  );
}

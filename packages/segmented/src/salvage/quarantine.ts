import { basename, dirname, join, relative } from 'node:path';
import { FileName, type SegmentHeader } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps, kindOf, makeDirectories, type StorageIo } from '@walstack/storage-io';
import { createdAt, type Environment } from '../environment.js';

/**
 * The directory for what a segment made by salvage hides: always the same for one segment, so that what a crash has
 * interrupted goes on in it.
 */
export function quarantineOf(io: StorageIo, directory: string, header: SegmentHeader): string {
  const id = Buffer.from(header.segmentId).toString('hex');
  return join(directory, baseIn(io, directory), `${timeOf(header.createdAtMs)}-${id}`);
}

/** The name of the directory of all quarantine: another one where something else has the name. */
function baseIn(io: StorageIo, directory: string): string {
  const taken = new Set(io.list(directory));
  const isOurs = (base: string): boolean => !taken.has(base) || kindOf(io, join(directory, base)) === 'directory';
  let base: string = FileName.quarantine;
  for (let other = 1; !isOurs(base); other++) base = `${FileName.quarantine}-${other}`;
  return base;
}

/** Such as `20260102T030405678Z`. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  // Years of more than four digits have a sign.
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace(/[-+:.]/g, '');
}

/**
 * Moves files of a log's directory into quarantine; durable on return. It can be repeated after a crash in it.
 *
 * @param quarantine - made when missing
 */
export function* moveToQuarantine(
  world: Environment,
  directory: string,
  quarantine: string,
  paths: readonly string[],
): IoRoutine<void> {
  if (paths.length === 0) return;
  const place = relative(directory, quarantine);
  yield* makeQuarantine(world, directory, place);
  const names = paths.map((path) => basename(path));
  yield* moveAside(world, directory, place, names);
}

/** A file that was moved into quarantine. */
export interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Has a directory for what a salvage gives up: a new one, or one that an attempt which failed has left empty. Its name is
 * durable on return.
 *
 * @returns its path below the log's directory
 */
export function* chooseQuarantine(world: Environment, directory: string): IoRoutine<string> {
  const { io } = world;
  const base = baseIn(io, directory);
  makeDirectories(io, join(directory, base));
  const empty = io.list(join(directory, base)).find((each) => isEmptyPlace(io, join(directory, base, each)));
  const id = Buffer.from(world.randomBytes(16)).toString('hex');
  const quarantine = `${base}/${timeOf(createdAt(world))}-${id}`;
  if (empty !== undefined) io.rename(join(directory, base, empty), join(directory, quarantine));
  yield* makeQuarantine(world, directory, quarantine);
  return quarantine;
}

/** Makes a directory in quarantine where it is missing; its name is durable on return. */
export function* makeQuarantine({ io }: Environment, directory: string, quarantine: string): IoRoutine<void> {
  const path = join(directory, quarantine);
  makeDirectories(io, path);
  yield* ioSteps.syncDirectory(io, dirname(path));
  yield* ioSteps.syncDirectory(io, directory);
}

/** The name of a directory for one salvage. */
const PLACE = /^[0-9A-Za-z]+-[0-9a-f]{32}$/;

function isEmptyPlace(io: StorageIo, path: string): boolean {
  return PLACE.test(basename(path)) && kindOf(io, path) === 'directory' && io.list(path).length === 0;
}

/**
 * Moves files of a log's directory into quarantine, as far as they are there; durable on return. Nothing that is in there
 * is replaced. It can be repeated after a crash in it.
 *
 * @param moved - takes what was moved
 */
export function* moveAside(
  world: Environment,
  directory: string,
  quarantine: string,
  names: readonly string[],
  moved: Move[] = [],
): IoRoutine<void> {
  const { io } = world;
  const present = new Set(io.list(directory));
  const there = new Set(io.list(join(directory, quarantine)));
  for (const name of names) {
    // A checkpoint that has been moved has a successor by now, which is a file.
    const isMoved =
      name === FileName.checkpoint && there.has(name) && kindOf(io, join(directory, name)) !== 'directory';
    if (!present.has(name) || isMoved) continue;
    let free = name;
    for (let copy = 1; there.has(free); copy++) free = `${name}.${copy}`;
    const move = { from: join(directory, name), to: join(directory, quarantine, free) };
    io.rename(move.from, move.to);
    moved.push(move);
  }
  // Before the names below are gone for good, those in there are.
  yield* ioSteps.syncDirectory(io, join(directory, quarantine));
  yield* ioSteps.syncDirectory(io, directory);
}

/** Moves files back from where {@link moveAside} has put them; durable on return. */
export function* moveBack(
  world: Environment,
  directory: string,
  quarantine: string,
  moved: readonly Move[],
): IoRoutine<void> {
  const { io } = world;
  for (const { from, to } of moved) io.rename(to, from);
  yield* ioSteps.syncDirectory(io, directory);
  yield* ioSteps.syncDirectory(io, join(directory, quarantine));
}

/** The segment made by salvage under which a file with this segment number lies; `undefined` when there is none. */
export function salvagedAbove(segments: readonly Segment[], number: number): Segment | undefined {
  return segments.find(
    ({ header }) => header.salvaged && number < header.number && number > (header.predecessor?.number ?? 0),
  );
}

import { basename, dirname, join, relative } from 'node:path';
import { FileName, type SegmentHeader } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { kindOf, makeDirectories } from '@walstack/storage-io/internal';
import { createdAt, type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';

/**
 * The quarantine directory for the files that a segment created by salvage supersedes: always the same for one segment, so
 * that moving them can continue there after a crash.
 */
export function quarantineOf(io: StorageIo, directory: string, header: SegmentHeader): string {
  const id = Buffer.from(header.segmentId).toString('hex');
  return join(directory, baseIn(io, directory), `${timeOf(header.createdAtMs)}-${id}`);
}

/** The name of the parent of all quarantine directories: with a number appended when a file has the name. */
function baseIn(io: StorageIo, directory: string): string {
  const taken = new Set(io.list(directory));
  const isOurs = (base: string): boolean => !taken.has(base) || kindOf(io, join(directory, base)) === 'directory';
  let base: string = FileName.quarantine;
  for (let other = 1; !isOurs(base); other++) base = `${FileName.quarantine}-${other}`;
  return base;
}

/** A time as part of a file name, such as `20260102T030405678Z`. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  // Years of more than four digits have a sign.
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace(/[-+:.]/g, '');
}

/**
 * Moves files of a log's directory to quarantine; durable on return. It can be repeated after a crash.
 *
 * @param quarantine - the directory; created when missing
 */
export function* moveToQuarantine(
  environment: Environment,
  settings: DirectorySettings,
  quarantine: string,
  paths: readonly string[],
): IoRoutine<void> {
  if (paths.length === 0) return;
  const { directory } = settings;
  const relativePath = relative(directory, quarantine);
  yield* makeQuarantine(environment, settings, relativePath);
  const names = paths.map((path) => basename(path));
  yield* moveNamesToQuarantine(environment, directory, relativePath, names);
}

/** What directories in the directory of a log depend on. */
type DirectorySettings = Pick<Settings, 'directory' | 'directoryMode'>;

/** A file that was moved to quarantine. */
export interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Creates the quarantine directory of a salvage, or renames one that a failed attempt has left empty. Its name is durable
 * on return.
 *
 * @returns its path below the log's directory
 */
export function* chooseQuarantine(environment: Environment, settings: DirectorySettings): IoRoutine<string> {
  const { io } = environment;
  const { directory, directoryMode } = settings;
  const base = baseIn(io, directory);
  makeDirectories(io, join(directory, base), directoryMode);
  const empty = io.list(join(directory, base)).find((each) => isEmptySalvageDirectory(io, join(directory, base, each)));
  const id = Buffer.from(newId(environment)).toString('hex');
  const quarantine = `${base}/${timeOf(createdAt(environment))}-${id}`;
  if (empty !== undefined) io.rename(join(directory, base, empty), join(directory, quarantine));
  yield* makeQuarantine(environment, settings, quarantine);
  return quarantine;
}

/** Creates a quarantine directory when it is missing; its name is durable on return. */
export function* makeQuarantine(
  { io }: Environment,
  { directory, directoryMode }: DirectorySettings,
  quarantine: string,
): IoRoutine<void> {
  const path = join(directory, quarantine);
  makeDirectories(io, path, directoryMode);
  yield* ioSteps.syncDirectory(io, dirname(path));
  yield* ioSteps.syncDirectory(io, directory);
}

/** The name of a directory for one salvage. */
const SALVAGE_DIRECTORY = /^[0-9A-Za-z]+-[0-9a-f]{32}$/;

/** Whether a path has the name of a directory for one salvage. */
export const isSalvageDirectory = (path: string): boolean => SALVAGE_DIRECTORY.test(basename(path));

function isEmptySalvageDirectory(io: StorageIo, path: string): boolean {
  return isSalvageDirectory(path) && kindOf(io, path) === 'directory' && io.list(path).length === 0;
}

/**
 * Moves files of a log's directory to quarantine, as far as they exist; durable on return. Files in quarantine are never
 * replaced. It can be repeated after a crash.
 *
 * @param moved - receives each move
 */
export function* moveNamesToQuarantine(
  environment: Environment,
  directory: string,
  quarantine: string,
  names: readonly string[],
  moved: Move[] = [],
): IoRoutine<void> {
  const { io } = environment;
  const present = new Set(io.list(directory));
  const there = new Set(io.list(join(directory, quarantine)));
  for (const name of names) {
    // Once a checkpoint was moved, a new one may have been written, which is a file and must stay.
    const isMoved =
      name === FileName.checkpoint && there.has(name) && kindOf(io, join(directory, name)) !== 'directory';
    if (!present.has(name) || isMoved) continue;
    const free = freeName(there, name);
    const move = { from: join(directory, name), to: join(directory, quarantine, free) };
    io.rename(move.from, move.to);
    moved.push(move);
  }
  // The new names are durable before the removal of the old ones is.
  yield* ioSteps.syncDirectory(io, join(directory, quarantine));
  yield* ioSteps.syncDirectory(io, directory);
}

/** A name for a file that no other one has. */
export function freeName(there: ReadonlySet<string>, name: string): string {
  let free = name;
  for (let copy = 1; there.has(free); copy++) free = `${name}.${copy}`;
  return free;
}

/** Moves files back from where {@link moveNamesToQuarantine} has put them; durable on return. */
export function* moveBack(
  environment: Environment,
  directory: string,
  quarantine: string,
  moved: readonly Move[],
): IoRoutine<void> {
  const { io } = environment;
  for (const { from, to } of moved) io.rename(to, from);
  yield* ioSteps.syncDirectory(io, directory);
  yield* ioSteps.syncDirectory(io, join(directory, quarantine));
}

/** The segment created by salvage that supersedes a file with this segment number; `undefined` when there is none. */
export function salvagedAbove(segments: readonly Segment[], number: number): Segment | undefined {
  return segments.find(
    ({ header }) => header.salvaged && number < header.number && number > (header.predecessor?.number ?? 0),
  );
}

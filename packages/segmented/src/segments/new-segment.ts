import { join } from 'node:path';
import { type Lsn, WalError } from '@walstack/codec';
import type { LogFiles } from '@walstack/mmap-reader/segments';
import { closeFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import { createdAt, type Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { ActiveSegment } from './active-segment.js';
import { currentKeyOf } from './keys.js';
import { type ChainLink, headerOf } from './segment.js';
import { beginSegment, nameNextSegment, openNextSegment } from './segment-file.js';

/** What tells a new segment from others. */
export interface Identity {
  readonly logId: Uint8Array;
  readonly coreId: number | undefined;
  readonly number: number;
  readonly firstLsn: Lsn;
  /** From which LSN on the log is encrypted, if the new segment is. */
  readonly encryptedFrom: Lsn;
  readonly from: ChainLink;
}

/** Makes a segment under its name, which is not durable yet. If it fails, nothing is changed. */
export function* makeNamed(
  world: Environment,
  settings: Settings,
  { from, ...identity }: Identity,
): IoRoutine<ActiveSegment> {
  const { directory, blockBytes, keyRing } = settings;
  const keyId = currentKeyOf(keyRing);
  const life = { createdAtMs: createdAt(world), segmentId: world.randomBytes(16), keyId };
  const header = headerOf({ ...identity, ...life, blockBytes }, from);
  const file = openNextSegment(world.io, settings);
  yield* beginSegment(world.io, directory, file, header);
  try {
    yield* nameNextSegment(world.io, directory, header);
  } catch (error) {
    closeFile(world.io, file);
    throw error;
  }
  return new ActiveSegment(directory, header, keyRing, file);
}

/** Makes the name of a new segment durable. */
export function* syncName(world: Environment, settings: Settings, active: ActiveSegment): IoRoutine<void> {
  yield* closingOnFailure(world, active, ioSteps.syncDirectory(world.io, settings.directory));
}

/** Closes the file of a new segment when what comes behind it fails. */
export function* closingOnFailure<T>(
  world: Environment,
  active: ActiveSegment | undefined,
  rest: IoRoutine<T>,
): IoRoutine<T> {
  try {
    return yield* rest;
  } catch (error) {
    if (active?.file !== undefined) closeFile(world.io, active.file);
    throw error;
  }
}

/** Removes drafts that a crash left: a `next.seg` is never adopted, as writes of a killed process may land in it. */
export function* removeDrafts(world: Environment, settings: Settings, files: LogFiles): IoRoutine<void> {
  yield* removeAll(
    world,
    files.drafts.map((name) => join(settings.directory, name)),
  );
}

/** Removes files, as far as they are there. @throws when one cannot be removed, with those behind it as they were */
export function* removeAll({ io }: Environment, paths: readonly string[]): IoRoutine<void> {
  for (const path of paths) {
    try {
      yield* ioSteps.remove(io, path);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NOT_FOUND')) throw error;
    }
  }
}

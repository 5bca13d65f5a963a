import type { Lsn } from '@walstack/codec';
import type { LogFiles } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import { createdAt, type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';
import { ActiveSegment } from './active-segment.js';
import { currentKeyOf } from './keys.js';
import { type ChainLink, headerOf } from './segment.js';
import { beginSegment, nameNextSegment, openNextSegment, removeNames } from './segment-file.js';

/** The header fields of a new segment that its caller chooses. */
export interface Identity {
  readonly logId: Uint8Array;
  readonly coreId: number | undefined;
  readonly number: number;
  readonly firstLsn: Lsn;
  /** The LSN from which on the log is encrypted, if the new segment is. */
  readonly encryptedFrom: Lsn;
  readonly from: ChainLink;
}

/** Creates a segment file under its final name, which is not durable yet. On failure nothing has changed. */
export function* makeNamed(
  environment: Environment,
  settings: Settings,
  { from, ...identity }: Identity,
): IoRoutine<ActiveSegment> {
  const { directory, blockBytes, keyRing } = settings;
  const keyId = currentKeyOf(keyRing);
  const stamp = { createdAtMs: createdAt(environment), segmentId: newId(environment), keyId };
  const header = headerOf({ ...identity, ...stamp, blockBytes }, from);
  const file = openNextSegment(environment.io, settings);
  yield* beginSegment(environment.io, directory, file, header);
  try {
    yield* nameNextSegment(environment.io, directory, header);
  } catch (error) {
    closeFile(environment.io, file);
    throw error;
  }
  return new ActiveSegment(directory, header, keyRing, file);
}

/** Makes the name of a new segment durable. */
export function* syncName(environment: Environment, settings: Settings, active: ActiveSegment): IoRoutine<void> {
  yield* closingOnFailure(environment, active, ioSteps.syncDirectory(environment.io, settings.directory));
}

/** Runs a routine, and closes the file of a new segment if it fails. */
export function* closingOnFailure<T>(
  environment: Environment,
  active: ActiveSegment | undefined,
  rest: IoRoutine<T>,
): IoRoutine<T> {
  try {
    return yield* rest;
  } catch (error) {
    if (active?.file !== undefined) closeFile(environment.io, active.file);
    throw error;
  }
}

/**
 * Removes drafts that a crash left behind. A `next.seg` is never reused, as writes of a killed process may still land
 * in it.
 */
export function* removeDrafts(environment: Environment, settings: Settings, files: LogFiles): IoRoutine<void> {
  yield* removeNames(environment.io, settings.directory, files.drafts);
}

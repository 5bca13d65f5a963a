import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { backendOf } from '../options.js';
import { type CheckpointPlace, type Manifest, missingCore, NO_MANIFEST, readManifest } from '../recovery/manifest.js';
import { missingManifest, provesManifest } from '../recovery/missing-manifest.js';
import { readSalvageNote, unfinishedSalvage } from '../salvage/salvage-note.js';
import { isThere } from './core-directory.js';
import { type CoreState, initialState, stateAt, survey } from './core-state.js';
import { closeQuietly, type Steps, wait, waitFor } from './dual-mode-routine.js';
import { EntryReader } from './entry-reader.js';

/** The log of one core, opened without its manager. */
export interface LogAlone {
  readonly log: SegmentedWal;
  readonly state: CoreState;
  /** The per-core log needs what stands from this LSN on; `Infinity` where it needs nothing. */
  readonly neededFrom: number;
  /** What stands before that is needed no more, as the last checkpoint says. */
  readonly inCheckpoint: boolean;
}

/**
 * Opens the log of one core without its manager, or makes it.
 *
 * @param position - what stands behind it is dropped. Default: nothing
 */
export function* openAlone(
  coreId: number,
  directory: string,
  config: SegmentedWalConfig,
  position: number | undefined,
): Steps<LogAlone> {
  const isNamed = yield* lookAtWhole(config.io, coreId, directory);
  const log = yield* openExistingOrNew(config, isNamed, coreId, directory);
  try {
    const manifest = yield* waitFor(log.io, () => readManifest(log.io, directory));
    if (manifest?.leaving !== undefined)
      throw managedLog(coreId, 'a manager has begun to drop entries of it: open that');
    const place = manifest?.checkpoint?.cores.find((each) => each.coreId === coreId);
    if (place !== undefined && !reaches(log, place)) throw lostBefore(log, place);
    const before = (): CoreState => stateFrom(log, place, manifest?.checkpoint?.epoch ?? 0);
    if (position !== undefined) {
      if (manifest === undefined) yield* throwIfManaged(log, before(), position, directory);
      yield* dropBehind(log, position, place, manifest?.cores.includes(coreId) === true);
    }
    const state = yield* surveyFrom(log, before());
    if (manifest === undefined && provesManifest(log, state)) throw missingManifest(directory);
    return { log, state, ...neededOf(log, manifest, place) };
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

/** What the per-core log needs of a log. Without a checkpoint, its manager needs everything. */
function neededOf(
  log: SegmentedWal,
  manifest: Manifest | undefined,
  place: CheckpointPlace | undefined,
): Pick<LogAlone, 'neededFrom' | 'inCheckpoint'> {
  if (place !== undefined) return { neededFrom: place.lsn + 1, inCheckpoint: true };
  const isNamed = manifest?.cores.includes(log.coreId as number) === true;
  return { neededFrom: isNamed ? log.firstLsn : Number.POSITIVE_INFINITY, inCheckpoint: false };
}

/** What is known of a log before the first entry that says it: what the last checkpoint says, where it can be read on. */
function stateFrom(log: SegmentedWal, place: CheckpointPlace | undefined, epoch: number): CoreState {
  return place === undefined ? initialState(log.firstLsn - 1) : stateAt(place, epoch);
}

const VIEWS = { copy: false } as const;

function* surveyFrom(log: SegmentedWal, before: CoreState): Steps<CoreState> {
  const reader = yield* wait(
    () => log.openReaderSync(before.lsn + 1, VIEWS),
    () => log.openReader(before.lsn + 1, VIEWS),
  );
  const entries = new EntryReader(reader, log.coreId as number, log.directory, Number.POSITIVE_INFINITY);
  return yield* waitFor(log.io, () => survey(entries, before));
}

/** Dropping what says that there was a manifest would hide that it is gone. */
function* throwIfManaged(log: SegmentedWal, before: CoreState, position: number, directory: string): Steps<void> {
  try {
    if (!provesManifest(log, yield* surveyFrom(log, before))) return;
  } catch (error) {
    // What cannot be read may be what is to be dropped; when it is not, it is met again.
    if (WalError.is(error, 'WAL_CORRUPT') && position < log.position) return;
    throw error;
  }
  throw missingManifest(directory);
}

/** Whether a log has what stands behind the last checkpoint. */
const reaches = (log: SegmentedWal, { lsn }: CheckpointPlace): boolean => log.firstLsn <= lsn + 1 && lsn <= log.lastLsn;

function lostBefore(log: SegmentedWal, { coreId, lsn }: CheckpointPlace): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the last checkpoint has everything up to LSN ${lsn} of core ${coreId}, but its log has LSN ${log.firstLsn} to ${log.lastLsn}: open it with its manager`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}

/**
 * What the per-core log says before the log of a core is opened, which changes that.
 *
 * @returns whether a manager has the core
 * @throws `WAL_CORRUPT` while a salvage of the whole has not ended
 */
function* lookAtWhole(given: SegmentedWalConfig['io'], coreId: number, directory: string): Steps<boolean> {
  // What is named is a backend of its own: this look needs none that is as fast, and there is nothing yet in memory.
  if (given === 'memory') return false;
  const { io, owned } = backendOf(typeof given === 'object' ? given : 'sync-fs', 'wait');
  try {
    if (!isThere(io, directory)) return false;
    const note = yield* waitFor(io, () => readSalvageNote(io, directory));
    if (note !== undefined) throw unfinishedSalvage(directory);
    const { cores } = (yield* waitFor(io, () => readManifest(io, directory))) ?? NO_MANIFEST;
    return cores.includes(coreId);
  } finally {
    if (owned) void io.dispose();
  }
}

/**
 * Opens a log, or makes it where the manifest does not say that it is lost.
 *
 * @param isNamed - a manager has it: what is lost of it is for the salvage of the whole, which says what that means to others
 */
function* openExistingOrNew(
  config: SegmentedWalConfig,
  isNamed: boolean,
  coreId: number,
  directory: string,
): Steps<SegmentedWal> {
  const { salvageLsn: _, ...strict } = config;
  const own: SegmentedWalConfig = isNamed ? { ...strict, recoveryMode: 'strict' } : config;
  const existing = { ...own, create: false };
  try {
    return yield* wait(
      () => SegmentedWal.openSync(existing),
      () => SegmentedWal.open(existing),
    );
  } catch (error) {
    if (!WalError.is(error, 'WAL_NOT_FOUND') || config.create === false) throw error;
  }
  if (isNamed) throw missingCore(directory, coreId);
  return yield* wait(
    () => SegmentedWal.openSync(own),
    () => SegmentedWal.open(own),
  );
}

/** @param isNamed - a manager has the core: epochs of all logs are complete because of its barriers */
function* dropBehind(
  log: SegmentedWal,
  position: number,
  place: CheckpointPlace | undefined,
  isNamed: boolean,
): Steps<void> {
  const lsn = yield* wait(
    () => log.lsnBeforeSync(position),
    () => log.lsnBefore(position),
  );
  if (place !== undefined && lsn < place.lsn) {
    throw managedLog(place.coreId, `the last checkpoint has everything up to LSN ${place.lsn}; nothing was dropped`);
  }
  if (isNamed && (yield* hasManagedBarrier(log, lsn + 1))) {
    throw managedLog(
      log.coreId as number,
      'it has barriers behind that position, which other logs rely on; nothing was dropped',
    );
  }
  yield* wait(
    () => log.truncateAfterSync(lsn),
    () => log.truncateAfter(lsn),
  );
}

/** Whether a manager has ended an epoch in a log, from an LSN on. */
function* hasManagedBarrier(log: SegmentedWal, fromLsn: number): Steps<boolean> {
  return (yield* surveyFrom(log, initialState(fromLsn - 1))).managed !== 'no';
}

/** What is thrown where a manager needs what a writer alone would take away. */
export function managedLog(coreId: number, why: string): WalError {
  return new WalError('WAL_STATE', `the log of core ${coreId} belongs to a per-core log: ${why}`, { state: 'managed' });
}

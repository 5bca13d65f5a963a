import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { backendOf } from '@walstack/storage-io/internal';
import { type CheckpointPlace, type Manifest, missingCore, NO_MANIFEST, readManifest } from '../recovery/manifest.js';
import { missingManifest, provesManifest } from '../recovery/missing-manifest.js';
import type { RecoveryWatch } from '../recovery/recovery-watch.js';
import { readSalvageNote, unfinishedSalvage } from '../salvage/salvage-note.js';
import { isNoLog, isThere } from './core-directory.js';
import { type CoreState, initialState, stateAt } from './core-state.js';
import { closeQuietly, type DualModeRoutine, wait, waitForIo } from './dual-mode-routine.js';
import { replayLog } from './replay-log.js';

/** The log of one core, opened without the manager of its per-core log. */
export interface StandaloneLog {
  readonly log: SegmentedWal;
  readonly state: CoreState;
  /** The per-core log needs the entries from this LSN on; `Infinity` when it needs none. */
  readonly neededFrom: number;
  /** The last checkpoint covers the entries before that LSN, so that they can be removed. */
  readonly inCheckpoint: boolean;
}

/**
 * Opens the log of one core without its manager, or creates it.
 *
 * @param position - entries after this position are dropped. Default: none
 * @param watch - may end it before anything is dropped
 */
export function openStandalone(
  coreId: number,
  directory: string,
  config: SegmentedWalConfig,
  position: number | undefined,
  watch: RecoveryWatch,
): DualModeRoutine<StandaloneLog> {
  return watch.run(opening(coreId, directory, config, position, watch));
}

function* opening(
  coreId: number,
  directory: string,
  config: SegmentedWalConfig,
  position: number | undefined,
  watch: RecoveryWatch,
): DualModeRoutine<StandaloneLog> {
  watch.throwIfAborted();
  const isNamed = yield* inspectPerCoreLog(config.io, coreId, directory);
  const log = yield* openExistingOrNew(config, isNamed, coreId, directory, watch);
  try {
    const manifest = yield* waitForIo(log.io, () => readManifest(log.io, directory));
    if (manifest?.dropping !== undefined)
      throw managedLog(coreId, 'a manager has begun to drop entries of it: open the per-core log first');
    const place = manifest?.checkpoint?.cores.find((each) => each.coreId === coreId);
    if (place !== undefined && !containsPlace(log, place)) throw checkpointNotInLog(log, place);
    const before = (): CoreState => stateFrom(log, place, manifest?.checkpoint?.epoch ?? 0);
    watch.pass(coreId);
    if (position !== undefined) {
      if (manifest === undefined) yield* throwIfManaged(log, before(), position, directory);
      watch.finish();
      yield* dropAfter(log, position, place, manifest?.cores.includes(coreId) === true);
    }
    const state = yield* replayLog(log, before(), Number.POSITIVE_INFINITY, watch);
    watch.finish();
    if (manifest === undefined && provesManifest(log, state)) throw missingManifest(directory);
    return { log, state, ...retentionOf(log, manifest, place) };
  } catch (error) {
    yield* closeQuietly(log);
    throw error;
  }
}

/** Which entries the per-core log needs of this log. Without a checkpoint, its manager needs all of them. */
function retentionOf(
  log: SegmentedWal,
  manifest: Manifest | undefined,
  place: CheckpointPlace | undefined,
): Pick<StandaloneLog, 'neededFrom' | 'inCheckpoint'> {
  if (place !== undefined) return { neededFrom: place.lsn + 1, inCheckpoint: true };
  const isNamed = manifest?.cores.includes(log.coreId as number) === true;
  return { neededFrom: isNamed ? log.firstLsn : Number.POSITIVE_INFINITY, inCheckpoint: false };
}

/** The state from which a log is replayed: that of the last checkpoint when there is one, else the initial state. */
function stateFrom(log: SegmentedWal, place: CheckpointPlace | undefined, epoch: number): CoreState {
  return place === undefined ? initialState(log.firstLsn - 1) : stateAt(place, epoch);
}

/** Throws when a manifest is missing: dropping the entries that prove it would hide that it is lost. */
function* throwIfManaged(
  log: SegmentedWal,
  before: CoreState,
  position: number,
  directory: string,
): DualModeRoutine<void> {
  try {
    if (!provesManifest(log, yield* replayLog(log, before))) return;
  } catch (error) {
    // The unreadable entry may be among those to be dropped. If it is not, the replay after the drop meets it again.
    if (WalError.is(error, 'WAL_CORRUPT') && position < log.position) return;
    throw error;
  }
  throw missingManifest(directory);
}

/** Whether a log contains the place of the last checkpoint, so that it can be replayed from there. */
const containsPlace = (log: SegmentedWal, { lsn }: CheckpointPlace): boolean =>
  log.firstLsn <= lsn + 1 && lsn <= log.lastLsn;

function checkpointNotInLog(log: SegmentedWal, { coreId, lsn }: CheckpointPlace): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the last checkpoint covers everything up to LSN ${lsn} of core ${coreId}, but its log has LSN ${log.firstLsn} to ${log.lastLsn}: open it with its manager`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}

/**
 * Reads the files of the per-core log before the log of a core is opened, since opening recovers that log and so changes it.
 *
 * @returns whether the manifest names the core
 * @throws `WAL_CORRUPT` while a salvage of the per-core log has not ended
 */
function* inspectPerCoreLog(
  given: SegmentedWalConfig['io'],
  coreId: number,
  directory: string,
): DualModeRoutine<boolean> {
  // A backend given by name is opened anew with the log. This check can use a slower one; a new memory backend is empty.
  if (given === 'memory') return false;
  const { io, owned } = backendOf(typeof given === 'object' ? given : 'sync-fs', 'wait');
  try {
    if (!isThere(io, directory)) return false;
    const note = yield* waitForIo(io, () => readSalvageNote(io, directory));
    if (note !== undefined) throw unfinishedSalvage(directory);
    const { cores } = (yield* waitForIo(io, () => readManifest(io, directory))) ?? NO_MANIFEST;
    return cores.includes(coreId);
  } finally {
    if (owned) void io.dispose();
  }
}

/**
 * Opens a log, or creates it unless the manifest names the core, whose log is lost then.
 *
 * @param isNamed - the manifest names the core: only a salvage of the per-core log may discard damaged entries, because the
 * logs of other cores may have to drop entries, too
 */
function* openExistingOrNew(
  config: SegmentedWalConfig,
  isNamed: boolean,
  coreId: number,
  directory: string,
  watch: RecoveryWatch,
): DualModeRoutine<SegmentedWal> {
  const { salvageLsn: _, ...strict } = config;
  const own: SegmentedWalConfig = isNamed ? { ...strict, recoveryMode: 'strict' } : config;
  const existing = { ...own, ...watch.opening(coreId), create: false };
  try {
    return yield* wait(
      () => SegmentedWal.openSync(existing),
      () => SegmentedWal.open(existing),
    );
  } catch (error) {
    if (!isNoLog(error) || config.create === false) throw error;
  }
  if (isNamed) throw missingCore(directory, coreId);
  const missing = { ...own, ...watch.opening(coreId) };
  return yield* wait(
    () => SegmentedWal.openSync(missing),
    () => SegmentedWal.open(missing),
  );
}

/** @param isNamed - the manifest names the core: epochs of all logs are complete because of its barriers */
function* dropAfter(
  log: SegmentedWal,
  position: number,
  place: CheckpointPlace | undefined,
  isNamed: boolean,
): DualModeRoutine<void> {
  const lsn = yield* wait(
    () => log.lsnBeforeSync(position),
    () => log.lsnBefore(position),
  );
  if (place !== undefined && lsn < place.lsn) {
    throw managedLog(place.coreId, `the last checkpoint covers everything up to LSN ${place.lsn}; nothing was dropped`);
  }
  if (isNamed && (yield* hasManagedBarrier(log, lsn + 1))) {
    throw managedLog(
      log.coreId as number,
      'it has barriers after that position, which other logs rely on; nothing was dropped',
    );
  }
  yield* wait(
    () => log.truncateAfterSync(lsn),
    () => log.truncateAfter(lsn),
  );
}

/** Whether a manager has ended an epoch in a log at or after an LSN. */
function* hasManagedBarrier(log: SegmentedWal, fromLsn: number): DualModeRoutine<boolean> {
  return (yield* replayLog(log, initialState(fromLsn - 1))).managed !== 'no';
}

/** The error of a standalone writer that would remove what the manager of the per-core log needs. */
export function managedLog(coreId: number, why: string): WalError {
  return new WalError('WAL_STATE', `the log of core ${coreId} belongs to a per-core log: ${why}`, { state: 'managed' });
}

import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { coreDirectory } from '../core/core-directory.js';
import type { DurableBarrier } from '../core/core-handle.js';
import { CoreLog } from '../core/core-log.js';
import { type CoreState, initialState } from '../core/core-state.js';
import { closeQuietly, type DualModeRoutine, wait, waitForIo } from '../core/dual-mode-routine.js';
import { checkEpochsLeft } from '../core/epochs/epochs.js';
import { type LogOptions, logConfigOf, type RecoverySettings } from '../options.js';
import { type Manifest, NO_MANIFEST, writeManifest } from './manifest.js';
import { closeAllQuietly, closeLogs, type RecoveredCore, type RecoveredLogs } from './recovered-logs.js';

/** The log of a core that takes part in the epochs from now on. */
interface ActiveCore {
  readonly coreId: number;
  readonly log: SegmentedWal;
  readonly state: CoreState;
}

/** The log of a core before it is added. */
interface CoreToAdd extends ActiveCore {
  /** The epochs found by recovery waited for it already. */
  readonly takesPart: boolean;
}

/** The log of a core that no longer takes part. */
interface RetiredLog {
  readonly coreId: number;
  readonly log: SegmentedWal;
  readonly barrier: DurableBarrier;
}

/** The logs after recovery was finalized: every epoch before `epoch` is complete in all of them. */
export interface FinalizedLogs {
  readonly epoch: number;
  readonly active: readonly ActiveCore[];
  readonly retired: readonly RetiredLog[];
  readonly manifest: Manifest;
  /** The disk was too full to write the manifest again: it must be written before a log is changed on its account. */
  readonly manifestMayBeLost: boolean;
}

/**
 * Makes the decisions of recovery durable, before anything new is appended: drops the entries that are not taken, creates
 * the logs of new cores, and appends a barrier to every log before the epoch that begins. Each step can be repeated after
 * a crash during it.
 *
 * @param coreIds - the cores that take part from now on; all others are retired
 * @param isHandedOver - whether the logs of these cores are closed next, and opened again in other threads: nothing may wait in
 * their memory
 */
export function* finalizeRecovery(
  settings: RecoverySettings,
  { cores, completeEpoch, lastEpoch, manifest: found, endSalvage }: RecoveredLogs,
  coreIds: readonly number[],
  isHandedOver: boolean,
): DualModeRoutine<FinalizedLogs> {
  const created: SegmentedWal[] = [];
  try {
    const epoch = lastEpoch + 1;
    checkEpochsLeft(epoch);
    // Before any log is cut: a cut removes barriers, which may be the only record of which epochs were complete.
    const dropsEntries = cores.some(({ whole, taken }) => whole.lsn !== taken.lsn);
    const manifest = dropsEntries ? { ...found, dropping: { complete: completeEpoch, last: lastEpoch } } : found;
    // A truncated log with barriers of a manager proves that there is a manifest.
    const needed = cores.some(({ log }) => log.firstLsn > 1);
    const manifestMayBeLost = yield* rewriteManifest(settings, manifest, needed);
    for (const core of cores) yield* dropUntakenEntries(core);
    const toAdd: CoreToAdd[] = [];
    for (const coreId of coreIds) {
      const known = cores.find((core) => core.coreId === coreId);
      const log = known?.log ?? (yield* createLog(settings, coreId));
      if (known === undefined) created.push(log);
      const state = known?.taken ?? initialState(log.firstLsn - 1);
      toAdd.push({ coreId, log, state, takesPart: known?.takesPart ?? false });
    }
    // Barriers of a manager prove a manifest, also to a standalone writer after a crash: write it before the barriers.
    if (manifest === NO_MANIFEST && !needed) yield* waitForIo(settings.io, () => writeManifest(settings, manifest));
    const active: ActiveCore[] = [];
    for (const each of toAdd) {
      const core = yield* addCore(settings, each, epoch, isHandedOver);
      if (core.log !== each.log) created.push(core.log);
      active.push(core);
    }
    const others = cores.filter(({ coreId }) => !coreIds.includes(coreId));
    const retired: RetiredLog[] = [];
    for (const core of others.filter(({ taken }) => taken.used)) {
      retired.push(yield* retireCore(core, epoch, settings.config));
    }
    // A log without entries, from a crash before its first one: it is not needed.
    yield* closeLogs(others.filter(({ taken }) => !taken.used).map(({ log }) => log));
    const named = yield* writeCoreList(settings, manifest, active, retired);
    yield* endSalvage();
    return { epoch, active, retired, manifest: named, manifestMayBeLost: manifestMayBeLost && named === manifest };
  } catch (error) {
    yield* closeAllQuietly(created);
    throw error;
  }
}

/**
 * Writes the manifest again to make it durable: the sync after its rename may have failed, and then a crash would restore an
 * earlier one, while the logs rely on this one from now on. On a full disk this is postponed when no log is about to be
 * changed on its account.
 *
 * @returns whether it was postponed
 */
function* rewriteManifest(settings: RecoverySettings, manifest: Manifest, needed: boolean): DualModeRoutine<boolean> {
  if (manifest === NO_MANIFEST && !needed) return false;
  try {
    yield* waitForIo(settings.io, () => writeManifest(settings, manifest));
    return false;
  } catch (error) {
    const isUnchanged = WalError.is(error, 'WAL_NO_SPACE') && error.reason !== 'outcome-unknown';
    if (!isUnchanged || manifest === NO_MANIFEST || manifest.dropping !== undefined) throw error;
    return true;
  }
}

function* dropUntakenEntries({ log, whole, taken }: RecoveredCore): DualModeRoutine<void> {
  if (whole.lsn === taken.lsn) return;
  yield* wait(
    () => log.truncateAfterSync(taken.lsn),
    () => log.truncateAfter(taken.lsn),
  );
}

const logConfig = ({ io, directory, config }: RecoverySettings, coreId: number): SegmentedWalConfig => ({
  ...logConfigOf(config),
  io,
  coreId,
  directory: coreDirectory(directory, coreId),
});

function* openLog(config: SegmentedWalConfig): DualModeRoutine<SegmentedWal> {
  return yield* wait(
    () => SegmentedWal.openSync(config),
    () => SegmentedWal.open(config),
  );
}

const createLog = (settings: RecoverySettings, coreId: number): DualModeRoutine<SegmentedWal> =>
  openLog(logConfig(settings, coreId));

/** Appends the first barrier of a core: from now on, no epoch is complete without this core. */
function* addCore(
  settings: RecoverySettings,
  { takesPart, ...core }: CoreToAdd,
  epoch: number,
  isHandedOver: boolean,
): DualModeRoutine<ActiveCore> {
  const { coreId, log, state } = core;
  const isAwaited = state.used && !state.retired && !state.detached;
  if (isAwaited && state.barrierEpoch === epoch - 1) return core;
  let after = state;
  try {
    after = new CoreLog(log, coreId, state, managedOptions(settings.config)).beginEpoch(epoch, false);
    yield* sync(log);
  } catch (error) {
    // On a full disk the barrier can be missing: epochs wait for this core already, and its first entry appends it.
    if (!isAwaited || !takesPart || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
    if (log.failure !== undefined || isHandedOver) return yield* reopenLog(settings, core, after, error);
    // Or it was appended, and waits in memory for room: then nothing else is written before it.
  }
  return { ...core, state: after };
}

/**
 * Reopens a log that had no space for a barrier.
 *
 * @param after - its state behind the barrier, for which closing it may have found space
 * @throws `error` if the log ends neither there nor where it did before
 */
function* reopenLog(
  settings: RecoverySettings,
  { coreId, log, state }: ActiveCore,
  after: CoreState,
  error: WalError,
): DualModeRoutine<ActiveCore> {
  yield* closeQuietly(log);
  const reopened = yield* openLog({ ...logConfig(settings, coreId), create: false });
  const found = [state, after].find(({ lsn }) => lsn === reopened.lastLsn);
  if (found !== undefined) return { coreId, log: reopened, state: found };
  yield* closeQuietly(reopened);
  throw error;
}

/** Appends the last barrier of a core: from now on, epochs do not wait for it. */
function* retireCore(
  { coreId, log, taken }: RecoveredCore,
  epoch: number,
  config: LogOptions,
): DualModeRoutine<RetiredLog> {
  const core = new CoreLog(log, coreId, taken, managedOptions(config));
  let { timestampUs } = taken;
  // Also after the last barrier of a standalone writer: otherwise epochs would wait for entries appended after it.
  if (!taken.retiredByManager) {
    timestampUs = core.beginEpoch(epoch, true).timestampUs;
    yield* sync(log);
  }
  const { committed, commitPlaces } = taken;
  const barrier = { lsn: log.lastLsn, position: core.position, timestampUs, committed, commitPlaces, retired: true };
  return { coreId, log, barrier };
}

/** Writes the list of cores to the manifest, once their logs exist, and ends the dropping of entries. */
function* writeCoreList(
  settings: RecoverySettings,
  manifest: Manifest,
  active: readonly ActiveCore[],
  retired: readonly RetiredLog[],
): DualModeRoutine<Manifest> {
  const ids = [...active.map(({ coreId }) => coreId), ...retired.map(({ coreId }) => coreId)];
  const dropped = manifest.dropping?.last ?? manifest.dropped;
  const named = { ...manifest, cores: ids.sort((a, b) => a - b), dropping: undefined, dropped };
  if (String(named.cores) === String(manifest.cores) && manifest.dropping === undefined) return manifest;
  yield* waitForIo(settings.io, () => writeManifest(settings, named));
  return named;
}

function* sync(log: SegmentedWal): DualModeRoutine<void> {
  yield* wait(
    () => log.syncSync(),
    () => log.sync(),
  );
}

const managedOptions = ({ now }: LogOptions) => ({ managed: true, ...(now === undefined ? {} : { now }) });

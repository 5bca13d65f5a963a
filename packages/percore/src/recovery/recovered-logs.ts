import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { withoutSuperseded } from '../commits/superseded-commits.js';
import { coreDirectory, isNoLog, listCores } from '../core/core-directory.js';
import { type CoreState, initialState, stateAt } from '../core/core-state.js';
import { closeQuietly, type DualModeRoutine, wait, waitForIo } from '../core/dual-mode-routine.js';
import { replayLog } from '../core/replay-log.js';
import { logConfigOf, type RecoverySettings } from '../options.js';
import { Salvage } from '../salvage/salvage.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import type { CheckpointPlace, Manifest } from './manifest.js';

/** The open log of one core, and its states at the last checkpoint and at its end. */
export interface RecoveredCore {
  readonly coreId: number;
  readonly log: SegmentedWal;
  /** Its state at the last checkpoint, where reading begins. */
  readonly before: CoreState;
  /** Its state at the end of the log. */
  readonly whole: CoreState;
  /** Its state at the end of the taken entries. */
  readonly taken: CoreState;
  /** The last epoch that is taken from it; `Infinity` for all. */
  readonly limit: number;
  /** Epochs wait for it, unless it is retired. */
  readonly takesPart: boolean;
}

/** The open logs of all cores, and the epochs that they have completed together. */
export interface RecoveredLogs {
  readonly manifest: Manifest;
  readonly cores: readonly RecoveredCore[];
  /** The last epoch that has its barrier in every log that takes part in it. */
  readonly completeEpoch: number;
  /** The highest epoch of any entry, checkpoint or earlier decision. */
  readonly lastEpoch: number;
  /** The last epoch that is taken from logs that take part in epochs; `Infinity` for all. */
  readonly limit: number;
  /** What was lost; `undefined` when nothing was lost. */
  readonly salvage: PerCoreSalvage | undefined;
  /** Ends the salvage after its last step: from then on the logs open in strict mode. */
  readonly endSalvage: () => DualModeRoutine<void>;
}

/**
 * Opens the existing logs of all cores, which recovers each of them, and replays them. Nothing else is changed without a
 * salvage. The caller holds the lock of the directory.
 *
 * @throws `WAL_CORRUPT` when a log that the manifest names is missing or too short; what opening a log throws
 */
export function recoverLogs(settings: RecoverySettings): DualModeRoutine<RecoveredLogs> {
  return settings.watch.run(recovering(settings));
}

function* recovering(settings: RecoverySettings): DualModeRoutine<RecoveredLogs> {
  const { io, directory, watch } = settings;
  watch.throwIfAborted();
  const salvage = new Salvage(settings);
  yield* salvage.begin();
  const found = yield* salvage.manifest();
  const logs: SegmentedWal[] = [];
  try {
    const coreIds = listCores(io, directory);
    yield* waitForIo(io, () => watch.begin(io, directory, coreIds));
    for (const coreId of coreIds) {
      watch.throwIfAborted();
      const log = yield* openExisting(settings, coreId, salvage, placeOf(found, coreId));
      if (log !== undefined) logs.push(log);
      watch.pass(coreId);
    }
    for (const coreId of found.cores.filter((each) => !logs.some((log) => log.coreId === each))) {
      logs.push(yield* salvage.replaceMissingCore(coreId, placeOf(found, coreId)));
    }
    logs.sort((one, other) => (one.coreId as number) - (other.coreId as number));
    const analysis = yield* analyzeLogs(settings, found, logs, salvage);
    watch.finish();
    const used = analysis.cores.filter(({ whole }) => whole.used).map(({ coreId }) => coreId);
    const manifest = yield* salvage.finish(yield* decideIncomplete(settings, salvage, analysis), used);
    return { ...analysis, manifest, salvage: salvage.report, endSalvage: () => salvage.end() };
  } catch (error) {
    yield* closeAllQuietly(logs);
    throw error;
  }
}

/**
 * Decides, as part of a salvage, what happens to epochs that lost entries keep from being complete. The decision holds for
 * all later openings: taken epochs count as complete; entries that are not taken are quarantined, because their epochs may
 * have been complete before the loss.
 *
 * @returns the manifest with that decision
 */
function* decideIncomplete(
  settings: RecoverySettings,
  salvage: Salvage,
  analysis: LogAnalysis,
): DualModeRoutine<Manifest> {
  const { manifest, completeEpoch, lastEpoch, cores } = analysis;
  if (salvage.report === undefined) return manifest;
  const dropsIncomplete = settings.incomplete === 'leave' || manifest.dropping !== undefined;
  for (const { log, whole, taken, takesPart } of cores) {
    if (dropsIncomplete && takesPart && whole.lsn !== taken.lsn) yield* salvage.quarantine(log, taken.lsn + 1);
  }
  const salvaged = dropsIncomplete || completeEpoch === lastEpoch ? undefined : lastEpoch;
  return salvaged === manifest.salvaged ? manifest : { ...manifest, salvaged };
}

/** Closes logs after a failure; the caller throws the first error, and errors of closing are ignored. */
export function* closeAllQuietly(logs: readonly SegmentedWal[]): DualModeRoutine<void> {
  for (const log of logs) yield* closeQuietly(log);
}

/** Closes all logs, and throws the first error after that. */
export function* closeLogs(logs: readonly SegmentedWal[]): DualModeRoutine<void> {
  const failures: unknown[] = [];
  for (const log of logs) {
    try {
      yield* wait(
        () => log.closeSync(),
        () => log.close(),
      );
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Opens the log of a core; `undefined` when the directory has none because a crash came before it was created. */
function* openExisting(
  settings: RecoverySettings,
  coreId: number,
  salvage: Salvage,
  place: CheckpointPlace | undefined,
): DualModeRoutine<SegmentedWal | undefined> {
  const { io, directory, config, recoveryMode, salvageLsn } = settings;
  const lsn = salvageLsn[coreId];
  const all = {
    ...logConfigOf(config),
    io,
    coreId,
    directory: coreDirectory(directory, coreId),
    create: false,
  };
  const salvaging = { recoveryMode, ...(lsn === undefined ? {} : { salvageLsn: lsn }) };
  const open = (own: Partial<SegmentedWalConfig>): DualModeRoutine<SegmentedWal> => {
    const given = { ...all, ...own, ...settings.watch.opening(coreId) };
    return wait(
      () => SegmentedWal.openSync(given),
      () => SegmentedWal.open(given),
    );
  };
  let log: SegmentedWal;
  try {
    log = yield* open(recoveryMode === 'salvage' ? {} : salvaging);
  } catch (error) {
    if (isNoLog(error)) return undefined;
    if (recoveryMode !== 'salvage') throw error;
    return yield* salvage.openDamaged(error, coreId, place, () => open(salvaging));
  }
  yield* salvage.noteReports(log, place);
  return log;
}

const placeOf = ({ checkpoint }: Manifest, coreId: number): CheckpointPlace | undefined =>
  checkpoint?.cores.find((each) => each.coreId === coreId);

type LogAnalysis = Omit<RecoveredLogs, 'salvage' | 'endSalvage'>;

/** A log that was read to its end. */
type ReplayedCore = Pick<RecoveredCore, 'coreId' | 'log' | 'before' | 'whole'>;

/** Reads all logs, decides which epochs are complete, and which entries are taken. */
function* analyzeLogs(
  settings: RecoverySettings,
  found: Manifest,
  logs: readonly SegmentedWal[],
  salvage: Salvage,
): DualModeRoutine<LogAnalysis> {
  let manifest = found;
  const replayed: ReplayedCore[] = [];
  for (const log of logs) {
    const coreId = log.coreId as number;
    const noted = placeOf(manifest, coreId);
    const place = noted && (yield* salvage.place(log, noted));
    if (place !== noted) manifest = withPlace(manifest, place as CheckpointPlace);
    const before =
      place === undefined ? initialState(log.firstLsn - 1) : stateAt(place, manifest.checkpoint?.epoch ?? 0);
    const { watch } = settings;
    const whole = yield* salvage.readEntries(log, () => replayLog(log, before, Number.POSITIVE_INFINITY, watch));
    watch.pass(coreId);
    replayed.push({ coreId, log, before, whole });
  }
  if (salvage.isMissingManifest(replayed)) manifest = yield* salvage.replaceMissingManifest();
  const epochs = epochsOf(settings, manifest, replayed, salvage.report !== undefined);
  const cores = yield* takeEntries(replayed, manifest, epochs.limit, settings.toEpoch);
  return { manifest, cores, ...epochs };
}

/** Whether epochs wait for a core. A log that the manifest does not name, as its manager never had it, takes no part in them. */
const takesPart = ({ cores }: Manifest, coreId: number): boolean => cores.length === 0 || cores.includes(coreId);

/**
 * Decides which epochs are complete, and up to which one entries are taken.
 *
 * @param isLossy - this recovery has found losses
 * @throws `WAL_TRUNCATED` when the limit is before the last checkpoint
 */
function epochsOf(
  { directory, incomplete, toEpoch }: RecoverySettings,
  manifest: Manifest,
  replayed: readonly ReplayedCore[],
  isLossy: boolean,
): Pick<LogAnalysis, 'completeEpoch' | 'lastEpoch' | 'limit'> {
  const { checkpoint, pending, dropping, dropped = 0, salvaged = 0 } = manifest;
  const epochs = replayed.map(({ whole }) => whole.epoch);
  const decided = [checkpoint?.epoch, pending?.epoch, dropping?.last].map((epoch) => epoch ?? 0);
  const lastEpoch = Math.max(dropped, salvaged, ...decided, ...epochs);
  const complete = replayed
    .filter(({ coreId }) => takesPart(manifest, coreId))
    .map(({ whole }) => completeThrough(whole));
  // Epochs that an earlier salvage took count as complete, until entries are lost again.
  const taken = isLossy ? 0 : salvaged;
  const completeEpoch = dropping?.complete ?? Math.max(taken, Math.min(lastEpoch, ...complete));
  const dropsIncomplete = dropping !== undefined || incomplete === 'leave';
  const limit = Math.min(toEpoch, dropsIncomplete ? completeEpoch : Number.POSITIVE_INFINITY);
  if (checkpoint !== undefined && limit < checkpoint.epoch) throw beforeCheckpoint(directory, limit, checkpoint.epoch);
  return { completeEpoch, lastEpoch, limit };
}

/**
 * Replays logs again up to a limit where entries at their ends are not taken.
 *
 * @param limit - the last epoch that is taken from logs that take part in epochs
 * @param toEpoch - the last epoch that is taken from other logs
 */
function* takeEntries(
  replayed: readonly ReplayedCore[],
  manifest: Manifest,
  limit: number,
  toEpoch: number,
): DualModeRoutine<readonly RecoveredCore[]> {
  const cores: RecoveredCore[] = [];
  for (const core of replayed) {
    const { coreId, log, before, whole } = core;
    const isAwaited = takesPart(manifest, coreId);
    const own = isAwaited ? limit : toEpoch;
    const taken = whole.epoch <= own ? whole : yield* replayLog(log, before, own);
    cores.push({ ...core, taken, limit: own, takesPart: isAwaited });
  }
  const states = withoutSuperseded(cores.map(({ taken }) => taken));
  return cores.map((core, index) => ({ ...core, taken: states[index] as CoreState }));
}

function withPlace(manifest: Manifest, place: CheckpointPlace): Manifest {
  const { checkpoint } = manifest;
  if (checkpoint === undefined) return manifest;
  const cores = checkpoint.cores.map((each) => (each.coreId === place.coreId ? place : each));
  return { ...manifest, checkpoint: { ...checkpoint, cores } };
}

/** The last epoch that is complete as far as this log is concerned. */
function completeThrough({ used, retired, detached, barrierEpoch }: CoreState): number {
  return used && !retired && !detached ? barrierEpoch : Number.POSITIVE_INFINITY;
}

function beforeCheckpoint(directory: string, epoch: number, checkpointEpoch: number): WalError {
  return new WalError(
    'WAL_TRUNCATED',
    `epoch ${epoch} is before the last checkpoint, which covers everything up to epoch ${checkpointEpoch}`,
    { path: directory, actual: epoch, limit: checkpointEpoch },
  );
}

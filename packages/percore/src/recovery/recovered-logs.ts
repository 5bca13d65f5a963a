import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { coreDirectory, listCores } from '../core/core-directory.js';
import { type CoreState, initialState, stateAt, survey } from '../core/core-state.js';
import { closeQuietly, type Steps, wait, waitFor } from '../core/dual-mode-routine.js';
import { EntryReader } from '../core/entry-reader.js';
import { withoutSuperseded } from '../core/superseded-commits.js';
import { logConfigOf, type RecoverySettings } from '../options.js';
import { Salvage } from '../salvage/salvage.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import type { CheckpointPlace, Manifest } from './manifest.js';

/** The log of one core, open, and what is in it behind the last checkpoint. */
export interface RecoveredCore {
  readonly coreId: number;
  readonly log: SegmentedWal;
  /** What is known of it at the last checkpoint, where reading begins. */
  readonly before: CoreState;
  /** What it holds. */
  readonly whole: CoreState;
  /** What of it is taken. */
  readonly taken: CoreState;
  /** The last epoch that is taken of it; `Infinity` for all. */
  readonly limit: number;
  /** Epochs wait for it, unless it has left. */
  readonly takesPart: boolean;
}

/** The logs of all cores, open, and what they say together. */
export interface RecoveredLogs {
  readonly manifest: Manifest;
  readonly cores: readonly RecoveredCore[];
  /** The last epoch that has its barrier in every log that was to have one. */
  readonly completeEpoch: number;
  /** The highest epoch that was ever seen. */
  readonly lastEpoch: number;
  /** The last epoch that is taken of logs that take part in epochs; `Infinity` for all. */
  readonly limit: number;
  /** What was lost; `undefined` where nothing was. */
  readonly salvage: PerCoreSalvage | undefined;
  /** Called when all is done that salvage has begun: from then on the logs open strictly. */
  readonly endSalvage: () => Steps<void>;
}

/**
 * Opens the logs of all cores that there are, each of which is recovered by that, and reads them. Nothing else is changed,
 * unless something is to be salvaged. The caller holds the lock of the directory.
 *
 * @throws `WAL_CORRUPT` when a log that the manifest names is missing, or shorter than it says; what opening a log throws
 */
export function* recoverLogs(settings: RecoverySettings): Steps<RecoveredLogs> {
  const { directory } = settings;
  const salvage = new Salvage(settings);
  yield* salvage.begin();
  const found = yield* salvage.manifest();
  const logs: SegmentedWal[] = [];
  try {
    for (const coreId of listCores(settings.io, directory)) {
      const log = yield* openExisting(settings, coreId, salvage, placeOf(found, coreId));
      if (log !== undefined) logs.push(log);
    }
    for (const coreId of found.cores.filter((each) => !logs.some((log) => log.coreId === each))) {
      logs.push(yield* salvage.missingCore(coreId, placeOf(found, coreId)));
    }
    logs.sort((one, other) => (one.coreId as number) - (other.coreId as number));
    const judged = yield* judge(settings, found, logs, salvage);
    const used = judged.cores.filter(({ whole }) => whole.joined).map(({ coreId }) => coreId);
    const manifest = yield* salvage.finish(yield* decide(settings, salvage, judged), used);
    return { ...judged, manifest, salvage: salvage.report, endSalvage: () => salvage.end() };
  } catch (error) {
    yield* closeAllQuietly(logs);
    throw error;
  }
}

/**
 * What becomes of epochs that cannot be complete any more, since something was lost, is decided by the salvage, whoever opens
 * the logs next: what is taken counts as complete, and what is left is kept aside, as it had been complete before.
 *
 * @returns the manifest that says so
 */
function* decide(settings: RecoverySettings, salvage: Salvage, judged: Judged): Steps<Manifest> {
  const { manifest, completeEpoch, lastEpoch, cores } = judged;
  if (salvage.report === undefined) return manifest;
  const leaves = settings.incomplete === 'leave' || manifest.leaving !== undefined;
  for (const { log, whole, taken, takesPart } of cores) {
    if (leaves && takesPart && whole.lsn !== taken.lsn) yield* salvage.keep(log, taken.lsn + 1);
  }
  const salvaged = leaves || completeEpoch === lastEpoch ? undefined : lastEpoch;
  return salvaged === manifest.salvaged ? manifest : { ...manifest, salvaged };
}

/** Closes logs that are of no use; why they are of none is thrown already. */
export function* closeAllQuietly(logs: readonly SegmentedWal[]): Steps<void> {
  for (const log of logs) yield* closeQuietly(log);
}

/** Closes logs; the first failure is thrown when all of them were let go. */
export function* closeLogs(logs: readonly SegmentedWal[]): Steps<void> {
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

/** Opens the log of a core; `undefined` when a crash came before it was made. */
function* openExisting(
  settings: RecoverySettings,
  coreId: number,
  salvage: Salvage,
  place: CheckpointPlace | undefined,
): Steps<SegmentedWal | undefined> {
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
  const open = (own: Partial<SegmentedWalConfig>): Steps<SegmentedWal> =>
    wait(
      () => SegmentedWal.openSync({ ...all, ...own }),
      () => SegmentedWal.open({ ...all, ...own }),
    );
  let log: SegmentedWal;
  try {
    log = yield* open(recoveryMode === 'salvage' ? {} : salvaging);
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    if (recoveryMode !== 'salvage') throw error;
    return yield* salvage.log(error, coreId, place, () => open(salvaging));
  }
  yield* salvage.resumed(log, place);
  return log;
}

const placeOf = ({ checkpoint }: Manifest, coreId: number): CheckpointPlace | undefined =>
  checkpoint?.cores.find((each) => each.coreId === coreId);

type Judged = Omit<RecoveredLogs, 'salvage' | 'endSalvage'>;

function* judge(
  settings: RecoverySettings,
  found: Manifest,
  logs: readonly SegmentedWal[],
  salvage: Salvage,
): Steps<Judged> {
  let manifest = found;
  const surveyed: Omit<RecoveredCore, 'taken' | 'limit' | 'takesPart'>[] = [];
  for (const log of logs) {
    const coreId = log.coreId as number;
    const noted = placeOf(manifest, coreId);
    const place = noted && (yield* salvage.place(log, noted));
    if (place !== noted) manifest = withPlace(manifest, place as CheckpointPlace);
    const before =
      place === undefined ? initialState(log.firstLsn - 1) : stateAt(place, manifest.checkpoint?.epoch ?? 0);
    const whole = yield* salvage.entries(log, () => surveyLog(log, before, Number.POSITIVE_INFINITY));
    surveyed.push({ coreId, log, before, whole });
  }
  if (salvage.isMissingManifest(surveyed)) manifest = yield* salvage.missingManifest();
  const { checkpoint, pending, leaving } = manifest;
  // What an earlier salvage has taken is complete, until something of it is lost again.
  const salvaged = (salvage.report === undefined && manifest.salvaged) || 0;
  const epochs = surveyed.map(({ whole }) => whole.epoch);
  const lastEpoch = Math.max(
    0,
    checkpoint?.epoch ?? 0,
    pending?.epoch ?? 0,
    leaving?.last ?? 0,
    manifest.salvaged ?? 0,
    ...epochs,
  );
  // A log that was never under a manager has no part in the epochs of those that are.
  const takesPart = ({ coreId }: { readonly coreId: number }): boolean =>
    manifest.cores.length === 0 || manifest.cores.includes(coreId);
  const complete = surveyed.filter(takesPart).map(({ whole }) => completeThrough(whole));
  const completeEpoch = leaving?.complete ?? Math.max(salvaged, Math.min(lastEpoch, ...complete));
  const leaves = leaving !== undefined || settings.incomplete === 'leave';
  const limit = Math.min(settings.toEpoch, leaves ? completeEpoch : Number.POSITIVE_INFINITY);
  if (checkpoint !== undefined && limit < checkpoint.epoch) {
    throw beforeCheckpoint(settings.directory, limit, checkpoint.epoch);
  }
  const taken: CoreState[] = [];
  for (const core of surveyed) {
    const { log, before, whole } = core;
    const own = takesPart(core) ? limit : settings.toEpoch;
    // Read again where something at its end is not taken.
    taken.push(whole.epoch <= own ? whole : yield* surveyLog(log, before, own));
  }
  const states = withoutSuperseded(taken);
  const cores = surveyed.map((core, index) => ({
    ...core,
    taken: states[index] as CoreState,
    limit: takesPart(core) ? limit : settings.toEpoch,
    takesPart: takesPart(core),
  }));
  return { manifest, cores, completeEpoch, lastEpoch, limit };
}

function withPlace(manifest: Manifest, place: CheckpointPlace): Manifest {
  const { checkpoint } = manifest;
  if (checkpoint === undefined) return manifest;
  const cores = checkpoint.cores.map((each) => (each.coreId === place.coreId ? place : each));
  return { ...manifest, checkpoint: { ...checkpoint, cores } };
}

/** Up to which epoch nothing can be missing from a log. */
function completeThrough({ joined, left, alone, barrierEpoch }: CoreState): number {
  return joined && !left && !alone ? barrierEpoch : Number.POSITIVE_INFINITY;
}

function* surveyLog(log: SegmentedWal, before: CoreState, toEpoch: number): Steps<CoreState> {
  const reader = yield* wait(
    () => log.openReaderSync(before.lsn + 1, VIEWS),
    () => log.openReader(before.lsn + 1, VIEWS),
  );
  const entries = new EntryReader(reader, log.coreId as number, log.directory, toEpoch);
  return yield* waitFor(log.io, () => survey(entries, before));
}

const VIEWS = { copy: false } as const;

function beforeCheckpoint(directory: string, epoch: number, checkpointEpoch: number): WalError {
  return new WalError(
    'WAL_TRUNCATED',
    `epoch ${epoch} is before the last checkpoint, which has everything up to epoch ${checkpointEpoch}`,
    { path: directory, actual: epoch, limit: checkpointEpoch },
  );
}

import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { coreDirectory, listCores } from './core-directory.js';
import { type CoreState, initialState, survey } from './core-state.js';
import { EntryReader } from './entry-reader.js';
import { type CheckpointPlace, type Manifest, manifestPath, NO_MANIFEST, readManifest } from './manifest.js';
import type { RecoverySettings } from './options.js';
import { type Steps, wait, waitFor } from './waiting.js';

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
}

/** The logs of all cores, open, and what they say together. */
export interface RecoveredLogs {
  readonly manifest: Manifest;
  readonly cores: readonly RecoveredCore[];
  /** The last epoch that has its barrier in every log that was to have one. */
  readonly completeEpoch: number;
  /** The highest epoch that was ever seen. */
  readonly lastEpoch: number;
  /** The last epoch that is taken; `Infinity` for all. */
  readonly limit: number;
}

/**
 * Opens the logs of all cores that there are, each of which is recovered by that, and reads them. Nothing else is changed.
 * The caller holds the lock of the directory.
 *
 * @throws `WAL_CORRUPT` when a log that the manifest names is missing, or shorter than it says; what opening a log throws
 */
export function* recoverLogs(settings: RecoverySettings): Steps<RecoveredLogs> {
  const { io, directory } = settings;
  const found = yield* waitFor(io, () => readManifest(io, directory));
  const manifest = found ?? NO_MANIFEST;
  const logs: SegmentedWal[] = [];
  try {
    for (const coreId of listCores(io, directory)) {
      const log = yield* openExisting(settings, coreId);
      if (log !== undefined) logs.push(log);
    }
    checkAllThere(directory, manifest, logs);
    return yield* judge(settings, manifest, logs);
  } catch (error) {
    yield* closeLogs(logs);
    throw error;
  }
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
function* openExisting({ io, directory, config }: RecoverySettings, coreId: number): Steps<SegmentedWal | undefined> {
  const all = { ...config, io, coreId, directory: coreDirectory(directory, coreId), create: false };
  try {
    return yield* wait(
      () => SegmentedWal.openSync(all),
      () => SegmentedWal.open(all),
    );
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
}

function checkAllThere(directory: string, { cores }: Manifest, logs: readonly SegmentedWal[]): void {
  const missing = cores.find((coreId) => !logs.some((log) => log.coreId === coreId));
  if (missing === undefined) return;
  throw new WalError(
    'WAL_CORRUPT',
    `${manifestPath(directory)} names core ${missing}, whose log is missing: restore the whole directory; nothing was changed`,
    { path: coreDirectory(directory, missing), reason: 'missing-core' },
  );
}

function* judge(settings: RecoverySettings, manifest: Manifest, logs: readonly SegmentedWal[]): Steps<RecoveredLogs> {
  const { checkpoint, pending } = manifest;
  const surveyed: Omit<RecoveredCore, 'taken'>[] = [];
  for (const log of logs) {
    const coreId = log.coreId as number;
    const place = checkpoint?.cores.find((each) => each.coreId === coreId);
    if (place !== undefined) yield* checkPlace(log, place);
    const before = place === undefined ? initialState(log.firstLsn - 1) : stateAt(place, checkpoint?.epoch ?? 0);
    const whole = yield* surveyLog(log, before, Number.POSITIVE_INFINITY);
    surveyed.push({ coreId, log, before, whole });
  }
  const lastEpoch = Math.max(
    0,
    checkpoint?.epoch ?? 0,
    pending?.epoch ?? 0,
    ...surveyed.map(({ whole }) => whole.epoch),
  );
  const completeEpoch = Math.min(lastEpoch, ...surveyed.map(({ whole }) => completeThrough(whole)));
  const limit = Math.min(settings.toEpoch, settings.incomplete === 'leave' ? completeEpoch : Number.POSITIVE_INFINITY);
  if (checkpoint !== undefined && limit < checkpoint.epoch)
    throw beforeCheckpoint(settings.directory, limit, checkpoint.epoch);
  const cores: RecoveredCore[] = [];
  for (const core of surveyed) {
    const { log, before, whole } = core;
    // Read again where something at its end is not taken.
    const taken = whole.epoch <= limit ? whole : yield* surveyLog(log, before, limit);
    cores.push({ ...core, taken });
  }
  return { manifest, cores, completeEpoch, lastEpoch, limit };
}

/** Up to which epoch nothing can be missing from a log. */
function completeThrough({ joined, left, barrierEpoch }: CoreState): number {
  return joined && !left ? barrierEpoch : Number.POSITIVE_INFINITY;
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

/** What is known of a log that is read from a checkpoint on. */
function stateAt({ lsn, timestampUs, left, committed }: CheckpointPlace, epoch: number): CoreState {
  return { ...initialState(lsn), epoch, timestampUs, barrierEpoch: epoch, joined: true, left, committed };
}

/** Holds what the manifest says against the log: its last entry ends where it says, and nothing behind it is missing. */
function* checkPlace(log: SegmentedWal, { lsn, position }: CheckpointPlace): Steps<void> {
  if (log.lastLsn < lsn) throw lost(log, lsn, `it ends with ${log.lastLsn}`);
  if (log.firstLsn > lsn + 1) throw lost(log, lsn + 1, `it begins with ${log.firstLsn}`);
  // Truncated right behind the checkpoint, it has nothing any more that could be looked at.
  if (log.firstLsn === lsn + 1) return;
  let before: number;
  try {
    before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE') && !WalError.is(error, 'WAL_TRUNCATED')) throw error;
    throw lost(log, lsn, error.message);
  }
  if (before !== lsn) throw lost(log, lsn, `position ${position} is behind LSN ${before}`);
}

function lost(log: SegmentedWal, lsn: number, what: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the checkpoint has LSN ${lsn} of core ${log.coreId}, but its log does not: ${what}; nothing was changed`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}

function beforeCheckpoint(directory: string, epoch: number, checkpointEpoch: number): WalError {
  return new WalError(
    'WAL_TRUNCATED',
    `epoch ${epoch} is before the last checkpoint, which has everything up to epoch ${checkpointEpoch}`,
    { path: directory, actual: epoch, limit: checkpointEpoch },
  );
}

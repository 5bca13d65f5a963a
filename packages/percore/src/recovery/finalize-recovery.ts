import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { coreDirectory } from '../core/core-directory.js';
import type { DurableBarrier } from '../core/core-handle.js';
import { type CoreState, initialState } from '../core/core-state.js';
import { beginEpoch, type CoreWalWriter, writerOver } from '../core/core-wal-writer.js';
import { closeQuietly, type Steps, wait, waitFor } from '../core/dual-mode-routine.js';
import { checkEpochsLeft } from '../core/epochs.js';
import { type LogOptions, logConfigOf, type RecoverySettings } from '../options.js';
import { type Manifest, NO_MANIFEST, writeManifest } from './manifest.js';
import { closeAllQuietly, closeLogs, type RecoveredCore, type RecoveredLogs } from './recovered-logs.js';

/** The log of a core that takes part from now on. */
interface Member {
  readonly coreId: number;
  readonly log: SegmentedWal;
  readonly state: CoreState;
}

/** The log of a core that is about to take part. */
interface Joining extends Member {
  /** Epochs waited for it before. */
  readonly takesPart: boolean;
}

/** The log of a core that takes part no more. */
interface Retired {
  readonly writer: CoreWalWriter;
  readonly barrier: DurableBarrier;
}

/** Logs that were brought to one state: every epoch before `epoch` is complete. */
export interface Settled {
  readonly epoch: number;
  readonly members: readonly Member[];
  readonly retired: readonly Retired[];
  readonly manifest: Manifest;
  /** There was no room to write the manifest again: it is to be written before the logs are changed because of it. */
  readonly manifestUnsure: boolean;
}

/**
 * Makes durable what recovery has decided, before anything new is appended: entries that are not taken are dropped for
 * good, new cores get a log, and every log gets a barrier before the epoch in which things go on. Each step can be
 * repeated after a crash in it.
 *
 * @param coreIds - the cores that take part from now on; the others have left
 */
export function* settle(
  settings: RecoverySettings,
  { cores, completeEpoch, lastEpoch, manifest: found, endSalvage }: RecoveredLogs,
  coreIds: readonly number[],
): Steps<Settled> {
  const made: SegmentedWal[] = [];
  try {
    const epoch = lastEpoch + 1;
    checkEpochsLeft(epoch);
    // Before any log is cut: a cut takes barriers away, which may be all that says what was complete, and which epochs were.
    const leaves = cores.some(({ whole, taken }) => whole.lsn !== taken.lsn);
    const manifest = leaves ? { ...found, leaving: { complete: completeEpoch, last: lastEpoch } } : found;
    // A truncated log with barriers of a manager says that there is a manifest.
    const needed = cores.some(({ log }) => log.firstLsn > 1);
    const manifestUnsure = yield* writeAgain(settings, manifest, needed);
    for (const core of cores) yield* dropWhatIsLeft(core);
    const joining: Joining[] = [];
    for (const coreId of coreIds) {
      const known = cores.find((core) => core.coreId === coreId);
      const log = known?.log ?? (yield* makeLog(settings, coreId));
      if (known === undefined) made.push(log);
      const state = known?.taken ?? initialState(log.firstLsn - 1);
      joining.push({ coreId, log, state, takesPart: known?.takesPart ?? false });
    }
    // Barriers of a manager say that there is a manifest, also to a writer alone that comes after a crash.
    if (manifest === NO_MANIFEST && !needed)
      yield* waitFor(settings.io, () => writeManifest(settings.io, settings.directory, manifest));
    const members: Member[] = [];
    for (const each of joining) {
      const member = yield* join(settings, each, epoch);
      if (member.log !== each.log) made.push(member.log);
      members.push(member);
    }
    const others = cores.filter(({ coreId }) => !coreIds.includes(coreId));
    const retired: Retired[] = [];
    for (const core of others.filter(({ taken }) => taken.joined)) {
      retired.push(yield* leave(core, epoch, settings.config));
    }
    // A crash came before it was used at all: nothing of it is needed.
    yield* closeLogs(others.filter(({ taken }) => !taken.joined).map(({ log }) => log));
    const named = yield* nameCores(settings, manifest, members, retired);
    yield* endSalvage();
    return { epoch, members, retired, manifest: named, manifestUnsure: manifestUnsure && named === manifest };
  } catch (error) {
    yield* closeAllQuietly(made);
    throw error;
  }
}

/**
 * Makes durable what was found: the sync behind the rename of a manifest may have failed, and then a crash takes back what
 * the logs rely on from now on. On a full disk that is put off, where nothing is to be changed because of it yet.
 *
 * @returns whether it was put off
 */
function* writeAgain({ io, directory }: RecoverySettings, manifest: Manifest, needed: boolean): Steps<boolean> {
  if (manifest === NO_MANIFEST && !needed) return false;
  try {
    yield* waitFor(io, () => writeManifest(io, directory, manifest));
    return false;
  } catch (error) {
    const unchanged = WalError.is(error, 'WAL_NO_SPACE') && error.reason !== 'outcome-unknown';
    if (!unchanged || manifest === NO_MANIFEST || manifest.leaving !== undefined) throw error;
    return true;
  }
}

function* dropWhatIsLeft({ log, whole, taken }: RecoveredCore): Steps<void> {
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

function* openLog(config: SegmentedWalConfig): Steps<SegmentedWal> {
  return yield* wait(
    () => SegmentedWal.openSync(config),
    () => SegmentedWal.open(config),
  );
}

const makeLog = (settings: RecoverySettings, coreId: number): Steps<SegmentedWal> =>
  openLog(logConfig(settings, coreId));

/** From now on, no epoch is complete without this core. */
function* join(settings: RecoverySettings, { takesPart, ...member }: Joining, epoch: number): Steps<Member> {
  const { coreId, log, state } = member;
  const isIn = state.joined && !state.left && !state.alone;
  if (isIn && state.barrierEpoch === epoch - 1) return member;
  try {
    const after = beginEpoch(writerOver(log, coreId, state, managedIn(settings.config)), epoch, false);
    yield* sync(log);
    return { ...member, state: after };
  } catch (error) {
    // On a full disk. Epochs wait for this core already, and its first entry comes behind this barrier.
    if (!isIn || !takesPart || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
    return log.failure === undefined ? member : { ...member, log: yield* openAgain(settings, member, error) };
  }
}

/** A log that there was not room enough for a barrier in, as it was before. @throws `error` where it is another one */
function* openAgain(settings: RecoverySettings, { coreId, log, state }: Member, error: WalError): Steps<SegmentedWal> {
  yield* closeQuietly(log);
  const again = yield* openLog({ ...logConfig(settings, coreId), create: false });
  if (again.lastLsn === state.lsn) return again;
  yield* closeQuietly(again);
  throw error;
}

/** From now on, epochs do not wait for this core. */
function* leave({ coreId, log, taken }: RecoveredCore, epoch: number, config: LogOptions): Steps<Retired> {
  const writer = writerOver(log, coreId, taken, managedIn(config));
  let { timestampUs } = taken;
  // Also behind the last barrier of a writer alone, as epochs would wait for what another one appends behind that.
  if (!taken.leftManager) {
    timestampUs = beginEpoch(writer, epoch, true).timestampUs;
    yield* sync(log);
  }
  const { position, lastLsn, committed } = writer;
  const { commitPlaces } = taken;
  return { writer, barrier: { lsn: lastLsn, position, timestampUs, committed, commitPlaces, left: true } };
}

/** Notes which logs there are, once they are, and that nothing is dropped from them any more. */
function* nameCores(
  { io, directory }: RecoverySettings,
  manifest: Manifest,
  members: readonly Member[],
  retired: readonly Retired[],
): Steps<Manifest> {
  const ids = [...members.map(({ coreId }) => coreId), ...retired.map(({ writer }) => writer.coreId)];
  const named = { ...manifest, cores: ids.sort((a, b) => a - b), leaving: undefined };
  if (String(named.cores) === String(manifest.cores) && manifest.leaving === undefined) return manifest;
  yield* waitFor(io, () => writeManifest(io, directory, named));
  return named;
}

function* sync(log: SegmentedWal): Steps<void> {
  yield* wait(
    () => log.syncSync(),
    () => log.sync(),
  );
}

const managedIn = ({ now }: LogOptions) => ({ managed: true, ...(now === undefined ? {} : { now }) });

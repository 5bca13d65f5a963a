import { SegmentedWal } from '@walstack/segmented';
import type { DurableBarrier } from './core.js';
import { coreDirectory } from './core-directory.js';
import { type CoreState, initialState } from './core-state.js';
import { beginEpoch, type CoreWalWriter, writerOver } from './core-wal-writer.js';
import { type Manifest, NO_MANIFEST, writeManifest } from './manifest.js';
import type { LogOptions, RecoverySettings } from './options.js';
import { closeLogs, type RecoveredCore, type RecoveredLogs } from './recovered-logs.js';
import { type Steps, wait, waitFor } from './waiting.js';

/** The log of a core that takes part from now on. */
interface Member {
  readonly coreId: number;
  readonly log: SegmentedWal;
  readonly state: CoreState;
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
  { cores, lastEpoch, manifest }: RecoveredLogs,
  coreIds: readonly number[],
): Steps<Settled> {
  const made: SegmentedWal[] = [];
  try {
    const epoch = lastEpoch + 1;
    yield* writeAgain(settings, manifest);
    for (const core of cores) yield* dropWhatIsLeft(core);
    const members: Member[] = [];
    for (const coreId of coreIds) {
      const found = cores.find((core) => core.coreId === coreId);
      const log = found?.log ?? (yield* makeLog(settings, coreId));
      if (found === undefined) made.push(log);
      members.push(
        yield* join({ coreId, log, state: found?.taken ?? initialState(log.firstLsn - 1) }, epoch, settings.config),
      );
    }
    const others = cores.filter(({ coreId }) => !coreIds.includes(coreId));
    const retired: Retired[] = [];
    for (const core of others.filter(({ taken }) => taken.joined)) {
      retired.push(yield* leave(core, epoch, settings.config));
    }
    // A crash came before it was used at all: nothing of it is needed.
    yield* closeLogs(others.filter(({ taken }) => !taken.joined).map(({ log }) => log));
    return { epoch, members, retired, manifest: yield* nameCores(settings, manifest, members, retired) };
  } catch (error) {
    yield* closeLogs(made);
    throw error;
  }
}

/**
 * Makes durable what was found: the sync behind the rename of a manifest may have failed, and then a crash takes back what
 * the logs rely on from now on.
 */
function* writeAgain({ io, directory }: RecoverySettings, manifest: Manifest): Steps<void> {
  if (manifest !== NO_MANIFEST) yield* waitFor(io, () => writeManifest(io, directory, manifest));
}

function* dropWhatIsLeft({ log, whole, taken }: RecoveredCore): Steps<void> {
  if (whole.lsn === taken.lsn) return;
  yield* wait(
    () => log.truncateAfterSync(taken.lsn),
    () => log.truncateAfter(taken.lsn),
  );
}

function* makeLog({ io, directory, config }: RecoverySettings, coreId: number): Steps<SegmentedWal> {
  const all = { ...config, io, coreId, directory: coreDirectory(directory, coreId) };
  return yield* wait(
    () => SegmentedWal.openSync(all),
    () => SegmentedWal.open(all),
  );
}

/** From now on, no epoch is complete without this core. */
function* join(member: Member, epoch: number, config: LogOptions): Steps<Member> {
  const { coreId, log, state } = member;
  if (state.joined && !state.left && state.barrierEpoch === epoch - 1) return member;
  const after = beginEpoch(writerOver(log, coreId, state, clockIn(config)), epoch, false);
  yield* sync(log);
  return { ...member, state: after };
}

/** From now on, epochs do not wait for this core. */
function* leave({ coreId, log, taken }: RecoveredCore, epoch: number, config: LogOptions): Steps<Retired> {
  const writer = writerOver(log, coreId, taken, clockIn(config));
  let { timestampUs } = taken;
  if (!taken.left) {
    timestampUs = beginEpoch(writer, epoch, true).timestampUs;
    yield* sync(log);
  }
  const { position, lastLsn, committed } = writer;
  return { writer, barrier: { lsn: lastLsn, position, timestampUs, committed, left: true } };
}

/** Notes which logs there are, once they are: a log that is missing later on is found to be. */
function* nameCores(
  { io, directory }: RecoverySettings,
  manifest: Manifest,
  members: readonly Member[],
  retired: readonly Retired[],
): Steps<Manifest> {
  const ids = [...members.map(({ coreId }) => coreId), ...retired.map(({ writer }) => writer.coreId)];
  const named = { ...manifest, cores: ids.sort((a, b) => a - b) };
  if (String(named.cores) !== String(manifest.cores)) yield* waitFor(io, () => writeManifest(io, directory, named));
  return named;
}

function* sync(log: SegmentedWal): Steps<void> {
  yield* wait(
    () => log.syncSync(),
    () => log.sync(),
  );
}

const clockIn = ({ now }: LogOptions): Pick<LogOptions, 'now'> => (now === undefined ? {} : { now });

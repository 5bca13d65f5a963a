import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { makeDirectories } from '@walstack/storage-io/internal';
import { CoreLog } from '../core/core-log.js';
import { runDualModeAsync } from '../core/dual-mode-routine.js';
import { SharedEpochs } from '../core/epochs/epochs.js';
import { type FinalizedLogs, finalizeRecovery } from '../recovery/finalize-recovery.js';
import { hasLog } from '../recovery/manifest.js';
import { makeRecovery } from '../recovery/per-core-recovery.js';
import { closeAllQuietly, closeLogs, type RecoveredLogs, recoverLogs } from '../recovery/recovered-logs.js';
import type { CoreStatistics } from '../recovery/statistics.js';
import type { PerCoreSalvage } from '../salvage/salvage-note.js';
import { LocalCore, RetiredCore } from './local-core.js';
import { type CheckedWorkers, cloneableOptions, type ManagerSettings } from './manager-config.js';
import { contentOf } from './worker.js';
import { WorkerCore } from './worker-core.js';

/** The open logs of all cores, and what their manager continues with. */
export interface OpenedManager {
  readonly settings: ManagerSettings;
  readonly ownsIo: boolean;
  readonly unlock: () => void;
  readonly epochs: SharedEpochs;
  readonly cores: readonly (LocalCore | WorkerCore)[];
  readonly retired: readonly RetiredCore[];
  readonly manifest: FinalizedLogs['manifest'];
  readonly manifestMayBeLost: boolean;
  readonly statistics: readonly CoreStatistics[];
  readonly salvage: PerCoreSalvage | undefined;
}

/** Locks the directory, recovers the logs, and opens a writer for each core that takes part. */
export async function openManager(settings: ManagerSettings, ownsIo: boolean): Promise<OpenedManager> {
  const { io, directory, create, fileMode, directoryMode } = settings;
  if (!hasLog(io, directory)) {
    if (!create)
      throw new WalError('WAL_NOT_FOUND', `no per-core log at ${directory}: nothing was created`, { path: directory });
    makeDirectories(io, directory, directoryMode);
  }
  const unlock = io.lock(join(directory, FileName.lock), fileMode);
  try {
    const recovered = await runDualModeAsync(recoverLogs(settings));
    return { ...(await finalizeAndStart(settings, recovered)), settings, ownsIo, unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

type Started = Omit<OpenedManager, 'settings' | 'ownsIo' | 'unlock'>;

async function finalizeAndStart(settings: ManagerSettings, recovered: RecoveredLogs): Promise<Started> {
  const { io, directory, recover } = settings;
  let logs = recovered.cores.map(({ log }) => log);
  try {
    const recovery = makeRecovery(io, directory, recovered, NO_RESOURCES);
    const { statistics } = recovery;
    await recover?.(recovery);
    await recovery.close();
    const { cores: coreIds, workers } = settings;
    const finalized = await runDualModeAsync(finalizeRecovery(settings, recovered, coreIds, workers !== undefined));
    const { active, manifest, manifestMayBeLost } = finalized;
    logs = [...active.map(({ log }) => log), ...logs];
    const epochs = SharedEpochs.create(finalized.epoch);
    const retired = finalized.retired.map(({ coreId, log, barrier }) => new RetiredCore(coreId, log, barrier));
    const cores =
      workers === undefined
        ? active.map((core) => localCore(core, settings, epochs))
        : await startWorkers(active, settings, workers, epochs);
    return { epochs, cores, retired, manifest, manifestMayBeLost, statistics, salvage: recovered.salvage };
  } catch (error) {
    await runDualModeAsync(closeAllQuietly([...new Set(logs)]));
    throw error;
  }
}

type Active = FinalizedLogs['active'];

/** A core whose writer is in this thread. */
function localCore(
  { coreId, log, state }: Active[number],
  { config }: ManagerSettings,
  epochs: SharedEpochs,
): LocalCore {
  const now = config.now === undefined ? {} : { now: config.now };
  return new LocalCore(new CoreLog(log, coreId, state, { epochs, managed: true, ...now }));
}

/** Closes the logs; each is opened again in its worker thread, with a backend of that thread. */
async function startWorkers(
  active: Active,
  { directory, config }: ManagerSettings,
  workers: CheckedWorkers,
  epochs: SharedEpochs,
): Promise<readonly WorkerCore[]> {
  const cores = active.map(({ coreId, state, log }) => ({ coreId, state, content: contentOf(log) }));
  await runDualModeAsync(closeLogs(active.map(({ log }) => log)));
  const shared = { ...workers, directory, config: cloneableOptions(config), epochs: epochs.buffer };
  const starting = cores.map((core) => WorkerCore.start({ ...shared, ...core }));
  const ended = await Promise.allSettled(starting);
  try {
    return await Promise.all(starting);
  } catch (error) {
    const started = ended.filter((each) => each.status === 'fulfilled');
    await Promise.allSettled(started.map(({ value }) => endWorker(value)));
    throw error;
  }
}

async function endWorker(core: WorkerCore): Promise<void> {
  await core.stop();
  await core.close();
}

/** Closing the recovery releases nothing: the manager continues with its logs. */
const NO_RESOURCES = { close: async () => {}, closeSync: () => {} };

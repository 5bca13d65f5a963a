import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { CoreLog } from '../../src/core/core-log.js';
import { initialState } from '../../src/core/core-state.js';
import type { SharedEpochs } from '../../src/core/epochs/epochs.js';
import { LocalCore } from '../../src/manager/local-core.js';

/** A new log of a core as its manager uses it. */
export function openLocalCore(coreId: number, directory: string, io: StorageIo, epochs: SharedEpochs): LocalCore {
  const log = SegmentedWal.openSync({ directory: `${directory}/core-${coreId}`, coreId, io });
  return new LocalCore(new CoreLog(log, coreId, initialState(log.firstLsn - 1), { epochs }));
}

import type { SimulatedDisk } from '@walstack/storage-io/simulation';
import type { ModelledLog } from './modelled-log.js';

/** There is room again: the log goes on, and is opened again only where a call has closed it, or its disk has failed. */
export async function goOnWithRoom(log: ModelledLog, disk: SimulatedDisk): Promise<void> {
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  if (!log.isOpen || log.wal.failure !== undefined) {
    // That there is no room is no failure.
    if (log.isOpen && disk.lastFailed === undefined) throw log.wal.failure;
    await log.open();
  }
  await log.sync();
  log.append(10);
  await log.sync();
  await log.check();
}

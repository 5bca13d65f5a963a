import type { SimulatedDisk } from '@walstack/storage-io/simulation';
import { throwUnlessOfDisk } from '../../model/failing-syncs.js';
import { goOnWithRoom } from '../../model/full-disk.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a group that finds no room, or no next segment, acknowledges none of those that are in flight before it',
  modes: ['blocking', 'durable', 'recycling', 'ring', 'ring-1', 'ring-4', 'pool'],
  config: { reserveBytes: 1024 },
  weight: 2,
  async run(log, { disks }) {
    const [disk] = disks as readonly [SimulatedDisk];
    try {
      // Without preparation a segment is created while the groups before it are in flight.
      await log.open(log.random() < 0.5 ? { preallocate: 'none' } : {});
      for (let round = 0; round < 3; round++) {
        log.appendSome(2, 500);
        await log.sync();
        disk.capacityBytes = disk.usedBytes + Math.floor(log.random() * 16) * 512;
        await groups(log, 1 + Math.floor(log.random() * 5));
        await goOnWithRoom(log, disk);
      }
      await log.close();
    } finally {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    }
  },
};

/** Starts groups, some of which fill most of a segment, and waits for them when all are in flight, or refused. */
async function groups(log: ModelledLog, count: number): Promise<void> {
  const syncs: Promise<void>[] = [];
  try {
    for (let group = 0; group < count; group++) {
      log.append(Math.floor(log.random() * 3000));
      syncs.push(log.startSync());
      for (let turn = Math.floor(log.random() * 3); turn > 0; turn--) await new Promise(setImmediate);
    }
  } catch (error) {
    throwUnlessOfDisk(error);
  }
  for (const sync of syncs) await sync.catch(throwUnlessOfDisk);
}

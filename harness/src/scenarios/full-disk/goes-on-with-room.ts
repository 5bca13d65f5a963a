import type { SimulatedDisk } from '@walstack/storage-io/simulation';
import { throwUnlessOfDisk } from '../../model/failing-syncs.js';
import { goOnWithRoom } from '../../model/full-disk.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** Calls on a disk without room, each of which may find none. */
const CALLS: readonly ((log: ModelledLog) => Promise<void>)[] = [
  (log) => log.sync(),
  (log) => log.flush(),
  (log) => log.checkpoint(log.wal.durableLsn),
  (log) => log.hold('reader', log.wal.durableLsn),
  (log) => log.truncate(log.random()),
  (log) => log.truncateAfter(log.someLsn()),
  (log) => log.closeAndOpen(),
];

export const scenario: Scenario = {
  about: 'records that find no room are written when there is some, and the log is not opened again for that',
  modes: ['blocking', 'durable', 'recycling', 'ring', 'ring-1', 'ring-4', 'pool'],
  config: { reserveBytes: 1024 },
  weight: 2,
  async run(log, { disks }) {
    const [disk] = disks as readonly [SimulatedDisk];
    try {
      await log.open();
      for (let round = 0; round < 3; round++) {
        log.appendSome(4, 500);
        await log.sync();
        disk.capacityBytes = disk.usedBytes + Math.floor(log.random() * 6) * 512;
        log.appendSome(6, 900);
        await log.sync().catch(throwUnlessOfDisk);
        for (let call = 0; call < 2 && log.isOpen; call++) {
          const chosen = CALLS[Math.floor(log.random() * CALLS.length)] as (typeof CALLS)[number];
          await chosen(log).catch(throwUnlessOfDisk);
        }
        await goOnWithRoom(log, disk);
      }
      await log.close();
    } finally {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    }
  },
};

import type { SimulatedDisk } from '@walstack/storage-io/simulation';
import { isOfDisk } from '../../model/failing-syncs.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** Calls that make room, or end a log: they have room on a full disk, by the reserve. */
const CALLS: readonly ((log: ModelledLog) => Promise<void>)[] = [
  (log) => log.checkpoint(log.wal.lastLsn),
  (log) => log.hold('reader', log.wal.lastLsn),
  (log) => log.truncate(log.random()),
  (log) => log.truncate(1),
  (log) => log.truncateAfter(log.someLsn()),
  (log) => log.resetTo(log.wal.nextLsn + 3),
  (log) => log.closeAndOpen(),
];

const RESERVE_BYTES = 4096;

export const scenario: Scenario = {
  about: 'a checkpoint, a hold, a truncation and closing have room on a full disk, by the reserve, which is made again',
  modes: ['blocking', 'durable', 'recycling', 'ring', 'ring-4', 'pool'],
  config: { reserveBytes: RESERVE_BYTES },
  weight: 2,
  async run(log, { disks }) {
    const [disk] = disks as readonly [SimulatedDisk];
    try {
      await log.open();
      for (let round = 0; round < 4; round++) {
        log.appendSome(3, 900);
        await log.sync();
        await settled(log);
        disk.capacityBytes = disk.usedBytes;
        const hasReserve = log.wal.stats().reserve.bytes === RESERVE_BYTES;
        try {
          await (CALLS[Math.floor(log.random() * CALLS.length)] as (typeof CALLS)[number])(log);
        } catch (error) {
          const isExplained = !hasReserve || disk.lastFailed !== undefined;
          if (!isOfDisk(error) || !isExplained) throw error;
        }
        disk.capacityBytes = Number.POSITIVE_INFINITY;
        if (!log.isOpen || log.wal.failure !== undefined) await log.open();
        await log.check();
        if (log.random() < 0.3) await log.open();
      }
      log.append(10);
      await log.sync();
    } finally {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    }
  },
};

/** Waits until the log has made its reserve, if it does. */
async function settled(log: ModelledLog): Promise<void> {
  for (let turn = 0; turn < 200 && log.wal.stats().reserve.bytes !== RESERVE_BYTES; turn++) {
    await new Promise(setImmediate);
  }
}

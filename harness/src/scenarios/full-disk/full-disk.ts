import type { SimulatedDisk } from '@walstack/storage-io/simulation';
import { throwUnlessOfDisk } from '../../model/failing-syncs.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a full disk is no reason to lose anything or not to open, and with room the log goes on',
  modes: ['blocking', 'durable', 'recycling'],
  async run(log, { disks }) {
    const [disk] = disks as readonly [SimulatedDisk];
    try {
      await log.open();
      for (let round = 0; round < 3; round++) {
        log.appendSome(4, 500);
        await log.sync();
        disk.capacityBytes = disk.usedBytes + Math.floor(log.random() * 4) * 512;
        log.appendSome(4, 900);
        await log.sync().catch(throwUnlessOfDisk);
        await log.open();
        disk.capacityBytes = Number.POSITIVE_INFINITY;
        await log.sync();
      }
    } finally {
      disk.capacityBytes = Number.POSITIVE_INFINITY;
    }
  },
};

import { whileSyncsFail } from '../../model/failing-syncs.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    'groups as large as the memory that they are encoded into, side by side, and more to write again than one read holds',
  modes: ['blocking', 'ring-4'],
  weight: 6,
  config: { segmentBytes: 4 * 1024 * 1024 },
  async run(log, run) {
    await log.open();
    const syncs: Promise<void>[] = [];
    for (let group = 0; group < 7; group++) {
      log.append(350_000 + Math.floor(log.random() * 100_000));
      syncs.push(log.startSync());
    }
    await Promise.all(syncs);
    for (let record = 0; record < 2; record++) log.append(200_000);
    await log.flush();
    await whileSyncsFail(run.disks, 'failing-sync', () => log.sync());
    await log.open();
    log.append(10);
    await log.sync();
  },
};

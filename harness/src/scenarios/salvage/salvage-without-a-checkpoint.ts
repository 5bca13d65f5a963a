import { whileSyncsFail } from '../../model/failing-syncs.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    '◆ what salvage keeps is durable, though nothing of it was: a damaged checkpoint made the log one to be salvaged',
  config: { recoveryMode: 'salvage' },
  async run(log, run) {
    await log.open();
    log.appendSome(6, 700);
    await log.checkpoint(Math.max(1, log.wal.lastLsn - 2));
    log.appendSome(4, 700);
    await log.flush();
    if (log.random() < 0.5) {
      await whileSyncsFail(run.disks, 'evicting-sync', () => log.sync());
    }
    await log.destroyCheckpoint();
    await log.open();
    log.append(Math.floor(log.random() * 700));
    await log.sync();
  },
};

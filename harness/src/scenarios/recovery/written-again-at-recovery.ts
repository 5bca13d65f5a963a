import { whileSyncsFail } from '../../model/failing-syncs.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ what is kept and nothing proves durable is written again: a second sync alone would write nothing',
  async run(log, run) {
    await log.open();
    log.append(100);
    await log.sync();
    log.appendSome(3, 800);
    await log.flush();
    await whileSyncsFail(run.disks, 'failing-sync', () => log.sync());
    await log.open();
    log.append(50);
    await log.sync();
  },
};

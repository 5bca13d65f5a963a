import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a checkpoint that is ahead goes back durably before the log is cut',
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.appendSome(6, 500);
      await log.checkpoint(log.wal.lastLsn);
      await log.truncateAfter(Math.max(log.wal.firstLsn - 1, log.wal.lastLsn - 1 - Math.floor(log.random() * 4)));
      if (log.random() < 0.4) await log.open();
      if (log.random() < 0.3) await log.resetTo(Math.max(1, log.wal.lastLsn - 2));
    }
  },
};

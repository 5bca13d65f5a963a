import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a log is emptied and goes on with any LSN, as a whole or not at all',
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(Math.floor(log.random() * 8), 600);
      if (log.random() < 0.6) await log.sync();
      if (log.random() < 0.4) await log.hold('reader', log.wal.firstLsn);
      const { nextLsn } = log.wal;
      await log.resetTo(Math.max(1, nextLsn - 4 + Math.floor(log.random() * 9)));
      log.append(Math.floor(log.random() * 600));
      if (log.random() < 0.5) await log.sync();
      if (log.random() < 0.3) await log.open();
    }
  },
};

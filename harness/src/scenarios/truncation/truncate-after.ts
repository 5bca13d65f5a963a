import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a tail is cut off, as a whole or not at all, and other records take its place',
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(2 + Math.floor(log.random() * 8), 600);
      if (log.random() < 0.6) await log.sync();
      await log.truncateAfter(log.someLsn());
      log.appendSome(Math.floor(log.random() * 3), 600);
      if (log.random() < 0.5) await log.sync();
      if (log.random() < 0.3) await log.open();
    }
  },
};

import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ the first kept segment is durable in the checkpoint before files go, and what is below it goes at open',
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.appendSome(20, 500);
      await log.sync();
      await log.truncate(0.9);
      if (log.random() < 0.4) await log.open();
    }
  },
};

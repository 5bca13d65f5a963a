import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the front of the log is given up, and what is needed stays',
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(12, 500);
      if (log.random() < 0.7) await log.sync();
      await log.truncate(log.random());
    }
    log.append(10);
    await log.sync();
  },
};

import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the log is emptied, and its LSNs go on',
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(Math.floor(log.random() * 8), 600);
      if (log.random() < 0.5) await log.sync();
      await log.truncate(1);
    }
    log.append(10);
    await log.sync();
  },
};

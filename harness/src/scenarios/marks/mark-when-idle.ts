import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a log that has been quiet is marked, and goes on behind the mark',
  async run(log) {
    await log.open();
    for (let round = 0; round < 5; round++) {
      log.appendSome(1 + Math.floor(log.random() * 3), 500);
      await log.sync();
      await log.quiet();
    }
  },
};

import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'groups of records of all sizes, each durable by one sync',
  async run(log) {
    await log.open();
    for (let group = 0; group < 8; group++) {
      log.appendSome(1 + Math.floor(log.random() * 5), 1500);
      await log.sync();
    }
  },
};

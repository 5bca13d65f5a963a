import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'each record is made durable by itself',
  async run(log) {
    await log.open();
    for (let record = 0; record < 12; record++) {
      log.append(Math.floor(log.random() ** 2 * 900));
      await log.sync();
    }
  },
};

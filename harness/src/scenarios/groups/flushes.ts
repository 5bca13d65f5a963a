import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'groups are written without a sync, which comes now and then',
  async run(log) {
    await log.open();
    for (let group = 0; group < 10; group++) {
      log.append(Math.floor(log.random() * 700));
      await log.flush();
      if (log.random() < 0.3) await log.sync();
    }
  },
};

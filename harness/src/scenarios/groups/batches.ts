import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'batches of all sizes, larger than a group and than a segment, are there whole or not at all',
  async run(log) {
    await log.open();
    for (let round = 0; round < 6; round++) {
      log.appendSomeBatch(4, 300);
      if (log.random() < 0.5) log.append(Math.floor(log.random() * 600));
      log.appendSomeBatch(6, 1200);
      if (log.random() < 0.3) await log.flush();
      else await log.sync();
    }
  },
};

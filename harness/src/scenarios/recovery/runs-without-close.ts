import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the process is killed and started again, with the cache as it was',
  async run(log) {
    for (let run = 0; run < 5; run++) {
      await log.open();
      log.appendSome(1 + Math.floor(log.random() * 3), 900);
      if (log.random() < 0.5) await log.sync();
      else await log.flush();
    }
  },
};

import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the log is closed and opened again, with and without records in between',
  async run(log) {
    for (let run = 0; run < 5; run++) {
      await log.open();
      log.appendSome(Math.floor(log.random() * 3), 900);
      if (log.random() < 0.5) await log.sync();
      await log.close();
    }
  },
};

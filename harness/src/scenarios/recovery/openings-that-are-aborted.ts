import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'an opening that a signal ends, in whatever turn, leaves the files of the log as they were, and no lock',
  modes: ['blocking', 'ring-4', 'pool'],
  async run(log) {
    for (let round = 0; round < 4; round++) {
      if (round > 0) await log.openAborted(1 + Math.floor(log.random() * 30));
      await log.open();
      log.appendSome(1 + Math.floor(log.random() * 4), 900);
      if (log.random() < 0.6) await log.sync();
      else await log.flush();
      if (log.random() < 0.3) await log.close();
    }
  },
};

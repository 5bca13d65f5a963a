import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'one group goes over several segments, or several into one',
  async run(log) {
    await log.open();
    for (let group = 0; group < 6; group++) {
      log.appendSome(Math.floor(log.random() * 12), 900);
      await log.sync();
    }
  },
};

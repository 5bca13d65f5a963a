import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a directory that is made has its parent synced',
  async run(log) {
    await log.open();
    log.append(10);
    await log.sync();
  },
};

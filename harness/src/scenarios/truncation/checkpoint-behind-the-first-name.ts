import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ no checkpoint is written before the name of the first segment is durable',
  async run(log) {
    await log.open();
    await log.truncate(1);
    if (log.random() < 0.5) log.append(10);
    await log.truncate(1);
    await log.sync();
  },
};

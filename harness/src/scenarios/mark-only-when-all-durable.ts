import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: '◆ a mark is written only when everything appended is durable',
  async run(log) {
    await log.open();
    for (let round = 0; round < 6; round++) {
      log.append(Math.floor(log.random() * 300));
      await log.sync();
      log.append(Math.floor(log.random() * 300));
      if (log.random() < 0.5) await log.flush();
      await log.quiet();
    }
  },
};

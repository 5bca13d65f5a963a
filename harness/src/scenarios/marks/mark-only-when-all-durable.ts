import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a mark is written only when everything appended is durable',
  async run(log) {
    await log.open();
    for (let round = 0; round < 6; round++) {
      log.append(Math.floor(log.random() * 300));
      await log.sync();
      // Over several sectors, so that a mark behind it could get to the disk without it.
      log.append(Math.floor(log.random() * 1200));
      // The first time the log notices that there was something, the second time that there was nothing more.
      await log.quiet();
      await log.quiet();
    }
  },
};

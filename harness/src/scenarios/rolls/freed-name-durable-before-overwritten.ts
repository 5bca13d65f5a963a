import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a freed file has its new name durable before a byte of it is overwritten',
  modes: ['recycling', 'ring'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(10, 600);
      await log.sync();
      await log.truncate(log.random() < 0.5 ? 1 : 0.8);
    }
    log.appendSome(8, 600);
    await log.sync();
  },
};

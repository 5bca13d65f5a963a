import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ the header is durable before any other byte of a new use of a file',
  async run(log) {
    await log.open();
    for (let roll = 0; roll < 5; roll++) {
      log.append(1990 + Math.floor(log.random() * 200));
      log.append(10);
      await log.flush();
    }
    await log.sync();
  },
};

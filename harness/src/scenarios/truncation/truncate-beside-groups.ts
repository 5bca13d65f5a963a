import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a truncation of everything while groups are under way and more is appended',
  modes: ['ring', 'ring-4', 'pool'],
  config: { maxInFlight: 1 },
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(2, 600);
      const synced = log.startSync();
      const truncated = log.truncate(1);
      truncated.catch(() => {});
      log.append(Math.floor(log.random() * 600));
      if (log.random() < 0.5) await new Promise(setImmediate);
      log.append(10);
      await Promise.all([synced, truncated]);
      await log.sync();
    }
  },
};

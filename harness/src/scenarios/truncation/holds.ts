import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'holds keep what they hold from every truncation, over every crash',
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(8, 500);
      // A hold makes durable by itself what is before it.
      if (log.random() < 0.7) await log.sync();
      const { firstLsn, nextLsn } = log.wal;
      await log.hold(`reader ${round % 2}`, firstLsn + Math.floor(log.random() * (nextLsn - firstLsn)));
      await log.truncate(0.5 + log.random() / 2);
      if (log.random() < 0.4) await log.hold(`reader ${(round + 1) % 2}`);
      if (log.random() < 0.4) await log.open();
      await log.truncate(1);
    }
  },
};

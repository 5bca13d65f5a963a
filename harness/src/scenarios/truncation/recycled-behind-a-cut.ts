import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ a freed file that takes records of the same LSNs again has an id of its own in each use',
  modes: ['recycling', 'ring'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      // Records of one size, so that old frames stand where the next new ones will.
      for (let record = 0; record < 10; record++) {
        log.append(400);
        if (log.random() < 0.5) await log.sync();
      }
      await log.sync();
      await log.truncateAfter(log.wal.firstLsn - 1);
      for (let record = 0; record < 2; record++) {
        log.append(400);
        await log.flush();
      }
      if (log.random() < 0.4) await log.open();
    }
  },
};

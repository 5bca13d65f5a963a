import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ what an earlier use of a file has left is never taken for records of the next',
  modes: ['recycling', 'ring'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      // The same sizes in every run: old frames stand where new ones will.
      for (let record = 0; record < 8; record++) log.append(400);
      await log.sync();
      await log.truncate(1);
      for (let record = 0; record < 2; record++) {
        log.append(400);
        await log.flush();
      }
    }
  },
};

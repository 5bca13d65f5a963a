import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ where the next frame is not, also behind zeros, the evidence decides: hole or end',
  modes: ['padded', 'ring'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.append(100);
      await log.sync();
      for (let group = 0; group < 3; group++) {
        log.append(Math.floor(log.random() * 1000));
        await log.flush();
      }
    }
  },
};

import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the mark of a clean close is followed by a new segment, or by nothing',
  async run(log) {
    for (let run = 0; run < 4; run++) {
      await log.open();
      if (run % 2 === 0) log.appendSome(2, 900);
      await log.close();
    }
    await log.open();
    log.append(1);
    await log.sync();
  },
};

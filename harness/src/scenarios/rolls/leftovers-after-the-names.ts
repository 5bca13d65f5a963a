import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ leftovers go only when the names are durable because of which they are not needed',
  async run(log) {
    for (let run = 0; run < 4; run++) {
      await log.open();
      log.appendSome(6, 700);
      await log.flush();
      if (log.random() < 0.4) await log.truncate(0.5);
      log.kill();
    }
    await log.open();
  },
};

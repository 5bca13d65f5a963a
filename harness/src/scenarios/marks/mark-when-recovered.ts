import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the mark of recovery stands behind what was kept, in blocks that the file has',
  async run(log) {
    for (let run = 0; run < 4; run++) {
      await log.open();
      // Ends now just before the end of a block, now just behind it.
      log.append(400 + Math.floor(log.random() * 60));
      await log.sync();
      log.append(Math.floor(log.random() * 600));
      await log.flush();
      log.kill();
    }
    await log.open();
  },
};

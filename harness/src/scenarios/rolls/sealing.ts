import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a segment is sealed, cut and synced before the next one has its name, whatever was flushed into it',
  async run(log) {
    await log.open();
    for (let roll = 0; roll < 4; roll++) {
      log.appendSome(3, 200);
      await log.flush();
      // Larger than a segment: it goes to the next one.
      log.append(2100 + Math.floor(log.random() * 2500));
      if (log.random() < 0.5) await log.flush();
      else await log.sync();
    }
  },
};

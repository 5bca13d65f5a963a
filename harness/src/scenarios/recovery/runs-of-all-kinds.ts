import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'closed, killed, truncated and opened with other settings, in any order',
  async run(log) {
    for (let run = 0; run < 5; run++) {
      await log.open(log.random() < 0.3 ? { segmentBytes: 8192, padGroups: log.random() < 0.5 } : {});
      log.appendSome(Math.floor(log.random() * 8), 700);
      if (log.random() < 0.6) await log.sync();
      if (log.random() < 0.3) await log.truncate(log.random());
      if (log.random() < 0.3) await log.quiet();
      if (log.random() < 0.4) await log.close();
    }
  },
};

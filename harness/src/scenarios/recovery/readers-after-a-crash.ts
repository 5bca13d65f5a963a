import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    'every way of reading a log, before it is recovered and after it, gives what is in it, with type, meta and scope',
  readers: true,
  weight: 3,
  modes: ['blocking', 'recycling', 'ring-4', 'pool'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 2; round++) {
      for (let record = 0; record < 5; record++) log.appendMarked(Math.floor(log.random() ** 2 * 900));
      if (log.random() < 0.5) log.appendSomeBatch(3, 300);
      if (log.random() < 0.7) await log.sync();
      else await log.flush();
      if (log.random() < 0.4) await log.truncate(log.random());
      if (log.random() < 0.3) await log.truncateAfter(log.someLsn());
      if (log.random() < 0.3) await log.quiet();
      if (log.random() < 0.4) await log.open();
    }
  },
};
